"""Signed links of simulated vendors."""

import pytest

from halley.vendors.simulate import LinkState
from halley.vendors.simulate.asgi import link_state, signed_query

SECRET = b"secret"
EXPIRES_US = 1_800_000_000_000_000


def fields(path: str) -> dict[str, str]:
    pairs = signed_query(SECRET, path, expires_us=EXPIRES_US).split("&")
    return {pair.partition("=")[0]: pair.partition("=")[2] for pair in pairs}


def test_link_holds_until_its_time():
    states = [
        link_state(SECRET, "/files/a.png", fields("/files/a.png"), now_us=EXPIRES_US + late_us) for late_us in (-1, 0)
    ]
    assert states == [LinkState.VALID, LinkState.EXPIRED]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"se": "1900000000"}, id="later-end"),
        pytest.param({"sig": "0" * 43}, id="other-signature"),
        pytest.param({"sig": ""}, id="no-signature"),
        pytest.param({"sig": "ä€"}, id="not-ascii"),
        pytest.param({"se": "never"}, id="no-number"),
    ],
)
def test_changed_link_is_forged(changes: dict[str, str]):
    assert link_state(SECRET, "/a", fields("/a") | changes, now_us=0) is LinkState.FORGED


def test_link_to_another_path_is_forged():
    assert link_state(SECRET, "/b", fields("/a"), now_us=0) is LinkState.FORGED


def test_link_without_query_is_forged():
    assert link_state(SECRET, "/a", {}, now_us=0) is LinkState.FORGED
