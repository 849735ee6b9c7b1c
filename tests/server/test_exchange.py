"""The shorter way for an app that knows the server: `scope["extensions"]["halley.connection"]`."""

import asyncio

import pytest
from tests.server.rig import (
    END,
    App,
    Client,
    Receive,
    Scope,
    Send,
    Server,
    chunked,
    knowing,
    one,
    read,
    read_body,
    request,
    serving,
    until,
)

from halley.server import EXTENSION, Exchange
from halley.server.head import encode_headers

TYPE = (b"content-type", b"text/plain")


def answering(body: bytes = b"ok", status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = (TYPE,)) -> App:
    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        exchange.respond(status, headers, body)

    return knowing(serve)


async def bodies(exchange: Exchange, receive: Receive) -> None:
    """Tell the body as it is known at once, and as it is received."""
    at_once = exchange.body
    received = await read_body(receive)
    exchange.respond(200, (TYPE,), repr((at_once, received)).encode())


async def test_a_body_that_came_whole_is_there_at_once_and_still_received():
    async with serving(knowing(bodies)) as server:
        assert one(await server.talk(request("POST /", body=b"hello"))).body == b"(b'hello', b'hello')"
        assert one(await server.talk(request("GET /"))).body == b"(b'', b'')"
        raw = request("POST /", "transfer-encoding: chunked", body=chunked(b"hel", b"lo"))
        assert one(await server.talk(raw)).body == b"(b'hello', b'hello')"


async def test_a_body_that_is_still_to_come_is_received():
    async with serving(knowing(bodies)) as server:
        client = await server.open()
        client.send(request("POST /", "content-length: 5"))
        await until(lambda: server.state.tasks)
        client.send(b"hel")
        client.send(b"lo")
        assert one(await client.rest()).body == b"(None, b'hello')"
        await client.close()


async def test_a_whole_answer_goes_out_in_one_piece_with_its_length_counted():
    encoded = encode_headers([(b"X-Constant", b"1"), (b"x-other", b"2")])

    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        exchange.respond(201, (TYPE,), b"hello", encoded=encoded)

    async with serving(knowing(serve)) as server:
        reply = one(await server.talk(request()))

    assert (reply.status, reply.body) == (201, b"hello")
    assert reply.headers == [
        ("date", "Mon, 23 Nov 2026 01:00:00 GMT"),
        ("x-constant", "1"),
        ("x-other", "2"),
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("connection", "close"),
    ]


@pytest.mark.parametrize("size", [0, 1, 20_000, 3_000_000])
async def test_answers_of_every_size_follow_each_other(size: int):
    async with serving(answering(b"x" * size)) as server:
        replies = read(await server.talk(request("POST /", body=b"a", close=False) * 3 + request()))

    assert [len(reply.body) for reply in replies] == [size] * 4
    assert server.state.total_requests == 4


async def test_a_head_is_answered_with_the_length_alone():
    async with serving(answering(b"hello")) as server:
        assert (await server.talk(request("HEAD /"))).endswith(b"content-length: 5\r\nconnection: close\r\n\r\n")
    async with serving(answering(headers=((b"content-length", b"77"),), body=b"")) as server:
        assert b"content-length: 77\r\n" in await server.talk(request("HEAD /"))


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_has_no_length(status: int):
    async with serving(answering(b"", status)) as server:
        replies = read(await server.talk(request(close=False) + request()))

    assert [(reply.status, reply.header("content-length")) for reply in replies] == [(status, None)] * 2


async def test_an_answer_may_close_the_connection():
    async with serving(answering(headers=((b"Connection", b"close"),))) as server:
        assert one(await server.talk(request(close=False))).header("connection") == "close"


@pytest.mark.parametrize(
    "app",
    [
        answering(headers=((b"x-a", b"b\r\nc: d"),)),
        answering(headers=((b"x-a ", b"b"),)),
        answering(status=700),
        answering(status=101),
    ],
)
async def test_an_answer_that_cannot_be_sent_is_a_500(app: App):
    async with serving(app) as server:
        assert one(await server.talk(request())).status == 500


