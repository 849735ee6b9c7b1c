"""A connection over several requests: kept alive, pipelined, left, one too many, handed over, stopped."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any

import aiohttp
import pytest
import uvicorn
from tests.server.rig import (
    App,
    Receive,
    Scope,
    Send,
    Server,
    answer,
    echo,
    knowing,
    one,
    read,
    read_body,
    request,
    serving,
    until,
)
from tests.server.wire import Line

from halley.api.websocket_server import websocket_options
from halley.server import Door, Exchange, HttpProtocol
from halley.server.protocol import PIPELINED_AT_ONCE_MAX, PIPELINED_MAX

GET = request("GET /", close=False)


async def test_requests_follow_each_other_on_one_connection():
    async with serving(echo) as server:
        client = await server.open()
        for number in range(5):
            client.send(request(f"POST /{number}", body=b"hello", close=False))
            assert (await client.reply()).json["path"] == f"/{number}"
        assert len(server.state.connections) == 1
        assert server.state.total_requests == 5
        await client.close()
        await until(lambda: not server.state.connections)


async def test_an_app_that_leaves_the_body_alone_does_not_disturb_the_next_request():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await answer(send, scope["path"].encode())

    async with serving(app) as server:
        client = await server.open()
        client.send(request("POST /1", "content-length: 1000000", close=False))
        assert (await client.reply()).body == b"/1"
        client.send(b"GET /smuggled HTTP/1.1\r\n\r\n".ljust(1_000_000))
        client.send(request("GET /2", close=False))
        assert (await client.reply()).body == b"/2"
        await client.close()


async def test_an_answer_can_be_read_by_a_client_that_still_sends():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"no", status=401, headers=((b"connection", b"close"),))

    async with serving(app) as server:
        client = await server.open()
        client.send(request("POST /", "content-length: 20000000", close=False, body=b"x" * 20_000_000))
        assert one(await client.rest()).status == 401
        await client.close()


async def test_pipelined_requests_are_answered_in_order_one_at_a_time():
    at_once, most = 0, 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        body = await read_body(receive)
        await asyncio.sleep(0)
        at_once -= 1
        await answer(send, scope["path"].encode() + body)

    count = 5 * PIPELINED_MAX
    raw = b"".join(request(f"POST /{number}", body=b" %d" % number, close=False) for number in range(count))
    async with serving(app) as server:
        replies = read(await server.talk(raw + request("GET /last")))

    assert [reply.body for reply in replies] == [*(b"/%d %d" % (n, n) for n in range(count)), b"/last"]
    assert most == 1


async def test_too_many_pipelined_requests_end_the_connection_after_those_that_were_taken():
    async with serving(echo) as server:
        replies = read(await server.talk(GET * (3 * PIPELINED_AT_ONCE_MAX)))

    assert len(replies) == PIPELINED_AT_ONCE_MAX + 1
    assert all(reply.status == 200 for reply in replies)
    assert [reply.header("connection") for reply in replies][-2:] == [None, "close"]


async def test_reading_stops_while_many_requests_wait():
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await echo(scope, receive, send)

    async with serving(app) as server:
        client = await server.open()
        for _ in range(PIPELINED_MAX + 1):
            client.send(GET)
        await until(lambda: server.state.tasks)
        for _ in range(20):
            await asyncio.sleep(0.001)
        client.send(request("POST /", body=b"x" * 16_000_000, close=False))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert client.writer.transport.get_write_buffer_size() > 10_000_000
        go.set()
        assert len(await client.replies(PIPELINED_MAX + 2)) == PIPELINED_MAX + 2
        await client.close()


async def test_what_is_refused_behind_other_requests_is_refused_after_their_answers():
    async with serving(echo) as server:
        replies = read(await server.talk(GET * 3 + b"what is this\r\n\r\n"))

    assert [reply.status for reply in replies] == [200, 200, 200, 400]


async def test_what_follows_the_last_request_is_not_heeded():
    async with serving(echo) as server:
        assert one(await server.talk(request() + GET + b"\0\0\0")).status == 200


async def test_a_client_that_hangs_up_is_told_to_the_app_that_waits_for_its_body():
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        told.append((await receive())["type"])
        told.append((await receive())["type"])
        await answer(send)

    async with serving(app) as server:
        client = await server.open()
        client.send(request("POST /", "content-length: 10", body=b"hello"))
        await until(lambda: told)
        await client.close()
        await until(lambda: len(told) == 2)

    assert told == ["http.request", "http.disconnect"]


async def test_a_client_that_hangs_up_while_its_call_runs_is_told_to_the_app_and_its_further_calls_are_dropped():
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        told.append(scope["path"])
        told.append((await receive())["type"])
        await answer(send)

    async with serving(app) as server:
        client = await server.open()
        client.send(request("GET /1", close=False) + request("GET /2"))
        await until(lambda: told)
        await client.close()
        await until(lambda: not server.state.tasks)

    assert told == ["/1", "http.disconnect"]


async def test_an_app_that_was_answered_is_told_that_nothing_more_comes():
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        async with asyncio.TaskGroup() as group:
            await read_body(receive)
            waiting = group.create_task(receive())  # pyright: ignore[reportArgumentType, reportUnknownVariableType] - a coroutine in truth
            await asyncio.sleep(0)
            await answer(send)
            told.append((await waiting)["type"])  # pyright: ignore[reportUnknownArgumentType] - as above

    async with serving(app) as server:
        assert one(await server.talk(request())).status == 200
        await until(lambda: told)

    assert told == ["http.disconnect"]


async def test_a_connection_too_many_is_turned_away_and_those_there_are_go_on():
    async with serving(echo, door=Door(1)) as server:
        first, second = await server.open(), await server.open()
        reply = one(await second.rest())
        first.send(GET)
        assert (await first.reply()).status == 200
        await first.close()
        await until(lambda: not server.state.connections)
        assert one(await server.talk(request())).status == 200
        await second.close()

    assert (reply.status, reply.body) == (503, b"Service Unavailable")
    assert reply.header("connection") == "close"
    assert reply.header("retry-after")


async def test_what_comes_on_a_connection_too_many_is_not_read():
    line = Line(echo, make=partial(HttpProtocol, door=Door(0)))
    await line.feed(b"no request")

    assert line.wire.written.count(b"HTTP/1.1 ") == 1
    assert line.wire.is_closing()


def test_turned_away_connections_are_told_of_once_a_minute(caplog: pytest.LogCaptureFixture):
    door = Door(2)
    answers = [door.lets_in(connections, now) for now in (0.0, 1.0, 59.0, 60.0) for connections in (2, 3)]

    assert answers == [True, False] * 4
    assert [vars(told)["turned_away"] for told in caplog.records] == [1, 3]


async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer websocket messages with themselves, and the rest as `echo`."""
    if scope["type"] == "http":
        await echo(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"{scope['path']} {message['text']}"})


