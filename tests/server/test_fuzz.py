"""However the network cuts what clients send, it is the same requests; and no bytes whatever break the server."""

import asyncio
import json
from itertools import pairwise

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.server.rig import chunked, echo, knowing, read, read_body, request
from tests.server.wire import Line

from halley.server import Exchange
from halley.server.head import encode_headers, plain_answer, split_target

BODIES = st.binary(max_size=300)
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=12)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, str, bytes]:
    """Draw the bytes of a request, its path, and its body."""
    path, body = f"/{draw(TOKENS)}", draw(BODIES)
    headers = tuple(f"x-{name}: {value}" for name, value in draw(st.lists(st.tuples(TOKENS, VALUES), max_size=4)))
    if draw(st.booleans()):
        cut = draw(st.integers(0, len(body)))
        pieces = chunked(*(piece for piece in (body[:cut], body[cut:]) if piece))
        return request(f"POST {path}", "transfer-encoding: chunked", *headers, body=pieces, close=False), path, body
    length = f"content-length: {len(body)}"
    return request(f"PUT {path}", length, *headers, body=body, close=False), path, body


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


async def _bodies(exchange: Exchange, receive: object) -> None:
    body = exchange.body
    if body is None:
        body = await read_body(receive)  # pyright: ignore[reportArgumentType] - it is ASGI's
    exchange.respond(200, (), json.dumps({"body": body.decode("latin-1")}).encode())


APPS = {"asgi": echo, "extension": knowing(_bodies)}


@pytest.mark.parametrize("way", APPS)
@given(st.lists(requests(), min_size=1, max_size=5), st.lists(st.integers(0, 10_000), max_size=40))
def test_requests_are_the_same_wherever_they_are_cut(way: str, asked: list[tuple[bytes, str, bytes]], cuts: list[int]):
    pieces = cut_up(b"".join(raw for raw, _, _ in asked), cuts)

    async def run() -> bytes:
        line = Line(APPS[way])
        await line.feed(*pieces)
        line.lose()
        return line.wire.written

    replies = read(asyncio.run(run()))
    assert [reply.json["body"] for reply in replies] == [body.decode("latin-1") for _, _, body in asked]
    if way == "asgi":
        assert [reply.json["path"] for reply in replies] == [path for _, path, _ in asked]


def test_requests_are_the_same_byte_by_byte():
    raw = request("POST /a?b=c", "x-a: b", body=b"hello", close=False)
    raw += request("POST /b", "transfer-encoding: chunked", body=chunked(b"hel", b"lo"), close=False) + request(
        "GET /c"
    )

    async def run() -> bytes:
        line = Line(echo)
        await line.feed(*(raw[at : at + 1] for at in range(len(raw))))
        return line.wire.written

    replies = read(asyncio.run(run()))
    assert [(reply.json["path"], reply.json["body"]) for reply in replies] == [
        ("/a", "hello"),
        ("/b", "hello"),
        ("/c", ""),
    ]


FRAGMENTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\n",
        b"HEAD / HTTP/1.0\r\n",
        b"host: a\r\n",
        b"content-length: 3\r\n",
        b"transfer-encoding: chunked\r\n",
        b"connection: close\r\n",
        b"connection: upgrade\r\nupgrade: h2c\r\n",
        b"connection: upgrade\r\nupgrade: websocket\r\n",
        b"expect: 100-continue\r\n",
        b"\r\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"0\r\nx: y\r\n\r\n",
        b"\0",
        b"\n",
    ]
)


@given(st.lists(FRAGMENTS | st.binary(max_size=20), max_size=30), st.booleans())
@example([b"GET / HTTP/1.1\r\n", b"connection: upgrade\r\nupgrade: h2c\r\n", b"\r\n"] * 5, False)
def test_no_bytes_whatever_break_it(fragments: list[bytes], leaves: bool):
    async def run() -> bytes:
        line = Line(echo)
        await line.feed(*fragments)
        line.loop.tick(30.5)
        if leaves:
            line.lose()
            await line.settle()
            assert not line.state.tasks
            assert not line.state.connections
            assert not line.loop.timers
        line.protocol.shutdown()
        for task in line.state.tasks:
            task.cancel()
        await line.settle()
        return line.wire.written

    written = asyncio.run(run()).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    # A HEAD's answer looks like one whose body is missing: what can be read without knowing must be whole.
    assert written == b"" or written.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 4", b"HTTP/1.1 5"))


@given(st.binary(max_size=30), st.binary(max_size=60))
def test_no_header_becomes_two(name: bytes, value: bytes):
    try:
        lines = encode_headers([(name, value), (b"x-after", b"1")])
    except ValueError:
        return
    head = b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 0\r\n\r\n"
    [reply] = read(head)

    assert [header for header, _ in reply.headers] == [name.decode().lower(), "x-after", "content-length"]


@given(st.text("abc/?#%.:@[]~", max_size=12))
def test_a_target_is_split_as_httptools_splits_it(text: str):
    target = b"/" + text.encode()
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return

    assert split_target(target) == (url.path, url.query or b"")


@pytest.mark.parametrize("status", [400, 408, 414, 431, 505])
def test_an_answer_of_our_own_is_whole(status: int):
    [reply] = read(plain_answer(status, b"date: today\r\n"))

    assert (reply.status, reply.header("date"), reply.header("connection")) == (status, "today", "close")
    assert reply.body
