"""Answers that are ready in one turn of the loop go out together at its end, and none is lost on the way."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.server.rig import WAIT_S_MAX, App, Receive, Scope, Send, one, read, serving, until

from halley.kernel.volley import WRITES_MAX, volley_of
from halley.server import EXTENSION

GO = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


def answering(before: Callable[[], object], after: Callable[[], object] = lambda: None) -> App:
    """Make an app that has something happen in the very turn of the loop in which it answers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        before()
        scope["extensions"][EXTENSION].respond(200, (), b"here")
        after()

    return app


async def test_writes_are_made_in_order_at_the_end_of_their_turn() -> None:
    volley, made = volley_of(asyncio.get_running_loop()), list[int]()
    for number in range(3):
        volley.add(lambda number=number: made.append(number))
    assert made == []
    await asyncio.sleep(0)
    assert made == [0, 1, 2]
    volley.add(lambda: volley.add(lambda: made.append(4)))
    await asyncio.sleep(0)
    assert made == [0, 1, 2]
    await asyncio.sleep(0)
    assert made == [0, 1, 2, 4]


async def test_many_writes_do_not_wait_for_the_end_of_a_long_turn() -> None:
    volley, made = volley_of(asyncio.get_running_loop()), list[int]()
    for number in range(WRITES_MAX + 2):
        volley.add(lambda number=number: made.append(number))
    assert made == list(range(WRITES_MAX))
    await asyncio.sleep(0)
    assert made == list(range(WRITES_MAX + 2))


async def test_one_that_breaks_does_not_keep_the_others_from_being_written() -> None:
    loop, told, made = asyncio.get_running_loop(), list[dict[str, Any]](), list[int]()
    loop.set_exception_handler(lambda _, context: told.append(context))

    def broken() -> None:
        raise OSError

    for write in (lambda: made.append(1), broken, lambda: made.append(2), broken, lambda: made.append(3)):
        volley_of(loop).add(write)
    for _ in range(4):
        await asyncio.sleep(0)
    assert made == [1, 2, 3]
    assert [type(each["exception"]) for each in told] == [OSError, OSError]


async def test_each_of_many_calls_of_one_turn_gets_its_answer() -> None:
    here, all_here = 0, asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal here
        del receive, send
        here += 1
        if here == 20:
            all_here.set()
        await all_here.wait()
        scope["extensions"][EXTENSION].respond(200, (), scope["path"].encode())

    async with serving(app) as server:
        asked = [b"GET /%d HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" % number for number in range(20)]
        answers = await asyncio.gather(*(server.talk(each) for each in asked))
    assert [one(each).body for each in answers] == [b"/%d" % number for number in range(20)]


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(answering(lambda: None)) as server:
        assert [each.body for each in read(await server.talk(GO + GO + LAST))] == [b"here"] * 3


async def test_who_has_said_all_in_the_turn_of_the_answer_gets_it() -> None:
    client = socket.socket()
    async with serving(answering(lambda: client.shutdown(socket.SHUT_WR))) as server:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        with client:
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            await loop.sock_sendall(client, GO)
            async with asyncio.timeout(WAIT_S_MAX):
                assert one(await loop.sock_recv(client, 10_000)).body == b"here"
                assert await loop.sock_recv(client, 1) == b""


async def test_a_server_that_stops_in_the_turn_of_the_answer_gives_it() -> None:
    def stop() -> None:
        for connection in tuple(server.state.connections):
            connection.shutdown()

    async with serving(answering(lambda: None, stop)) as server:
        assert one(await server.talk(GO)).body == b"here"


async def test_who_leaves_in_the_turn_of_the_answer_leaves_no_error(caplog: pytest.LogCaptureFixture) -> None:
    def leave() -> None:
        for connection in tuple(server.state.connections):
            connection.transport.abort()

    with caplog.at_level(logging.WARNING):
        async with serving(answering(lambda: None, leave)) as server:
            await server.talk(GO)
            await until(lambda: not server.state.connections)
    assert not caplog.records