async def test_a_websocket_is_handed_over_and_counted():
    async with serving(chat, **websocket_options()) as server, aiohttp.ClientSession() as session:
        base = f"http://127.0.0.1:{server.port}"
        async with session.get(f"{base}/before") as before:
            assert (await before.json())["path"] == "/before"
        async with session.ws_connect(f"{base}/talk?a=b") as talk:
            await talk.send_str("hello")
            assert await talk.receive_str() == "/talk hello"
            [connection] = [one for one in server.state.connections if not isinstance(one, HttpProtocol)]
            assert type(connection).__name__ == "WebSocketProtocol"
        await until(lambda: not server.state.tasks)


UPGRADE = (
    "connection: Upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def test_a_websocket_behind_an_unanswered_request_is_refused():
    async with serving(chat, **websocket_options()) as server:
        replies = read(await server.talk(GET + request("GET /", *UPGRADE, close=False)))

    assert [reply.status for reply in replies] == [200, 400]


UNREADABLE = {
    request("GET /", *UPGRADE, "content-length: 5", close=False, body=b"hello"): 400,
    request("GET /", *UPGRADE, "content-length: 5", close=False): 400,
    request("GET /", *UPGRADE, "transfer-encoding: chunked", close=False): 400,
    request("GET /", *UPGRADE, "x: " + "y" * 9_000, close=False): 431,
    request("GET /?" + "a" * 20_000, *UPGRADE, close=False): 414,
}


@pytest.mark.parametrize(("raw", "status"), UNREADABLE.items(), ids=["body", "length", "chunks", "header", "target"])
async def test_a_handshake_that_cannot_be_read_is_refused(raw: bytes, status: int):
    async with serving(chat, **websocket_options()) as server:
        reply = one(await server.talk(raw))
        await until(lambda: not server.state.connections)

    assert reply.status == status


@pytest.mark.parametrize("head", [*UNREADABLE, request("GET /", *UPGRADE[:3], close=False)])
async def test_a_handshake_that_was_refused_does_not_hinder_the_stop(head: bytes):
    line = Line(chat, **websocket_options())
    line.protocol.data_received(head)
    for connection in tuple(line.state.connections):
        connection.shutdown()

    assert line.wire.closed
    assert one(line.wire.written).status >= 400


async def test_a_handshake_may_say_that_it_has_no_body():
    async with serving(chat, **websocket_options()) as server:
        client = await server.open()
        client.send(request("GET /", *UPGRADE, "content-length: 0", close=False))
        assert (await client.until(b"\r\n")).split()[1] == b"101"
        await client.close()
        await until(lambda: not server.state.tasks)


async def test_a_websocket_is_a_request_like_others_where_none_is_spoken():
    async with serving(echo) as server:
        reply = one(await server.talk(request("GET /", *UPGRADE, "connection: close", close=False)))

    assert (reply.status, reply.json["path"]) == (200, "/")


class _Server(uvicorn.Server):
    """Uvicorn's own, which takes signals only in a process of its own."""

    def capture_signals(self) -> Any:
        return nullcontext()


@asynccontextmanager
async def run_by_uvicorn(app: App, **options: Any) -> AsyncGenerator[tuple[Server, uvicorn.Server]]:
    listening = await asyncio.to_thread(_listening)
    config: Any = {"ws": "none", "lifespan": "on", "log_config": None, "access_log": False, **options}
    server = _Server(uvicorn.Config(app, http=HttpProtocol, **config))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listening]))
        await until(lambda: server.started)
        yield Server(listening.getsockname()[1], server.server_state), server
        server.should_exit = True


