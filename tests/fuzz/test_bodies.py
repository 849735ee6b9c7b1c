"""Hostile bodies on every route that takes an order: each is refused in the route's own format and books nothing."""

import base64
import gzip
import json
import struct
import zlib

import pytest
from tests.clients.served import KEY, Reply, Served

MIB = 1024 * 1024
BODY_BYTES_MAX = 64 * MIB
JSON_TYPE = {"content-type": "application/json"}
FLUX = "/flux/v1/flux-pro-1.1"
ROUTES = {
    "flux": FLUX,
    "flux without prefix": "/v1/flux-pro-1.1",
    "replicate model": "/replicate/v1/models/black-forest-labs/flux-schnell/predictions",
    "replicate": "/replicate/v1/predictions",
}
BODIES = {
    "nothing": b"",
    "spaces": b"  \n ",
    "no JSON": b"prompt=a+lighthouse",
    "half of an object": b'{"prompt": "a light',
    "two objects": b'{"prompt": "a"}{"prompt": "b"}',
    "an array": b'[{"prompt": "a"}]',
    "a string": b'"a lighthouse"',
    "null": b"null",
    "a number": b"7",
    "65 levels": b'{"prompt": "a", "x": ' + b"[" * 65 + b"]" * 65 + b"}",
    "a million brackets": b"[" * 1_000_000,
    "NaN": b'{"prompt": "a", "seed": NaN, "input": {"prompt": "a", "seed": NaN}}',
    "infinity": b'{"prompt": "a", "seed": Infinity, "input": {"prompt": "a", "seed": -Infinity}}',
    "a number beyond floats": b'{"prompt": "a", "seed": 1e999, "input": {"prompt": "a", "seed": 1e999}}',
    "a number of 5000 digits": b'{"prompt": "a", "seed": %b, "input": {"prompt": "a", "seed": %b}}'
    % (b"9" * 5_000, b"9" * 5_000),
    "half a character": b'{"prompt": "\xc3", "input": {"prompt": "\xc3"}}',
    "an overlong slash": b'{"prompt": "\xc0\xaf", "input": {"prompt": "\xc0\xaf"}}',
    "half a surrogate": b'{"prompt": "\\ud800", "input": {"prompt": "\\ud800"}}',
    "UTF-16": '{"prompt": "a", "input": {"prompt": "a"}}'.encode("utf-16"),
    "no prompt": b'{"width": 256, "input": {"width": 256}}',
    "a prompt that is null": b'{"prompt": null, "input": {"prompt": null}}',
    "a prompt that is a number": b'{"prompt": 5, "input": {"prompt": 5}}',
    "a prompt that is a list": b'{"prompt": ["a"], "input": {"prompt": ["a"]}}',
    "a prompt that is an object": b'{"prompt": {"$ne": ""}, "input": {"prompt": {"$ne": ""}}}',
    "a width that is text": b'{"prompt": "a", "width": "256", "input": {"prompt": "a", "width": "256"}}',
    "a width that is true": b'{"prompt": "a", "width": true, "input": {"prompt": "a", "width": true}}',
    "a seed with a fraction": b'{"prompt": "a", "seed": 1.5, "input": {"prompt": "a", "seed": 1.5}}',
    "an input that is a list": b'{"input": [], "prompt": 1}',
    "a webhook that is an object": b'{"prompt": "a", "webhook_url": {}, "webhook": {}, "input": {"prompt": "a"}}',
    "a webhook of another scheme": b'{"prompt": "a", "webhook_url": "file:///etc/passwd",'
    b' "webhook": "gopher://h/", "input": {"prompt": "a"}}',
    "a webhook with a new line": b'{"prompt": "a", "webhook_url": "http://h/\\r\\nx: y",'
    b' "webhook": "http://h/\\r\\nx: y", "input": {"prompt": "a"}}',
    "a million empty objects": b'{"x": [' + b"{}," * 1_000_000 + b"{}]}",
}


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_makes_no_sense_is_refused_in_the_routes_own_format(
    gateway: Served, idle: str, route: str, body: bytes
):
    reply = gateway.ask("POST", route, body, key=idle, headers=JSON_TYPE)
    assert reply.status in (400, 422), reply.text
    assert_refused(reply)
    assert "detail" in reply.json
    assert_nothing_booked(gateway, idle)


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_a_form_is_not_taken_for_json(gateway: Served, route: str, kind: str):
    reply = gateway.ask("POST", route, b'{"prompt": "a"}', headers={"content-type": kind})
    assert reply.status == 415
    assert_refused(reply)


@pytest.mark.parametrize(
    ("coding", "data", "status"),
    [
        pytest.param("gzip", gzip.compress(bytes(256 * MIB), 9), 413, id="a gzip bomb"),
        pytest.param("deflate", zlib.compress(bytes(256 * MIB), 9), 413, id="a deflate bomb"),
        pytest.param("gzip", b"not packed at all", 422, id="no gzip"),
        pytest.param("gzip", gzip.compress(b'{"prompt": "a"}')[:-9], 422, id="half a gzip"),
        pytest.param("gzip", gzip.compress(b'{"prompt":') + gzip.compress(b'"a"}'), 422, id="two gzips"),
        pytest.param("br", b"\x0b\x02\x80", 415, id="brotli"),
        pytest.param("gzip, gzip", gzip.compress(gzip.compress(b"{}")), 415, id="packed twice"),
    ],
)
def test_a_packed_body_is_bounded_in_what_it_unpacks_to(gateway: Served, coding: str, data: bytes, status: int):
    reply = gateway.ask("POST", FLUX, data, headers={**JSON_TYPE, "content-encoding": coding})
    assert reply.status == status, reply.text
    assert_refused(reply)


