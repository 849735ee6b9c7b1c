"""An app that takes exchanges: it is handed them as they are, unless something was put between it and the server."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.rig import END, Receive, Scope, Send, answer, chunked, one, read, read_body, request, serving
from tests.server.wire import Line

from halley.server import EXTENSION, Exchange, NativeApp


class Native:
    """Tells which way it was asked."""

    async def exchange(self, exchange: Exchange) -> None:
        await self.serve(exchange)

    async def serve(self, exchange: Exchange) -> None:
        exchange.respond(200, (), b"native")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"asgi")


async def test_an_app_that_takes_exchanges_is_handed_them():
    app = Native()
    native: NativeApp = app
    assert native
    async with serving(app, proxy_headers=False) as server:
        raw = request(close=False)
        replies = read(await server.talk(raw * 2 + request("POST /", body=b"hello")))

    assert [reply.body for reply in replies] == [b"native"] * 3
    assert server.state.total_requests == 3


async def test_an_app_behind_something_of_uvicorns_is_asked_by_asgi():
    async with serving(Native(), proxy_headers=True) as server:
        assert one(await server.talk(request())).body == b"asgi"


async def test_an_app_whose_exchange_is_something_else_is_asked_by_asgi():
    class Odd(Native):
        exchange = "no method"  # pyright: ignore[reportAssignmentType] - as meant

    async with serving(Odd(), proxy_headers=False) as server:
        assert one(await server.talk(request())).body == b"asgi"


@pytest.mark.parametrize(
    ("raw", "facts"),
    [
        (request("GET /a%20b?x=1"), ("GET", b"/a%20b?x=1", b"/a%20b", b"x=1", "1.1", False, False)),
        (
            request("POST http://b/a?c", close=False, body=b"hi"),
            ("POST", b"http://b/a?c", b"/a", b"c", "1.1", True, False),
        ),
        (request("HEAD /", "X-Up: VALUE", version="1.0"), ("HEAD", b"/", b"/", b"", "1.0", False, True)),
    ],
    ids=["GET", "POST", "HEAD"],
)
async def test_the_head_tells_what_was_asked(raw: bytes, facts: tuple[object, ...]):
    class Telling(Native):
        async def serve(self, exchange: Exchange) -> None:
            head = exchange.head
            told = (head.method, head.target, head.path, head.query, head.version, head.keep_alive, head.is_old)
            assert told == facts
            assert head.headers[0] == (b"host", b"test")
            assert head.headers == exchange.headers()
            assert head.known is None
            assert exchange.peer == ("127.0.0.1", exchange.scope()["client"][1])
            exchange.respond(200, (), b"as told")

    async with serving(Telling(), proxy_headers=False) as server:
        client = await server.open()
        client.send(raw)
        assert b" 200 " in await client.until(END)
        await client.close()


async def test_the_scope_is_there_for_the_asking():
    scopes: list[Scope] = []

    class Asking(Native):
        async def serve(self, exchange: Exchange) -> None:
            scopes.append(exchange.scope())
            await answer(exchange.send, await read_body(exchange.receive))

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            scopes.append(scope)
            await answer(send, await read_body(receive))

    raw = request("PUT /a%20b?c", "transfer-encoding: chunked", body=chunked(b"hel", b"lo"))
    for by_asgi in (False, True):
        async with serving(Asking(), proxy_headers=by_asgi) as server:
            assert one(await server.talk(raw)).body == b"hello"

    native, asgi = scopes
    assert native["extensions"].keys() == asgi["extensions"].keys() == {EXTENSION}
    for own in ("server", "client", "extensions"):
        del native[own], asgi[own]
    assert native == asgi


async def test_an_app_that_fails_or_says_nothing_gets_a_500(caplog: pytest.LogCaptureFixture):
    class Failing(Native):
        async def serve(self, exchange: Exchange) -> None:
            if exchange.head.path == b"/fails":
                raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "halley.server"):
        async with serving(Failing(), proxy_headers=False) as server:
            assert one(await server.talk(request("GET /fails"))).status == 500
            assert one(await server.talk(request("GET /says-nothing"))).status == 500
            assert not server.state.tasks

    assert [record.exc_info is not None for record in caplog.records] == [False, True, False]


@pytest.mark.parametrize("size", [1, 100_000])
async def test_an_answer_to_a_client_who_left_goes_nowhere(size: int):
    go, exchanges = asyncio.Event(), list[Exchange]()

    class Slow(Native):
        async def serve(self, exchange: Exchange) -> None:
            await go.wait()
            exchange.respond(200, (), b"x" * size)
            exchanges.append(exchange)

    line = Line(Slow(), proxy_headers=False)
    line.protocol.data_received(request(close=False))
    await asyncio.sleep(0)
    line.lose()
    go.set()
    await line.settle()

    assert line.wire.written == b""
    assert [(exchange.left, exchange.answered) for exchange in exchanges] == [(True, True)]


LINES = st.sampled_from([b"", b"x-a: b\r\n", b"x-a: b\r\nx-c: d\r\n"])
STATUSES = st.sampled_from([200, 201, 204, 304, 404, 500, 599, 700])
BODIES = st.sampled_from([b"", b"a", b"hello", b"x" * 16_384, b"x" * 16_385])
ASKED = st.sampled_from(
    [
        request(close=False),
        request(),
        request("HEAD /", close=False),
        request(version="1.0"),
        request("POST /", "content-length: 5", close=False),
        request("POST /", "content-length: 5", "expect: 100-continue", close=False),
        request("POST /", body=b"hello", close=False),
    ]
)


class Responding(Native):
    def __init__(self, *, at_once: bool, status: int, lines: bytes, body: bytes) -> None:
        self.at_once = at_once
        self.status, self.lines, self.body = status, lines, body
        self.failed: list[str] = []

    async def serve(self, exchange: Exchange) -> None:
        # Of an iterator nobody knows beforehand that it is empty.
        headers = () if self.at_once else iter(())
        for _ in range(2):
            try:
                exchange.respond(self.status, headers, self.body, encoded=self.lines)
            except (RuntimeError, KeyError) as error:
                self.failed.append(repr(error))
        self.failed.append(repr((exchange.answered, exchange.started, exchange.keep_alive)))


@given(st.lists(ASKED, min_size=1, max_size=3), STATUSES, LINES, BODIES)
def test_a_whole_answer_without_headers_of_its_own_is_the_same_either_way(
    asked: list[bytes], status: int, lines: bytes, body: bytes
):
    async def run(*, at_once: bool) -> tuple[object, ...]:
        app = Responding(at_once=at_once, status=status, lines=lines, body=body)
        line = Line(app, proxy_headers=False)
        await line.feed(*asked)
        return line.wire.written, line.wire.closed, line.wire.ended, line.state.total_requests, app.failed

    assert asyncio.run(run(at_once=True)) == asyncio.run(run(at_once=False))
