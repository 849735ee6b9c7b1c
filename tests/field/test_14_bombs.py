"""Class 14: requests that are small and cost much, with a key and before one was looked at."""

import base64
import gzip
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest
from tests.clients.served import FLUX, KEY, Served
from tests.field.tenants import SCHNELL, Tenants

MIB = 1024 * 1024
QUICK_S_MAX = 8.0
"""For a machine that is busy with other tests; alone, each takes a fraction of it."""
MEMORY_MORE_MAX = 400 * MIB

BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "gzip": (gzip.compress(bytes(512 * MIB), 9), {"content-encoding": "gzip"}),
    "deflate": (zlib.compress(bytes(512 * MIB), 9), {"content-encoding": "deflate"}),
    "depth": (b'{"prompt":' + b"[" * (8 * MIB), {}),
    "objects in depth": (b'{"a":' * (2 * MIB), {}),
    "many values": (b'{"prompt":"a","x":[' + b"0," * (8 * MIB) + b"0]}", {}),
    "many strings": (b'{"prompt":"a","x":[' + b'"",' * (4 * MIB) + b'""]}', {}),
    "many names": (b"{" + b",".join(b'"%d":0' % n for n in range(700_000)) + b"}", {}),
    "backslashes": (b'{"prompt":"' + b"\\\\" * (8 * MIB), {}),
    "quotes": (b'"' * (16 * MIB), {}),
    "a long number": (b'{"prompt":"a","seed":' + b"9" * (4 * MIB) + b"}", {}),
    "a long exponent": (b'{"prompt":"a","seed":1e' + b"9" * (4 * MIB) + b"}", {}),
    "spaces": (b" " * (32 * MIB), {}),
}
TEXTS = {
    "markers that never close": "[[halley " * 100_000,
    "brackets": "[" * 500_000,
    "almost a marker": "[[halley outcome=" + "a=" * 200_000,
    "one word": "w" * 1_000_000,
    "combining": "a" + "\u0301" * 200_000,
    "from right to left": "\u202e" * 100_000,
    "emoji": "👩‍👩‍👧‍👦" * 20_000,
    "line breaks": "\n" * 500_000,
}
QUERIES = {
    "cursor": "/v1/tasks?cursor=" + "after." * 2_000,
    "state": "/v1/tasks?state=" + "running," * 1_500,
    "time": "/v1/tasks?created_after=" + "2026-01-01T" + "0" * 10_000,
    "id": "/flux/v1/get_result?id=" + "task_" * 2_500,
    "slashes": "/" + "v1/" * 600,
}
HEADERS = {
    "prefer": "wait" + "=1" * 10_000,
    "halley-test": "outcome=success; " * 1_500,
    "range": "bytes=" + "0-0," * 5_000,
    "if-none-match": 'W/"x",' * 5_000,
    "idempotency-key": "k" * 20_000,
    "x-forwarded-for": "1.1.1.1," * 4_000,
    "accept": "*/*;q=0.1," * 4_000,
    "authorization": "Bearer " * 5_000,
    "sec-websocket-protocol": "openai-insecure-api-key.," * 1_000,
}


@pytest.mark.parametrize(("data", "headers"), BODIES.values(), ids=BODIES)
def test_a_body_without_a_key_is_refused_at_once(gateway: Served, data: bytes, headers: dict[str, str]):
    began = monotonic()
    request = "\r\n".join(
        (f"POST {FLUX} HTTP/1.1", "host: x", f"content-length: {len(data)}", *_lines(headers), "", "")
    ).encode()
    assert gateway.raw(request, then=data).status == 401
    assert monotonic() - began < QUICK_S_MAX


@pytest.mark.parametrize("route", [FLUX, SCHNELL])
@pytest.mark.parametrize(("data", "headers"), BODIES.values(), ids=BODIES)
def test_a_body_with_a_key_is_refused_soon_and_within_bounds(
    gateway: Served, data: bytes, headers: dict[str, str], route: str
):
    before, began = gateway.memory_bytes, monotonic()
    reply = gateway.ask("POST", route, data, headers={"content-type": "application/json", **headers})
    assert reply.status in (400, 413, 422), reply.text
    assert monotonic() - began < QUICK_S_MAX
    assert gateway.memory_bytes - before < MEMORY_MORE_MAX


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_prompt_is_read_in_a_bounded_time(gateway: Served, tenants: Tenants, text: str):
    began = monotonic()
    reply = gateway.ask("POST", FLUX, {"prompt": text, "width": 256, "height": 256}, key=tenants.alice_test)
    assert reply.status in (200, 400, 413, 422), reply.text
    if reply.status == 200:
        assert gateway.ended(reply.json["id"], key=tenants.alice_test)["ended_at"]
    assert monotonic() - began < QUICK_S_MAX