def _listening() -> Any:
    return socket.create_server(("127.0.0.1", 0))


def held(go: asyncio.Event) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["from"] = "lifespan"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await go.wait()
        await answer(send, scope["state"]["from"].encode())

    return app


async def test_uvicorns_server_runs_it_with_its_date_and_state_and_stops_when_the_last_answer_is_out():
    go = asyncio.Event()
    async with run_by_uvicorn(held(go), timeout_graceful_shutdown=10) as (server, uvicorns):
        idle, busy = await server.open(), await server.open()
        go.set()
        idle.send(GET)
        reply = await idle.reply()
        assert reply.header("date")
        assert reply.header("server") == "uvicorn"
        assert reply.body == b"lifespan"
        go.clear()
        busy.send(GET + request("GET /never-begun"))
        await until(lambda: server.state.tasks)
        uvicorns.should_exit = True
        assert await idle.rest() == b""
        go.set()
        [last] = read(await busy.rest())
        assert last.header("connection") == "close"
        for client in (idle, busy):
            await client.close()


async def test_uvicorns_server_cuts_what_does_not_end():
    go = asyncio.Event()
    async with run_by_uvicorn(held(go), timeout_graceful_shutdown=0) as (server, uvicorns):
        client = await server.open()
        client.send(GET)
        await until(lambda: server.state.tasks)
        uvicorns.should_exit = True
        assert one(await client.rest()).status == 500
        await client.close()


async def test_an_answer_under_way_is_ended_when_the_server_stops():
    go = asyncio.Event()

    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        exchange.start(200, ())
        exchange.write(b"one")
        await go.wait()
        exchange.write(b"two")
        exchange.end()

    async with serving(knowing(serve)) as server:
        client = await server.open()
        client.send(GET)
        await client.until(b"one\r\n")
        for connection in server.state.connections:
            connection.shutdown()
        go.set()
        assert await client.rest() == b"3\r\ntwo\r\n0\r\n\r\n"
        await client.close()