@pytest.mark.parametrize(
    "app",
    [answering(b"ab", headers=((b"content-length", b"3"),)), answering(b"a", status=204)],
    ids=["wrong length", "body of none"],
)
async def test_an_answer_whose_length_is_wrong_is_not_sent(app: App):
    async with serving(app) as server:
        assert await server.talk(request()) == b""


@pytest.mark.parametrize("header", [b"content-length", b"Connection", b"transfer-encoding"])
def test_headers_encoded_beforehand_frame_nothing(header: bytes):
    with pytest.raises(ValueError, match="server"):
        encode_headers([(header, b"1")])


async def test_an_answer_is_given_once():
    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        for way in (exchange.end, lambda: exchange.write(b"a")):
            with pytest.raises(RuntimeError):
                way()
        exchange.respond(200, (TYPE,), b"ok")
        for way in (exchange.end, lambda: exchange.write(b"a"), lambda: exchange.respond(200, ()), failing_start):
            with pytest.raises(RuntimeError):
                way()

    def failing_start() -> None:
        exchanges[-1].start(200, ())

    exchanges: list[Exchange] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del send
        exchanges.append(scope["extensions"][EXTENSION])
        await serve(exchanges[-1], receive)

    async with serving(app) as server:
        assert one(await server.talk(request())).body == b"ok"


def streaming(*pieces: bytes, headers: tuple[tuple[bytes, bytes], ...] = (TYPE,)) -> App:
    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        exchange.start(200, headers)
        for piece in pieces:
            if not exchange.write(piece):
                assert await exchange.drain(10)
        exchange.end()

    return knowing(serve)


@pytest.mark.parametrize("headers", [(TYPE,), ((b"content-length", b"300006"),)], ids=["chunks", "length"])
async def test_a_stream_is_framed(headers: tuple[tuple[bytes, bytes], ...]):
    app = streaming(b"a", b"", b"b" * 300_000, b"c" * 5, headers=headers)
    async with serving(app) as server:
        replies = read(await server.talk(request(close=False) + request()))
        head_only = await server.talk(request("HEAD /"))
        old = await server.talk(request(version="1.0"))

    assert [len(reply.body) for reply in replies] == [300_006] * 2
    assert head_only.endswith(END)
    assert len(old.partition(END)[2]) == 300_006


async def test_a_stream_that_ends_short_is_cut():
    app = streaming(b"abc", headers=((b"content-length", b"4"),))
    async with serving(app) as server:
        data = await server.talk(request(close=False))

    assert data.endswith(END + b"abc")


async def test_each_piece_goes_out_as_it_is_written():
    go = asyncio.Event()

    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        exchange.start(200, ())
        for piece in (b"one", b"two"):
            await go.wait()
            go.clear()
            exchange.write(piece)
        exchange.end()

    async with serving(knowing(serve)) as server:
        client = await server.open()
        client.send(request())
        assert (await client.until(END)).startswith(b"HTTP/1.1 200 OK\r\n")
        for piece in (b"one", b"two"):
            go.set()
            assert await client.exactly(8) == b"3\r\n" + piece + b"\r\n"
        assert await client.rest() == b"0\r\n\r\n"
        await client.close()


async def write_until_held(exchange: Exchange) -> None:
    for _ in range(1_000):
        if not exchange.write(b"x" * 100_000):
            return
        await asyncio.sleep(0)
    raise AssertionError("never held")


async def stalled(server: Server) -> Client:
    """Ask, and take the head of the answer alone."""
    client = await server.open()
    client.send(request())
    await client.until(END)
    return client


async def test_a_client_that_takes_nothing_holds_the_stream_up_and_then_takes_all():
    held = asyncio.Event()

    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        exchange.start(200, ())
        await write_until_held(exchange)
        held.set()
        assert await exchange.drain(10)
        exchange.write(b"last")
        exchange.end()

    async with serving(knowing(serve)) as server:
        client = await stalled(server)
        await held.wait()
        assert (await client.rest()).endswith(b"4\r\nlast\r\n0\r\n\r\n")
        await client.close()