@pytest.mark.parametrize("path", QUERIES.values(), ids=QUERIES)
def test_a_query_is_read_in_a_bounded_time(gateway: Served, path: str):
    began = monotonic()
    assert gateway.ask("GET", path).status in (200, 400, 404, 414, 422)
    assert monotonic() - began < QUICK_S_MAX


@pytest.mark.parametrize(("name", "value"), HEADERS.items(), ids=HEADERS)
def test_a_header_is_read_in_a_bounded_time(gateway: Served, name: str, value: str):
    began = monotonic()
    headers = {name: value} if name == "authorization" else {name: value, "x-key": KEY}
    reply = gateway.ask("POST", SCHNELL, {"input": {"prompt": "a"}}, key=None, headers=headers)
    assert reply.status in (201, 400, 401, 422, 431), reply.text
    assert monotonic() - began < QUICK_S_MAX


@pytest.mark.parametrize("form", ["multipart", "many parts", "a long boundary"])
def test_a_form_is_read_in_a_bounded_time(gateway: Served, form: str):
    part = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n'
    bodies = {"multipart": b"--x" * (4 * MIB), "many parts": part * 300_000, "a long boundary": b"-" * (4 * MIB)}
    boundary = "b" * 10_000 if form == "a long boundary" else "x"
    before, began = gateway.memory_bytes, monotonic()
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    reply = gateway.ask("POST", "/replicate/v1/files", bodies[form], headers=headers)
    assert reply.status in (400, 413, 422), reply.text
    assert monotonic() - began < QUICK_S_MAX
    assert gateway.memory_bytes - before < MEMORY_MORE_MAX


def test_others_are_answered_while_bombs_are_defused(gateway: Served):
    data, headers = BODIES["gzip"]
    with ThreadPoolExecutor(8) as pool:
        bombs = [pool.submit(gateway.ask, "POST", FLUX, data, headers=headers) for _ in range(8)]
        slowest = 0.0
        while not all(bomb.done() for bomb in bombs):
            began = monotonic()
            assert gateway.ask("GET", "/health/liveness", key=None).status == 200
            slowest = max(slowest, monotonic() - began)
    assert [bomb.result().status for bomb in bombs] == [413] * 8
    assert slowest < QUICK_S_MAX / 4


def test_a_picture_of_gigapixels_is_refused_before_it_is_drawn_out(gateway: Served, tenants: Tenants):
    picture = base64.b64encode(png_of_gigapixels()).decode()
    before, began = gateway.memory_bytes, monotonic()
    order = {"prompt": "a", "input_image": picture}
    reply = gateway.ask("POST", "/flux/v1/flux-kontext-pro", order, key=tenants.alice_test)
    assert reply.status in (400, 422), reply.text
    assert monotonic() - began < QUICK_S_MAX
    assert gateway.memory_bytes - before < MEMORY_MORE_MAX


@pytest.mark.usefixtures("tenants")
def test_an_order_that_is_refused_leaves_no_file_behind(gateway: Served):
    key = gateway.new_key("alice", budget_nanos=1)
    before = bodies(gateway)
    for number in range(5):
        order = {"prompt": f"{number}" + "x" * 200_000}
        assert gateway.ask("POST", FLUX, order, key=key).status == 402
    assert bodies(gateway) <= before


def bodies(gateway: Served) -> set[Path]:
    """Give the stored bodies of orders; outputs that other tests' tasks still make are not among them."""
    return {path for path in (gateway.data / "objects").rglob("*") if path.is_file() and "bod" in str(path)}


def png_of_gigapixels(side: int = 60_000) -> bytes:
    """Write a PNG of a few kilobytes whose rows, unpacked, are gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = side.to_bytes(4) + side.to_bytes(4) + bytes((1, 0, 0, 0, 0))
    rows = zlib.compress(bytes((side // 8 + 1) * 4_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _lines(headers: dict[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]
