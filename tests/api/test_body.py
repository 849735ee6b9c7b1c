import asyncio
import gzip
import tracemalloc
import zlib
from typing import Any

import pytest
from tests.api.client import Client, Owner

from halley.api.asgi import ClientLeft
from halley.api.body import BodyReader, TooSlow, UnsupportedType
from halley.kernel.faults import BadRequest, TooLarge

LIMIT = 1_000_000


def reader(*messages: dict[str, Any], headers: dict[str, str] | None = None, idle_s: float = 30.0) -> BodyReader:
    pending = list(messages)

    async def receive() -> dict[str, Any]:
        if not pending:
            await asyncio.Event().wait()
        return pending.pop(0)

    return BodyReader(receive, headers or {}, bytes_max=LIMIT, idle_s=idle_s)


def chunk(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


async def test_a_body_in_chunks_is_read_whole():
    assert await reader(chunk(b'{"a"', more=True), chunk(b"", more=True), chunk(b":1}")).json() == {"a": 1}


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b'{"a":1}')),
        ("x-gzip", gzip.compress(b'{"a":1}')),
        ("deflate", zlib.compress(b'{"a":1}')),
        ("deflate", zlib.compress(b'{"a":1}')[2:-4]),
        ("identity", b'{"a":1}'),
    ],
    ids=["gzip", "x-gzip", "deflate", "raw deflate", "identity"],
)
async def test_a_packed_body_is_unpacked(encoding: str, packed: bytes):
    assert await reader(chunk(packed), headers={"content-encoding": encoding}).json() == {"a": 1}


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(b"{}")[:-3], gzip.compress(b"{}") + b"more", b"\x1f"],
    ids=["no gzip", "cut short", "more after it", "one byte"],
)
async def test_what_is_not_one_whole_stream_is_refused(data: bytes):
    with pytest.raises(BadRequest, match="gzip"):
        await reader(chunk(data), headers={"content-encoding": "gzip"}).read()


async def test_a_decompression_bomb_is_refused_before_it_fills_the_memory():
    bomb = gzip.compress(bytes(200_000_000))
    assert len(bomb) < LIMIT
    tracemalloc.start()
    with pytest.raises(TooLarge):
        await reader(chunk(bomb), headers={"content-encoding": "gzip"}).read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 4 * LIMIT


async def test_an_unknown_packing_is_refused():
    with pytest.raises(UnsupportedType, match="br"):
        await reader(chunk(b"x"), headers={"content-encoding": "br"}).read()


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
async def test_a_form_is_refused_with_the_remedy(kind: str):
    with pytest.raises(UnsupportedType, match="application/json"):
        await reader(chunk(b"a=1"), headers={"content-type": kind}).json()


@pytest.mark.parametrize("data", [b"", b"  ", b"{", b"[1]", b'"a"', b"\xff", b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"])
async def test_what_is_not_a_json_object_is_refused(data: bytes):
    with pytest.raises(BadRequest):
        await reader(chunk(data)).json()


async def test_a_body_that_stalls_is_given_up():
    with pytest.raises(TooSlow):
        await reader(chunk(b"{", more=True), idle_s=0.01).read()


async def test_a_body_that_drips_is_given_up():
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return chunk(b"x", more=True)

    with pytest.raises(TooSlow):
        await BodyReader(receive, {}, bytes_max=10**9, whole_s=0.01).read()


async def test_a_caller_who_leaves_is_noticed():
    with pytest.raises(ClientLeft):
        await reader(chunk(b"{", more=True), {"type": "http.disconnect"}).read()


@pytest.mark.parametrize("length", ["1000001", "9" * 500])
async def test_a_length_over_the_limit_is_refused_without_reading(client: Client, owner: Owner, length: str):
    headers = {**owner.bearer, "content-length": length, "content-type": "application/json", "expect": "100-continue"}
    response = await client.send("POST", "/flux/v1/flux-dev", {**headers, "content-length": "9" * len(length)})

    assert response.status == 413
    assert client.chunks_read == 0


async def test_a_chunked_body_over_the_limit_is_refused_when_it_gets_there(client: Client, owner: Owner):
    response = await client.send("POST", "/flux/v1/flux-dev", owner.bearer, [b"x" * 600_000] * 10)

    assert response.status == 413
    assert client.chunks_read == 2


@pytest.mark.parametrize("length", ["-1", "1e3", "٣"])
async def test_a_length_that_is_no_number_is_refused(length: str):
    with pytest.raises(BadRequest, match="Content-Length"):
        await reader(chunk(b"{}"), headers={"content-length": length}).read()


async def test_without_a_key_nothing_of_a_body_is_read(client: Client):
    response = await client.send("POST", "/flux/v1/flux-dev", (), [b"x" * 100_000] * 1_000)

    assert response.status == 401
    assert client.chunks_read == 0
