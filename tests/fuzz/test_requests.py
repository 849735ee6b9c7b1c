"""Hostile requests: paths, methods, queries, credentials and headers that nobody sends by accident."""

import pytest
from tests.clients.served import KEY, Reply, Served

FLUX = "/flux/v1/flux-pro-1.1"
ORDER = {"prompt": "a", "width": 256, "height": 256}
NO_PATHS = [
    "/nothing",
    "/flux/v1",
    "/flux/v1/",
    "/flux/v1/flux-pro-1.1/",
    "/v1/tasks/",
    "/V1/tasks",
    "//v1/tasks",
    "/v1//tasks",
    "/v1/tasks/../models",
    "/v1/./tasks",
    "/assets/../../../../etc/passwd",
    "/v1%2ftasks",
    "/v1%2Ftasks",
    "/v1%5ctasks",
    "/v1/tasks/%2e%2e/models",
    "/v1/tasks/..%2fmodels",
    "/v1/tasks%00",
    "/v1/tasks%0a",
    "/v1/tasks;x=1",
    "/v1/%ff%fe",
    "/" + "a" * 4_000,
    "/" + "a/" * 500,
    "/.env",
    "/.git/config",
    "/index.html",
]
QUERIES = [
    "/v1/tasks?cursor=garbage",
    "/v1/tasks?cursor=after.",
    "/v1/tasks?cursor=after.%27%20OR%201%3D1",
    "/v1/tasks?cursor=" + "A" * 5_000,
    "/v1/tasks?limit=0",
    "/v1/tasks?limit=-1",
    "/v1/tasks?limit=101",
    "/v1/tasks?limit=1e2",
    "/v1/tasks?limit=%D9%A3",
    "/v1/tasks?limit=99999999999999999999",
    "/v1/tasks?state=nonsense",
    "/v1/tasks?model=" + "m" * 500,
    "/v1/tasks?created_after=yesterday",
    "/v1/tasks?created_after=9999999999999999",
    "/v1/tasks?created_before=2026-13-45T99:99:99Z",
    "/v1/tasks?created_before=-1",
    "/v1/tasks/00000000000000000000000000?wait=abc",
    "/v1/tasks/00000000000000000000000000?wait=-1",
    "/v1/tasks/00000000000000000000000000?wait=61",
    "/v1/tasks/00000000000000000000000000?wait=0.5",
    "/v1/tasks/00000000000000000000000000?wait=nan",
    "/replicate/v1/predictions?cursor=%00",
    "/replicate/v1/files?cursor=../../x",
    "/user/quota?start_date=x&end_date=y",
    "/user/quota?start_date=2026-02-30&end_date=2026-03-01",
    "/user/quota?start_date=2026-03-02&end_date=2026-03-01",
    "/flux/v1/get_result",
    "/flux/v1/get_result?id=",
    "/v1/tasks?" + "&".join(f"a{n}=1" for n in range(100)),
    "/v1/tasks?x=" + "y" * 20_000,
]
NO_TASKS = [
    "x",
    "%27%20OR%20%271",
    "%25",
    "task_%25",
    "00000000-0000-0000-0000-000000000000",
    "a" * 2_000,
    "%F0%9F%9A%80",
]
CREDENTIALS = {
    "none": [],
    "an empty one": ["authorization: "],
    "an empty bearer": ["authorization: Bearer "],
    "basic": ["authorization: Basic c2stdGVzdDp4"],
    "two bearers that differ": [f"authorization: Bearer {KEY}", "authorization: Bearer sk-test-other"],
    "two headers that differ": [f"x-key: {KEY}", "authorization: Bearer sk-test-other"],
    "a key with something behind it": [f"x-key: {KEY} x"],
    "two keys in one": [f"x-key: {KEY},{KEY}"],
    "a key in capitals": [f"x-key: {KEY.upper()}"],
    "the start of a key": [f"x-key: {KEY[:-1]}"],
    "a key that is a pattern": ["x-key: sk-test-%"],
    "a key with a null": [f"x-key: {KEY}%00"],
    "a very long key": ["x-key: " + "k" * 8_000],
    "bytes that are no text": ["x-key: \xff\xfe"],
}


@pytest.mark.parametrize("path", NO_PATHS)
def test_a_path_that_is_none_of_ours_is_404_in_json(gateway: Served, path: str):
    reply = gateway.raw(head("GET", path, f"x-key: {KEY}"))
    assert reply.status == 404, reply.text
    assert_refused(reply)


