"""A head that came before on its connection is not parsed again: app and client see the very same all the same."""

import asyncio
import gc
import weakref
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.server.rig import App, Receive, Scope, Send, answer, read, read_body, request
from tests.server.wire import Line

from halley.server import Exchange, HttpProtocol
from halley.server.head import Head
from halley.server.protocol import TRIES_LATER, UNREAD_BYTES_MAX

LARGE = UNREAD_BYTES_MAX + 10_000


Step = bytes | float | bool
"""Bytes that are read, seconds that pass, or whether the client takes less than is written from now on."""


class Forgetful(HttpProtocol):
    """Parses every head."""

    remembers = False


class Told:
    """An app that keeps what it is told, by our scope's exchange."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.heads: list[Head] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        [exchange] = scope["extensions"].values()
        self.heads.append(exchange.head)
        self.told.append(tuple((key, deepcopy(value)) for key, value in scope.items() if key != "extensions"))
        body = b"" if scope["path"] == "/ignores" else await read_body(receive)
        self.told.append((body,))
        scope["headers"].append((b"spoilt", b"by the app"))
        await answer(send, b"%d" % len(body))


class ToldNatively(Told):
    """The same of exchanges; it answers at once, later, or after it received the body."""

    async def exchange(self, exchange: Exchange) -> None:
        head, body = exchange.head, exchange.body
        self.heads.append(head)
        facts = (head.method, head.target, head.path, head.query, head.version, head.keep_alive, head.is_old)
        self.told.append((*facts, exchange.headers(), body, exchange.whole, exchange.peer))
        if head.path == b"/receives":
            body = await read_body(exchange.receive)
            self.told.append((body,))
        elif head.path == b"/waits":
            for _ in range(3):
                await asyncio.sleep(0)
        exchange.respond(200, (), b"%d" % len(body or b""), encoded=b"x-a: b\r\n")


APPS: dict[str, type[Told]] = {"native": ToldNatively, "asgi": Told}

# `%b` is the length.
ORDINARY = [
    b"POST /a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer 1\r\ncontent-length: %b\r\naccept: */*\r\n\r\n",
    b"POST /a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer 2\r\ncontent-length: %b\r\naccept: */*\r\n\r\n",
    b"POST /receives HTTP/1.1\r\nContent-Length:%b\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
    b"PUT /waits?x=content-length:%%201 HTTP/1.1\r\nhost: a\r\nx: content-length: 1\r\nCONTENT-LENGTH: \t%b\r\n\r\n",
    b"GET /ignores HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /a HTTP/1.1\r\nhost: a\r\ncontent-length: %b\r\n\r\n",
    b"\r\nPOST /a HTTP/1.1\r\nhost: a\r\ncontent-length: %b\r\n\r\n",
]
ODD = [
    b"HEAD /a HTTP/1.1\r\nhost: a\r\ncontent-length: %b\r\n\r\n",
    b"POST /a HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: %b\r\n\r\n",
    b"POST /a HTTP/1.1\r\nconnection: close\r\ncontent-length: %b\r\n\r\n",
    b"POST /receives HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: %b\r\n\r\n",
    b"POST /a HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: %b\r\n\r\n",
    b"POST /a HTTP/1.1\r\nproxy-connection: close\r\ncontent-length: %b\r\n\r\n",
    b"POST /a HTTP/1.1\r\ncontent-length: %b\r\ncontent-length: 1\r\n\r\n",
    b"POST /a HTTP/1.1\r\ncontent-length: %b\r\ntransfer-encoding: chunked\r\n\r\n",
    b"POST /a HTTP/1.1\r\nlong: " + b"a" * 9_000 + b"\r\ncontent-length: %b\r\n\r\n",
    b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
]
SIZES = [0, 1, 5, 9, 10, 11, 99, 100, 101, LARGE]
SPELLINGS = [b"0L", b"+L", b"-L", b" L", b"L ", b"L,L", b"1L", b"", b"0x1", b"L\r\n 1", b"L\n", b"9999999999"]
"""Of a length; `L` stands for the digits."""
JUNK = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"G", b"GE", b"POST /a HTTP/1.1\r\n", b"\0", b"abc"]
SECONDS = [0.1, 4.0, 29.0, 31.0]


def message(head: bytes, size: int, told: bytes | None = None) -> bytes:
    if b"%b" not in head:
        return head
    return head % (b"%d" % size if told is None else told) + b"x" * size


@st.composite
def messages(draw: st.DrawFn, heads: Sequence[bytes]) -> bytes:
    """Draw a request as it should be."""
    return message(draw(st.sampled_from(heads)), draw(st.sampled_from(SIZES)))


@st.composite
def lies(draw: st.DrawFn, heads: Sequence[bytes]) -> bytes:
    """Draw a request whose length is spelled oddly, or wrong."""
    size = draw(st.sampled_from(SIZES[:-1]))
    spelling = draw(st.sampled_from(SPELLINGS)).replace(b"L", b"%d" % size)
    told = draw(st.sampled_from([spelling, b"%d" % (size + 1), b"%d" % (size + 5), b"%d" % max(0, size - 1)]))
    return message(draw(st.sampled_from(heads)), size, told)


@st.composite
def steps_of(draw: st.DrawFn, heads: Sequence[bytes]) -> list[Step]:
    """Draw what may come between whole requests."""
    first, second, odd = draw(messages(heads)), draw(messages(heads)), draw(st.sampled_from(ODD))
    cut = draw(st.integers(0, len(first)))
    ways: list[list[Step]] = [
        [first[:cut], first[cut:]],
        [second + first[:cut], first[cut:]],
        [first, second + draw(st.sampled_from(JUNK))],
        [draw(st.sampled_from(JUNK)), first],
        [first, draw(st.sampled_from(SECONDS)), second],
        [True, first, second, False],
        [draw(lies(heads))],
        [message(odd, 2), message(odd, 3)],
    ]
    return draw(st.sampled_from(ways))


@st.composite
def talks(draw: st.DrawFn) -> list[Step]:
    """Draw what is read, and what else happens: mostly whole requests with one or two heads, and something between."""
    heads = draw(st.lists(st.sampled_from(ORDINARY), min_size=1, max_size=2))
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 4))):
        steps += draw(st.lists(messages(heads), min_size=1, max_size=3))
        steps += draw(steps_of(heads))
    return [*steps, draw(messages(heads))]


async def _talk(line: Line, steps: Sequence[Step], *, hurried: bool) -> list[tuple[Any, ...]]:
    """Give what can be seen of the connection after each step."""
    seen: list[tuple[Any, ...]] = []
    for step in steps:
        if isinstance(step, bool):
            (line.protocol.pause_writing if step else line.protocol.resume_writing)()
        elif isinstance(step, float):
            line.loop.tick(step)
        elif isinstance(step, bytes) and step and not (line.wire.closed or line.wire.paused):
            line.protocol.data_received(step)
        await asyncio.sleep(0)
        if not hurried:
            await line.settle()
        wire, state = line.wire, line.state
        counts = (state.total_requests, len(state.tasks), line.loop.timers)
        seen.append((wire.written, wire.closed, wire.aborted, wire.ended, wire.paused, *counts))
    await line.settle()
    line.loop.tick(1.0)
    return [*seen, (line.wire.written, line.wire.closed, line.state.total_requests)]


async def talk(make: type[HttpProtocol], app: App, steps: Sequence[Step], *, hurried: bool) -> object:
    return await _talk(Line(app, make=make, proxy_headers=False), steps, hurried=hurried)


POST = b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n"


@pytest.mark.parametrize("way", APPS)
@given(talks(), st.booleans())
@example([POST % 2 + b"ab" + b"GET / HT", POST % 2 + b"ab"], False)
@example([POST % 2 + b"ab", POST % 2 + b"ab" + b"GET / HT", POST % 2 + b"ab"], False)
@example([POST % 2 + b"ab", POST % 2 + b"ab\r", POST % 2 + b"ab"], False)
@example([POST % 2 + b"ab", POST % LARGE + b"a" * LARGE, POST % 0, POST % 10 + b"0123456789"], False)
@example([POST % 2 + b"ab", POST % 2 + b"ab", POST % 2 + b"ab"], True)
@example([POST % 2 + b"ab", b"\r\n", POST % 2 + b"ab", 29.0, POST % 2 + b"ab", 31.0], False)
def test_what_is_remembered_makes_no_difference(way: str, steps: list[Step], hurried: bool):
    remembering, forgetful = APPS[way](), APPS[way]()

    got = asyncio.run(talk(HttpProtocol, remembering, steps, hurried=hurried))
    expected = asyncio.run(talk(Forgetful, forgetful, steps, hurried=hurried))

    assert remembering.told == forgetful.told
    assert got == expected
    assert len(set(map(id, forgetful.heads))) == len(forgetful.heads)


async def told(*pieces: bytes, app: Told | None = None) -> Told:
    app = app or ToldNatively()
    await Line(app, proxy_headers=False).feed(*pieces)
    return app


@pytest.mark.parametrize("way", APPS)
async def test_a_head_that_comes_again_is_the_same_object_whatever_the_length(way: str):
    app = await told(*(POST % size + b"x" * size for size in (5, 0, 100, LARGE, 7)), app=APPS[way]())

    assert len(app.heads) == 5
    assert {id(head) for head in app.heads} == {id(app.heads[0])}


async def test_a_head_without_a_body_is_remembered_too():
    app = await told(*(request("GET /a", close=False),) * 3)

    assert len(app.heads) == 3
    assert app.heads[0] is app.heads[1] is app.heads[2]


async def test_what_the_app_knows_of_a_head_is_there_the_next_time_and_for_no_other():
    app = ToldNatively()
    line = Line(app, proxy_headers=False)
    await line.feed(POST % 1 + b"a")
    assert app.heads[0].known is None
    app.heads[0].known = "worked out"
    await line.feed(POST % 2 + b"ab", request("GET /a", close=False), POST % 2 + b"ab")
    assert [head.known for head in app.heads] == ["worked out", "worked out", None, "worked out"]

    await line.feed(*[request("GET /a", close=False)] * 3, POST % 2 + b"ab")
    assert [head.known for head in app.heads[4:]] == [None] * 4
    assert app.heads[5] is app.heads[6]


async def test_each_request_has_its_own_length_among_its_headers():
    app = await told(POST % 5 + b"hello", POST % 11 + b"hello again")

    assert [facts[7] for facts in app.told] == [
        [(b"host", b"a"), (b"content-length", b"5")],
        [(b"host", b"a"), (b"content-length", b"11")],
    ]


class _Secret:
    """Something that can be watched."""


async def test_nothing_is_remembered_of_a_connection_that_has_ended():
    app = ToldNatively()
    line = Line(app, proxy_headers=False)
    await line.feed(POST % 5 + b"hello")
    secret = _Secret()
    app.heads[0].known = secret
    watched = weakref.ref(secret)
    del secret
    app.heads.clear()
    gc.collect()
    assert watched() is not None

    line.lose()
    gc.collect()
    assert watched() is None


async def test_where_all_heads_differ_one_that_stays_is_known_soon_after():
    app = await told(
        *(request(f"GET /{number}", close=False) for number in range(100)), *[POST % 1 + b"a"] * (TRIES_LATER + 1)
    )

    # Before that, few are tried.
    assert app.heads[100] is not app.heads[101]
    assert app.heads[-2] is app.heads[-1]


async def test_a_pipelined_request_waits_for_its_turn_as_ever():
    app = ToldNatively()
    line = Line(app, proxy_headers=False)
    await line.feed(request("GET /waits", close=False))
    for _ in range(3):
        line.protocol.data_received(request("GET /waits", close=False))
    await asyncio.sleep(0)
    assert len(app.told) == 2
    for _ in range(20):
        await asyncio.sleep(0)

    assert len(read(line.wire.written)) == 4


async def test_reading_goes_on_behind_a_large_body_that_came_with_its_head_again():
    app = ToldNatively()
    line = Line(app, proxy_headers=False)
    await line.feed(POST % LARGE + b"x" * LARGE)
    line.protocol.data_received(POST % LARGE + b"x" * LARGE)
    assert not line.wire.paused
    await line.settle()

    assert app.heads[0] is app.heads[1]
