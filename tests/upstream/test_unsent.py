"""A request that is gathered with others, over a connection that ends before they are written: nobody has seen it."""

import asyncio
import socket
from typing import Any

import pytest
from tests.upstream.test_alike import REQUEST, Books, Line, long, turns

from halley.kernel.clock import SystemClock
from halley.upstream import NotSent, OutcomeUnknown
from halley.upstream.connection import Connection, Exchange, Shelf
from halley.upstream.head import Origin
from halley.upstream.incoming import Incoming
from halley.upstream.whole import Pending


class Kept(Line):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))


class Crowd(Books):
    """Many calls are under way."""

    def crowded(self) -> bool:
        return True


def whole() -> tuple[Exchange, Any]:
    loop = asyncio.get_running_loop()
    pending = Pending(loop, REQUEST, loop.time() + 60, SystemClock())
    return pending, pending


def stream() -> tuple[Exchange, Any]:
    loop = asyncio.get_running_loop()
    incoming = Incoming(loop, REQUEST, loop.time() + 60)
    return incoming, long(incoming)


@pytest.mark.parametrize("kind", [whole, stream])
@pytest.mark.parametrize(
    ("ends", "error", "written"),
    [
        ("at once", NotSent, []),
        ("as it closes", NotSent, []),
        ("later", OutcomeUnknown, [b"POST{}"]),
    ],
)
async def test_what_was_not_written_is_told_as_not_sent(kind: Any, ends: str, error: type[Exception], written: Any):
    loop, books, line = asyncio.get_running_loop(), Crowd(), Kept()
    with socket.socket() as raw:
        connection = Connection(Shelf(Origin("http", "a.example", 80)), raw, books, loop)
        connection.connection_made(line)
        exchange, reading = kind()
        assert connection.start(exchange, b"POST", b"{}", loop.time())
        line.closed = ends == "as it closes"
        if ends != "at once":
            await turns()
        connection.connection_lost(ConnectionResetError(104, "reset"))
        with pytest.raises(error):
            await reading
        await turns()
    assert (line.written, books.kept) == (written, [False])


@pytest.mark.parametrize("kind", [whole, stream])
@pytest.mark.parametrize("stray", [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", b"HTTP/1.1 4", b"junk"])
async def test_what_comes_before_the_request_was_written_is_no_reply_to_it(kind: Any, stray: bytes):
    loop, books, line = asyncio.get_running_loop(), Crowd(), Kept()
    with socket.socket() as raw:
        connection = Connection(Shelf(Origin("http", "a.example", 80)), raw, books, loop)
        connection.connection_made(line)
        exchange, reading = kind()
        assert connection.start(exchange, b"POST", b"{}", loop.time())
        connection.data_received(stray)
        await turns()
        connection.connection_lost(None)

        with pytest.raises(NotSent):
            await reading
    assert (line.written, books.kept) == ([], [False])
