"""Class 15: Host, forwarded headers and paths that two readers would read in two ways."""

from collections.abc import Iterator

import pytest
from tests.clients.served import FLUX, KEY, Served, served


@pytest.fixture(scope="module")
def plain() -> Iterator[Served]:
    """A gateway that was told no public URL and trusts no proxy."""
    with served() as running:
        yield running


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:80"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "127.0.0.1@evil.example"},
        {"host": "127.0.0.1/evil.example"},
        {"host": "localhost.evil.example"},
        {"host": ""},
        {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"},
        {"forwarded": "host=evil.example;proto=https"},
        {"x-original-host": "evil.example", "x-host": "evil.example", "x-forwarded-server": "evil.example"},
    ],
)
def test_a_host_that_a_caller_made_up_is_in_no_link(plain: Served, headers: dict[str, str]):
    made = plain.ask("POST", FLUX, {"prompt": "a"}, headers=headers)
    if made.status == 400:
        return
    assert made.json["polling_url"].startswith(f"{plain.url}/")
    plain.ended(made.json["id"])
    for path in (f"/flux/v1/get_result?id={made.json['id']}", f"/replicate/v1/predictions/{made.json['id']}", "/"):
        assert "evil.example" not in plain.ask("GET", path, headers=headers).text


def test_a_target_with_another_host_is_answered_as_its_path_alone(plain: Served):
    lines = ("host: 127.0.0.1", f"x-key: {KEY}", "", "")
    reply = plain.raw("\r\n".join(("GET http://evil.example/replicate/v1/predictions HTTP/1.1", *lines)).encode())
    assert reply.status in (200, 400, 404)
    assert "evil.example" not in reply.text


@pytest.mark.parametrize("name", ["x-forwarded-for", "x-real-ip", "forwarded", "via", "x-forwarded-host"])
def test_metrics_are_not_passed_on_to_others(plain: Served, name: str):
    assert plain.ask("GET", "/metrics", key=None).status == 200
    assert plain.ask("GET", "/metrics", key=None, headers={name: "127.0.0.1"}).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"x-original-url": "/health/liveness"},
        {"x-rewrite-url": "/health/liveness"},
        {"x-forwarded-prefix": "/health"},
        {"x-http-method-override": "OPTIONS"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-custom-ip-authorization": "127.0.0.1"},
    ],
)
def test_a_header_that_names_another_path_opens_nothing(plain: Served, headers: dict[str, str]):
    assert plain.ask("GET", "/v1/tasks", key=None, headers=headers).status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/health/../v1/tasks",
        "/health/liveness/../../v1/tasks",
        "/assets/x/../../v1/tasks",
        "/health/liveness;/../v1/tasks",
        "/health%2f..%2fv1%2ftasks",
        "/health/liveness%2f%2e%2e%2f%2e%2e%2fv1%2ftasks",
        "//v1/tasks",
        "/./v1/tasks",
        "/v1/tasks%2f",
        "/V1/Tasks",
        "/v1/tasks%20",
        "/v1\\tasks",
        "/v1/tasks%00/health/liveness",
        "/v1/tasks#/health/liveness",
        "/%76%31/tasks",
        "/v1/%74asks",
    ],
)
def test_a_path_in_another_spelling_is_none_or_is_the_guarded_one(plain: Served, path: str):
    reply = plain.raw(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert reply.status in (400, 401, 404), reply.text


def test_two_hosts_are_one_too_many_or_make_no_link(plain: Served):
    body = b'{"prompt": "a"}'
    lines = ("host: 127.0.0.1", "host: evil.example", f"x-key: {KEY}", f"content-length: {len(body)}", "", "")
    reply = plain.raw("\r\n".join((f"POST {FLUX} HTTP/1.1", *lines)).encode() + body)
    assert reply.status in (200, 400)
    assert "evil.example" not in reply.text


def test_a_request_hidden_in_another_is_not_answered(plain: Served):
    hidden = b"GET /v1/tasks HTTP/1.1\r\nhost: x\r\nx-key: %b\r\n\r\n" % KEY.encode()
    head = (
        b"POST %b HTTP/1.1\r\nhost: x\r\nx-key: %b\r\ncontent-length: %d\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    reply = plain.raw(head % (FLUX.encode(), KEY.encode(), 5 + len(hidden)) + hidden)
    assert reply.status == 400