@pytest.mark.parametrize("target", ["*", "v1/tasks", "http:///v1/tasks"])
def test_a_target_that_is_no_path_is_refused(gateway: Served, target: str):
    assert gateway.raw(head("GET", target, f"x-key: {KEY}")).status in (400, 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", FLUX, "POST"),
        ("DELETE", "/replicate/v1/predictions", "GET, HEAD, POST"),
        ("PUT", "/v1/tasks", "GET, HEAD"),
        ("POST", "/health/liveness", "GET, HEAD"),
        ("PATCH", "/user/quota", "GET, HEAD"),
        ("TRACE", "/v1/tasks", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_does_not_answer_is_405_and_names_those_it_does(
    gateway: Served, method: str, path: str, allowed: str
):
    reply = gateway.ask(method, path)
    assert reply.status == 405
    assert reply.headers["allow"] == f"{allowed}, OPTIONS"
    assert_refused(reply)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_that_makes_no_sense_is_refused_with_the_field_named(gateway: Served, query: str):
    reply = gateway.ask("GET", query)
    assert reply.status in (400, 422), reply.text
    assert_refused(reply)


@pytest.mark.parametrize("task", NO_TASKS)
def test_an_id_that_is_none_of_ours_is_not_found_in_every_format(gateway: Served, task: str):
    own, replicate = gateway.ask("GET", f"/v1/tasks/{task}"), gateway.ask("GET", f"/replicate/v1/predictions/{task}")
    flux = gateway.ask("GET", f"/flux/v1/get_result?id={task}")
    assert (own.status, replicate.status) == (404, 404)
    assert (flux.status, flux.json["status"]) == (200, "Task not found")


@pytest.mark.parametrize("lines", CREDENTIALS.values(), ids=CREDENTIALS)
def test_a_request_without_exactly_one_known_key_is_401(gateway: Served, lines: list[str]):
    reply = gateway.raw(head("GET", "/v1/tasks", *lines))
    assert reply.status == 401, reply.text
    assert "www-authenticate" in reply.headers
    assert_refused(reply)


def test_a_key_in_the_query_that_differs_from_the_header_is_401(gateway: Served):
    assert gateway.ask("GET", "/user/quota?key=sk-test-other").status == 401
    assert gateway.ask("GET", f"/user/quota?key={KEY}&key=sk-test-other", key=None).status == 401


def test_the_same_key_in_several_places_is_one_key(gateway: Served):
    reply = gateway.ask("GET", f"/user/quota?key={KEY}", headers={"x-key": KEY, "x-api-key": KEY})
    assert reply.status == 200


@pytest.mark.parametrize("path", ["/flux/v1/get_result?id=", "/replicate/v1/predictions/", "/v1/tasks/"])
def test_a_line_break_in_an_id_makes_no_header(gateway: Served, path: str):
    reply = gateway.ask("GET", path + "x%0d%0aset-cookie:%20a=b%0d%0a%0d%0a<html>")
    assert "set-cookie" not in reply.headers
    assert reply.headers["content-type"].startswith("application/json")


def test_a_line_break_in_a_file_name_makes_no_header(gateway: Served):
    form = (
        b'--x\r\ncontent-disposition: form-data; name="content"; filename="a%0d%0aset-cookie: a=b.html"\r\n'
        b"content-type: text/html\r\n\r\n<script>alert(1)</script>\r\n--x--\r\n"
    )
    made = gateway.ask("POST", "/replicate/v1/files", form, headers={"content-type": "multipart/form-data; boundary=x"})
    assert made.status == 201, made.text
    sent = gateway.ask("GET", f"/replicate/v1/files/{made.json['id']}/download")
    assert sent.status == 200
    assert "set-cookie" not in sent.headers


@pytest.mark.parametrize("value", ["wait=0", "wait=61", "wait=abc", "wait=-1", "respond-async; wait", "wait=1, wait=2"])
def test_a_preference_that_makes_no_sense_is_refused(gateway: Served, value: str):
    route = "/replicate/v1/models/black-forest-labs/flux-schnell/predictions"
    reply = gateway.ask("POST", route, {"input": {"prompt": "a"}}, headers={"prefer": value})
    assert reply.status in (400, 422), reply.text
    assert_refused(reply)


@pytest.mark.parametrize("value", ["nonsense", "outcome=", "outcome=nonsense", "delay=1e9", "delay=-1", ";" * 5_000])
def test_an_ordered_ending_that_does_not_exist_is_refused(gateway: Served, value: str):
    reply = gateway.ask("POST", FLUX, ORDER, headers={"halley-test": value})
    assert reply.status in (400, 422), reply.text
    assert_refused(reply)


@pytest.mark.parametrize("value", ["", "k" * 256, "a\tb", "\xe9\xe8"])
def test_an_idempotency_key_out_of_bounds_is_refused(gateway: Served, value: str):
    reply = gateway.ask("POST", FLUX, ORDER, headers={"idempotency-key": value})
    assert reply.status in (400, 422), reply.text
    assert_refused(reply)


@pytest.mark.parametrize("value", ["k" * 255, "' OR 1=1 --", "%", "_", "{{7*7}}"])
def test_an_idempotency_key_is_nothing_but_text(gateway: Served, value: str):
    first = gateway.ask("POST", FLUX, ORDER, headers={"idempotency-key": value})
    again = gateway.ask("POST", FLUX, ORDER, headers={"idempotency-key": value})
    other = gateway.ask("POST", FLUX, {**ORDER, "seed": 9}, headers={"idempotency-key": value})
    assert (first.status, again.status, other.status) == (200, 200, 422)
    assert again.body == first.body
    assert again.headers["idempotency-replayed"] == "true"


def test_idempotency_keys_that_share_a_beginning_do_not_meet(gateway: Served):
    ids = {gateway.ask("POST", FLUX, ORDER, headers={"idempotency-key": "k" * 254 + last}).json["id"] for last in "abc"}
    assert len(ids) == 3


@pytest.mark.parametrize("value", ["bytes=abc", "bytes=5-1", "bytes=-0", "bytes=99999999-", "bytes=0-1,2-3", "lines=1"])
def test_a_range_that_makes_no_sense_never_fails(gateway: Served, value: str):
    _, link = gateway.draw()
    reply = gateway.ask("GET", link, key=None, headers={"range": value})
    assert reply.status in (200, 206, 416)


@pytest.mark.parametrize(
    "lines", [["x: " + "y" * 200_000], ["x" * 100_000 + ": y"], [f"x{n}: y" for n in range(50_000)]]
)
def test_headers_without_end_are_cut_off(gateway: Served, lines: list[str]):
    try:
        reply = gateway.raw(head("GET", "/v1/tasks", f"x-key: {KEY}", *lines))
    except ConnectionError:
        pass
    else:
        assert reply.status < 500
    assert gateway.ask("GET", "/health/liveness").status == 200


def assert_refused(reply: Reply) -> None:
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.json["error"]


def head(method: str, target: str, *lines: str) -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", "host: 127.0.0.1", *lines, "", "")).encode("latin-1")
