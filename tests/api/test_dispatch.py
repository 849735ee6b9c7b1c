import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.api.dispatch import Dispatch
from halley.api.paths import normal_path


class Entry(msgspec.Struct, frozen=True):
    method: str
    path: str
    model_pattern: str | None = None


ENTRIES = (
    Entry("GET", "/v1/tasks"),
    Entry("GET", "/v1/tasks/{id}"),
    Entry("POST", "/v1/tasks/{id}/cancel"),
    Entry("GET", "/v1/tasks/mine"),
    Entry("POST", "/v1/{model}", "flux-*"),
    Entry("POST", "/v1/chat"),
    Entry("POST", "/m/{owner}/{name}/run"),
    Entry("POST", "/m/{owner}/fixed"),
)
DISPATCH = Dispatch(ENTRIES)


@pytest.mark.parametrize(
    ("method", "path", "found", "params"),
    [
        ("GET", "/v1/tasks", "/v1/tasks", {}),
        ("GET", "/v1/tasks/1", "/v1/tasks/{id}", {"id": "1"}),
        ("GET", "/v1/tasks/mine", "/v1/tasks/mine", {}),
        ("POST", "/v1/tasks/mine/cancel", "/v1/tasks/{id}/cancel", {"id": "mine"}),
        ("POST", "/v1/flux-dev", "/v1/{model}", {"model": "flux-dev"}),
        ("POST", "/v1/chat", "/v1/chat", {}),
        ("POST", "/m/a/fixed", "/m/{owner}/fixed", {"owner": "a"}),
        ("POST", "/m/a/fixed/run", "/m/{owner}/{name}/run", {"owner": "a", "name": "fixed"}),
    ],
)
def test_a_literal_segment_wins_over_a_part(method: str, path: str, found: str, params: dict[str, str]):
    match = DISPATCH.find(method, path)

    assert match is not None
    assert (match.entry.path, dict(match.params)) == (found, params)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/tasks"),
        ("POST", "/m/a/fixed/x"),
        ("GET", "/p/result/x"),
        ("POST", "/v1/dall-e"),
        ("POST", "/v1/"),
        ("GET", "/v1/tasks/"),
        ("GET", "/v1/tasks/1/2"),
        ("GET", "/"),
    ],
)
def test_what_is_not_in_the_table_is_not_found(method: str, path: str):
    assert DISPATCH.find(method, path) is None


def test_a_path_tells_what_answers_it_by_other_methods():
    assert [entry.method for entry in DISPATCH.entries("/v1/flux-dev")] == ["POST"]
    assert DISPATCH.entries("/v1/dall-e") == []


def test_a_literal_place_hides_the_part_for_every_method():
    dispatch = Dispatch((Entry("POST", "/p/{model}"), Entry("GET", "/p/result")))

    assert dispatch.find("POST", "/p/result") is None
    assert [entry.method for entry in dispatch.entries("/p/result")] == ["GET"]
    assert dispatch.find("POST", "/p/other") is not None


def test_two_routes_for_the_same_request_are_our_own_mistake():
    with pytest.raises(AssertionError):
        Dispatch((Entry("GET", "/a/{b}"), Entry("GET", "/a/{c}")))


@pytest.mark.parametrize(
    "raw",
    [
        b"/v1//tasks",
        b"/v1/./tasks",
        b"/v1/../tasks",
        b"/v1/%2e%2e/tasks",
        b"/v1%2ftasks",
        b"/v1%2Ftasks",
        b"/v1%5ctasks",
        b"/v1\\tasks",
        b"/v1/tasks%00",
        b"/v1/tasks%0a",
        b"/v1/%ff",
        b"/" + b"a/" * 20,
        b"/" + b"a" * 3_000,
        b"v1/tasks",
        b"",
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_none(raw: bytes):
    assert normal_path(raw) is None


def test_a_path_is_decoded_once():
    assert normal_path(b"/v1/a%20b") == "/v1/a b"
    assert normal_path(b"/v1/%252e%252e/x") == "/v1/%2e%2e/x"


@given(st.binary(max_size=64).map(lambda tail: b"/" + tail))
def test_a_normal_path_never_climbs(raw: bytes):
    path = normal_path(raw)

    assert path is None or not {"..", "."} & set(path.split("/"))