def test_a_packed_body_that_is_sound_is_taken(gateway: Served):
    body = gzip.compress(b'{"prompt": "a", "width": 256, "height": 256}')
    reply = gateway.ask("POST", FLUX, body, headers={**JSON_TYPE, "content-encoding": "gzip"})
    assert reply.status == 200


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_a_body_over_the_limit_is_refused_before_it_is_read(gateway: Served, route: str):
    reply = gateway.raw(head("POST", route, f"x-key: {KEY}", f"content-length: {BODY_BYTES_MAX + 1}"))
    assert reply.status == 413
    assert_refused(reply)


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_the_key_is_checked_before_the_body_is_read(gateway: Served, route: str):
    reply = gateway.raw(head("POST", route, f"content-length: {BODY_BYTES_MAX + 1}"))
    assert reply.status == 401
    assert_refused(reply)


def test_a_body_without_a_length_is_cut_off_at_the_limit(gateway: Served):
    chunk = b"%x\r\n" % MIB + b" " * MIB + b"\r\n"
    request = head("POST", FLUX, f"x-key: {KEY}", "transfer-encoding: chunked")
    reply = gateway.raw(request, then=chunk * 65)
    assert reply.status == 413
    assert_refused(reply)


def test_a_body_without_a_length_and_without_a_key_is_not_read(gateway: Served):
    reply = gateway.raw(head("POST", FLUX, "transfer-encoding: chunked"))
    assert reply.status == 401


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "999999999999999999999999999999", "5, 6"])
def test_a_length_that_is_no_number_is_refused(gateway: Served, length: str):
    reply = gateway.raw(head("POST", FLUX, f"x-key: {KEY}", f"content-length: {length}"))
    assert reply.status in (400, 413)


def test_a_request_with_two_lengths_is_refused(gateway: Served):
    request = head("POST", FLUX, f"x-key: {KEY}", "content-length: 2", "transfer-encoding: chunked") + b"0\r\n\r\n"
    assert gateway.raw(request).status == 400


def test_an_image_that_unpacks_to_gigapixels_is_refused_and_costs_nothing(gateway: Served, unserved: str):
    order = {"prompt": "a", "input_image": base64.b64encode(png_of_gigapixels()).decode()}
    reply = gateway.ask("POST", "/flux/v1/flux-kontext-pro", order, key=unserved)
    assert reply.status in (400, 422), reply.text
    assert_refused(reply)
    assert spent(gateway, unserved) == 0


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("", id="nothing"),
        pytest.param("!!!not base64!!!", id="no base64"),
        pytest.param(base64.b64encode(b"GIF89a").decode(), id="half a GIF"),
        pytest.param(base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode(), id="SVG"),
        pytest.param("data:image/png;base64,", id="an empty data URL"),
        pytest.param("data:text/html,<script>alert(1)</script>", id="HTML"),
        pytest.param("http://[::1", id="half an address"),
    ],
)
def test_an_input_that_is_no_image_is_refused_and_costs_nothing(gateway: Served, unserved: str, source: str):
    order = {"prompt": "a", "image": source, "top": 64}
    reply = gateway.ask("POST", "/flux/v1/flux-pro-1.0-expand", order, key=unserved)
    assert reply.status in (400, 422), reply.text
    assert_refused(reply)
    assert spent(gateway, unserved) == 0


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"--x\r\n", id="half a part"),
        pytest.param(b'--x\r\ncontent-disposition: form-data; name="content"\r\n\r\nabc', id="no end"),
        pytest.param(b'--x\r\ncontent-disposition: form-data; name="other"\r\n\r\nabc\r\n--x--\r\n', id="no file"),
        pytest.param(
            b'--x\r\ncontent-disposition: form-data; name="metadata"\r\n\r\n' + b"[" * 9_000 + b"\r\n--x--\r\n",
            id="deep metadata",
        ),
        pytest.param(b"--x\r\n" + b"a: b\r\n" * 100_000, id="no end of headers"),
        pytest.param(b"--x\r\na: " + b"b" * 2_000_000, id="a header without end"),
    ],
)
def test_a_form_that_makes_no_sense_is_refused(gateway: Served, form: bytes):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    reply = gateway.ask("POST", "/replicate/v1/files", form, headers=headers)
    assert reply.status in (400, 413, 422), reply.text
    assert_refused(reply)


def assert_refused(reply: Reply) -> None:
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["x-should-retry"] == "false"
    assert reply.problem["message"]
    assert reply.problem["request_id"] == reply.headers["halley-request-id"]


def assert_nothing_booked(gateway: Served, key: str) -> None:
    assert gateway.ask("GET", "/v1/tasks", key=key).json["data"] == []
    assert spent(gateway, key) == 0


def spent(gateway: Served, key: str) -> float:
    return gateway.ask("GET", "/user/quota", key=key).json["total_used_quota"]


def head(method: str, target: str, *lines: str) -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", "host: 127.0.0.1", *lines, "", "")).encode()


def png_of_gigapixels(side: int = 60_000) -> bytes:
    """Write a PNG of a few kilobytes that claims, and really holds, rows and rows of black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(side // 8 + 1) * 4_000, 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_what_was_refused_is_told_in_json_that_others_can_read(gateway: Served):
    reply = gateway.ask("POST", FLUX, b'{"prompt": "\xff"}', headers=JSON_TYPE)
    assert json.loads(reply.body.decode("ascii")) == reply.json
