"""Signed links: stable for a day, good for one path, and never longer than the thing is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.clock import MICROSECONDS, parse_time
from halley.kernel.ids import TaskId, base32
from halley.kernel.links import (
    AssetPlace,
    FilePlace,
    LinkState,
    asset_path,
    link_expiry,
    own_part,
    place_of,
    sign,
    verify,
)
from halley.kernel.vault import Vault

VAULT = Vault(b"n" * 32)
BASE = "https://halley.example"
TASK = TaskId("01kaqb7g4hmasw14d2pf0938nk")
NOW = parse_time("2026-11-22T19:08:00.5Z")
FAR = NOW * 2
EXPIRES = parse_time("2026-11-30")
PATH = asset_path(TASK, 0, ".png")


def _query(vault: Vault = VAULT, path: str = PATH, expires_at: int = EXPIRES) -> str:
    return sign(vault, BASE, path, expires_at).partition("?")[2]


def test_link_opens_its_path_until_it_expires():
    url = sign(VAULT, BASE + "/", PATH, EXPIRES)
    assert url.startswith(f"{BASE}/assets/{TASK}/0.png?expires=")
    query = url.partition("?")[2]
    assert verify(VAULT, PATH, query, EXPIRES - 1) is LinkState.VALID
    assert verify(VAULT, PATH, query, EXPIRES) is LinkState.EXPIRED


def test_link_ends_seven_days_after_the_day_it_was_made():
    assert link_expiry(NOW, FAR) == EXPIRES


def test_link_is_the_same_all_day_and_new_the_next():
    morning, night = parse_time("2026-11-22"), parse_time("2026-11-22T23:59:59.999999Z")
    assert link_expiry(morning, FAR) == link_expiry(night, FAR)
    assert link_expiry(night + 1, FAR) == link_expiry(night, FAR) + 86_400 * MICROSECONDS


@given(st.integers(0, 2**52), st.integers(0, 2**52))
def test_link_never_outlives_what_it_points_to(now: int, kept_until: int):
    expires_at = link_expiry(now, kept_until)
    query = _query(expires_at=expires_at)
    assert expires_at <= kept_until
    assert verify(VAULT, PATH, query, kept_until) is LinkState.EXPIRED


@pytest.mark.parametrize(
    "path",
    [asset_path(TASK, 1, ".png"), asset_path(TASK, 0, ".jpg"), "/files/file_1", PATH + "/", "", PATH.upper()],
)
def test_link_opens_no_other_path(path: str):
    assert verify(VAULT, path, _query(), NOW) is LinkState.INVALID


SIGNED = _query()
SIGNATURE = SIGNED.partition("&signature=")[2]


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="empty"),
        pytest.param("signature=" + SIGNATURE, id="no expiry"),
        pytest.param("expires=1795996800", id="no signature"),
        pytest.param("expires=1795996800&signature=", id="empty signature"),
        pytest.param(SIGNED[:-1], id="cut short"),
        pytest.param(SIGNED.replace("expires=1", "expires=9"), id="later expiry"),
        pytest.param(SIGNED.replace("expires=", "expires=0"), id="another spelling of the expiry"),
        pytest.param(SIGNED.replace("expires=", "expires=%2B"), id="sign before the expiry"),
        pytest.param("expires=9999999999&" + SIGNED, id="expiry twice"),
        pytest.param(SIGNED + "&signature=" + SIGNATURE, id="signature twice"),
        pytest.param("a&" * 20 + SIGNED, id="too many fields"),
        pytest.param("expires=٣&signature=" + SIGNATURE, id="foreign digits"),
    ],
)
def test_query_that_we_did_not_sign_is_invalid(query: str):
    assert verify(VAULT, PATH, query, NOW) is LinkState.INVALID


def test_forged_link_is_not_called_expired():
    assert verify(VAULT, PATH, "expires=1&signature=" + SIGNATURE, NOW) is LinkState.INVALID


def test_fields_of_others_are_ignored():
    assert verify(VAULT, PATH, "utm=x&" + SIGNED + "&download", NOW) is LinkState.VALID


@given(st.text())
def test_no_query_whatever_is_valid_or_raises(query: str):
    assert verify(VAULT, PATH, query, NOW) is LinkState.INVALID


def test_link_survives_the_rotation_of_the_secret():
    rotated = Vault([b"m" * 32, b"n" * 32])
    assert verify(rotated, PATH, _query(), NOW) is LinkState.VALID
    assert verify(VAULT, PATH, _query(rotated), NOW) is LinkState.INVALID


@given(st.integers(0, 2**128 - 1), st.integers(0, 999), st.sampled_from([".png", ".mp4", ""]))
def test_path_of_an_asset_is_read_back(value: int, n: int, extension: str):
    task = TaskId(base32(value))
    assert place_of(asset_path(task, n, extension)) == AssetPlace(task_id=task, n=n)


def test_path_of_a_file_is_read_back():
    assert place_of("/files/file_01kaqb7g4h") == FilePlace(file_id="file_01kaqb7g4h")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/",
        f"/assets/{TASK}",
        f"/assets/{TASK}/01.png",
        f"/assets/{TASK}/1000.png",
        f"/assets/{TASK}/-1",
        f"/assets/{TASK}/0.png/../1.png",
        f"/assets/{TASK}/0.png\n",
        f"/assets/z{TASK[1:]}/0.png",
        f"/assets/{TASK[:-1]}u/0.png",
        f"//assets/{TASK}/0.png",
        "/files/",
        "/files/a/b",
        "/files/..",
        "/files/" + "a" * 65,
        "",
    ],
)
def test_other_paths_are_none_of_ours(path: str):
    assert place_of(path) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"{BASE}/files/file_1?a=b#c", ("/files/file_1", "a=b")),
        (f"{BASE}/files/file_1", ("/files/file_1", "")),
        ("https://halley.example.evil/files/file_1", None),
        ("https://halley.example:8443/files/file_1", None),
        ("https://user@halley.example/files/file_1", None),
        ("http://halley.example/files/file_1", None),
        (BASE, None),
    ],
)
def test_only_urls_under_our_own_base_are_ours(url: str, expected: tuple[str, str] | None):
    assert own_part(BASE + "/", url) == expected