async def test_waiting_for_a_client_has_an_end():
    ended = asyncio.Event()

    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        exchange.start(200, ())
        await write_until_held(exchange)
        with pytest.raises(TimeoutError):
            await exchange.drain(0.01)
        ended.set()
        raise ConnectionError

    async with serving(knowing(serve)) as server:
        client = await stalled(server)
        await asyncio.wait_for(ended.wait(), 10)
        await client.close()


async def test_who_waits_for_a_client_is_told_that_it_left():
    held, told = asyncio.Event(), list[bool]()

    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        exchange.start(200, ())
        await write_until_held(exchange)
        held.set()
        told.append(await exchange.drain(10))
        assert exchange.write(b"nobody reads this")
        exchange.end()

    async with serving(knowing(serve)) as server:
        client = await stalled(server)
        await held.wait()
        client.writer.transport.abort()
        await until(lambda: told)

    assert told == [False]


async def test_a_client_that_hangs_up_is_told_of_at_once():
    begun, left = asyncio.Event(), asyncio.Event()
    after: list[object] = []

    async def serve(exchange: Exchange, receive: Receive) -> None:
        exchange.on_leave(left.set)
        begun.set()
        await left.wait()
        exchange.on_leave(lambda: after.append("called at once"))
        after.append(exchange.left)
        after.append((await receive())["type"])
        exchange.respond(200, (TYPE,), b"nobody reads this")
        after.append(exchange.answered)

    async with serving(knowing(serve)) as server:
        client = await server.open()
        client.send(request())
        await begun.wait()
        await client.close()
        await until(lambda: not server.state.tasks)

    assert after == ["called at once", True, "http.disconnect", True]


@pytest.mark.parametrize("before", [0, 1, 2], ids=["first", "second", "again"])
@pytest.mark.parametrize("cut", [0, 40])
async def test_a_client_that_hangs_up_after_a_large_body_is_told_of_at_once(before: int, cut: int):
    calls, left = list[bytes](), asyncio.Event()

    async def serve(exchange: Exchange, receive: Receive) -> None:
        calls.append(await read_body(receive))
        if len(calls) <= before:
            exchange.respond(200, (TYPE,), b"ok")
            return
        exchange.on_leave(left.set)
        await left.wait()

    async with serving(knowing(serve)) as server:
        client = await server.open()
        for _ in range(before):
            client.send(request("POST /", body=b"x" * 100_000, close=False))
            await client.reply()
        raw = request("POST /", body=b"x" * 100_000, close=False)
        client.send(raw[:cut])
        await client.writer.drain()
        await asyncio.sleep(0.005)
        client.send(raw[cut:])
        await until(lambda: len(calls) > before)
        await client.close()
        await until(left.is_set)


async def test_a_call_can_be_cancelled_when_its_client_hangs_up():
    begun, ended = asyncio.Event(), list[bool]()

    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        task = asyncio.current_task()
        assert task is not None
        exchange.on_leave(task.cancel)
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(exchange.left and task.uncancel() == 0)

    async with serving(knowing(serve)) as server:
        client = await server.open()
        client.send(request())
        await begun.wait()
        await client.close()
        await until(lambda: ended)

    assert ended == [True]


async def test_nobody_is_told_of_leaving_after_the_answer_or_when_it_was_taken_back():
    told: list[str] = []

    async def serve(exchange: Exchange, receive: Receive) -> None:
        if await read_body(receive):
            exchange.on_leave(lambda: told.append("after"))
            exchange.respond(200, ())
        else:
            exchange.on_leave(lambda: told.append("taken back"))
            exchange.on_leave(None)
            await receive()

    async with serving(knowing(serve)) as server:
        client = await server.open()
        client.send(request("POST /", body=b"a", close=False))
        await client.reply()
        client.send(request())
        await until(lambda: server.state.tasks)
        await client.close()
        await until(lambda: not server.state.tasks and not server.state.connections)

    assert told == []
