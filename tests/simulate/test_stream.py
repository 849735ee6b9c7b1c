"""Answers over a real socket, whole and streamed, with the endings that a test orders."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import aiohttp
import pytest
from tests.simulate.conftest import StartSimulator, TickedClock

from halley.vendors.simulate import (
    Reply,
    Request,
    Router,
    SimulatorHost,
    directive_for,
    json_reply,
    send_stream,
    send_whole,
)
from halley.vendors.simulate.stream import BROKEN_FRAME, LEFT, STREAM_TYPE

FRAMES = [f"data: {number}\n\n".encode() for number in range(8)]
ERROR = b'data: {"error":{}}\n\n'
WHOLE = {"text": "x" * 100}


def create_app(host: SimulatorHost) -> Router:
    async def stream(request: Request) -> None:
        await request.body()
        directive = directive_for(request.raw_headers, None)
        await send_stream(request, FRAMES, directive, host, error_frame=ERROR, headers=(("x-request-id", "req_1"),))

    async def whole(request: Request) -> Reply | None:
        await request.body()
        await send_whole(request, json_reply(WHOLE), directive_for(request.raw_headers, None), host)
        return None

    router = host.router()
    router.add("POST", "/stream", stream)
    router.add("POST", "/whole", whole)
    return router


class Raw:
    """What came over the wire, and how it ended."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readuntil(mark)

    async def rest(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.read()

    async def is_silent(self) -> bool:
        try:
            async with asyncio.timeout(0.05):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


class AskRaw(Protocol):
    async def __call__(self, url: str, path: str, directive: str) -> Raw: ...


@pytest.fixture
async def ask() -> AsyncGenerator[AskRaw]:
    """Ask over connections that are closed when the test is over."""
    opened: list[asyncio.StreamWriter] = []

    async def asked(url: str, path: str, directive: str) -> Raw:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        opened.append(writer)
        head = ("POST", path, "HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2")
        writer.write(f"{' '.join(head)}\r\nhalley-test: {directive}\r\n\r\n{{}}".encode())
        return Raw(reader, writer)

    yield asked
    for writer in opened:
        writer.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread
            await asyncio.sleep(0.005)


async def test_each_frame_is_a_chunk_of_its_own_and_the_stream_ends_properly(start: StartSimulator, ask: AskRaw):
    raw = await ask((await start(create_app)).url, "/stream", "outcome=success")
    head, _, body = (await raw.rest()).partition(b"\r\n\r\n")
    assert f"content-type: {STREAM_TYPE}".encode() in head
    assert b"x-request-id: req_1" in head
    assert body == b"".join(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in FRAMES) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("outcome", "last", "is_whole"),
    [
        ("cut_stream", FRAMES[3], False),
        ("error_frame", ERROR, True),
        ("malformed_frame", FRAMES[7], True),
    ],
)
async def test_a_stream_breaks_off_as_ordered(
    start: StartSimulator, ask: AskRaw, outcome: str, last: bytes, is_whole: bool
):
    raw = await ask((await start(create_app)).url, "/stream", f"outcome={outcome}")
    got = await raw.rest()
    assert got.removesuffix(b"0\r\n\r\n").removesuffix(b"\r\n").endswith(last)
    assert got.endswith(b"0\r\n\r\n") is is_whole
    assert (BROKEN_FRAME in got) is (outcome == "malformed_frame")


async def test_a_stalled_stream_falls_silent_in_the_middle_until_the_client_leaves(start: StartSimulator, ask: AskRaw):
    server = await start(create_app)
    raw = await ask(server.url, "/stream", "outcome=stall_stream")
    await raw.until(FRAMES[3] + b"\r\n")
    assert await raw.is_silent()
    raw.writer.close()
    await until(lambda: server.host.journal.requests().get(LEFT))


async def test_the_delay_is_spread_over_the_frames(start: StartSimulator, ask: AskRaw, clock: TickedClock):
    raw = await ask((await start(create_app)).url, "/stream", "outcome=success; delay=8")
    await raw.until(b"\r\n\r\n")
    for frame in FRAMES:
        assert await raw.is_silent()
        clock.tick(1)
        await raw.until(frame + b"\r\n")


async def test_a_client_that_leaves_ends_a_paced_stream(start: StartSimulator, ask: AskRaw):
    server = await start(create_app)
    raw = await ask(server.url, "/stream", "outcome=success; delay=80")
    await raw.until(b"\r\n\r\n")
    raw.writer.close()
    await until(lambda: server.host.journal.requests().get(LEFT))


@pytest.mark.parametrize("path", ["/stream", "/whole"])
@pytest.mark.parametrize(
    ("order", "seconds"), [("outcome=slow_first_byte", 5), ("outcome=slow_first_byte; delay=2", 2)]
)
async def test_a_slow_first_byte_delays_the_head(
    start: StartSimulator, ask: AskRaw, clock: TickedClock, path: str, order: str, seconds: int
):
    raw = await ask((await start(create_app)).url, path, order)
    assert await raw.is_silent()
    clock.tick(seconds)
    assert (await raw.rest()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/stream", "/whole"])
async def test_a_reset_comes_instead_of_an_answer(start: StartSimulator, ask: AskRaw, path: str):
    raw = await ask((await start(create_app)).url, path, "outcome=reset_after_send")
    with pytest.raises(ConnectionResetError):
        await raw.rest()


async def test_a_whole_answer_waits_for_its_delay(start: StartSimulator, ask: AskRaw, clock: TickedClock):
    raw = await ask((await start(create_app)).url, "/whole", "outcome=success; delay=3")
    assert await raw.is_silent()
    clock.tick(3)
    assert (await raw.rest()).endswith(json.dumps(WHOLE, separators=(",", ":")).encode())


async def test_a_cut_answer_is_shorter_than_it_said(start: StartSimulator):
    url = (await start(create_app)).url
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/whole", headers={"halley-test": "outcome=cut_stream"}) as reply:
            with pytest.raises(aiohttp.ClientPayloadError):
                await reply.read()
        async with session.post(f"{url}/whole", headers={"halley-test": "outcome=malformed_frame"}) as reply:
            with pytest.raises(json.JSONDecodeError):
                json.loads(await reply.read())


async def test_a_stalled_answer_never_gets_to_its_end(start: StartSimulator, ask: AskRaw):
    raw = await ask((await start(create_app)).url, "/whole", "outcome=stall_stream")
    await raw.until(b"\r\n\r\n")
    await raw.reader.readexactly(55)
    assert await raw.is_silent()
