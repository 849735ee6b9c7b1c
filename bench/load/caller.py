"""One connection that sends a request, reads the answer, and sends the next. What it makes of them others say."""

import asyncio
from collections.abc import Callable
from itertools import cycle
from time import monotonic
from typing import Protocol, cast

import httptools

from bench.load.model import Closed, Streams, Target
from bench.load.wire import requests

_RETRY_S = 0.01


class Watcher(Protocol):
    """Is told of what happens on a connection."""

    def sent(self) -> None: ...

    def body(self, data: bytes) -> None: ...

    def read(self) -> None:
        """All that one read brought has been told."""
        ...

    def ended(self, status: int) -> None: ...

    def broke(self) -> None:
        """The connection ended before the answer."""
        ...


class Caller(asyncio.Protocol):
    """The connection; after `until` it sends nothing more."""

    def __init__(self, wanted: list[bytes], watcher: Watcher, until: float) -> None:
        self._wanted = cycle(wanted)
        self._watcher = watcher
        self._until = until
        self._waiting = False
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of a TCP connection it is one, though uvloop's class does not say so.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop calls it so
        if self._waiting:
            self._watcher.broke()
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._transport.abort()
            if isinstance(error, httptools.HttpParserCallbackError):
                raise
        self._watcher.read()

    def on_body(self, data: bytes) -> None:
        self._watcher.body(data)

    def on_message_complete(self) -> None:
        self._waiting = False
        self._watcher.ended(self._parser.get_status_code())
        # Not within the parser's own call: the next answer takes a new parser.
        self._loop.call_soon(self._send if monotonic() < self._until else self._transport.close)

    def abandon(self) -> None:
        """Hang up, whatever is on the way."""
        self._transport.abort()

    def _send(self) -> None:
        if self._transport.is_closing():
            return
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = True
        self._watcher.sent()
        self._transport.write(next(self._wanted))


async def keep_calling(target: Target, make: Callable[[], Watcher], until: float) -> None:
    """Keep one connection at work; one that breaks is opened again."""
    loop = asyncio.get_running_loop()
    wanted = requests(target)
    watcher = make()
    while monotonic() < until:
        try:
            _, caller = await loop.create_connection(lambda: Caller(wanted, watcher, until), "127.0.0.1", target.port)
        except OSError:
            watcher.broke()
            await asyncio.sleep(_RETRY_S)
            continue
        try:
            await caller.closed
        finally:
            caller.abandon()


async def call_all(wanted: Closed | Streams, make: Callable[[], Watcher]) -> bool:
    """Keep so many connections at work; False when some did not end in time, which are then cut."""
    until = monotonic() + wanted.seconds
    try:
        async with asyncio.timeout(wanted.seconds + wanted.timeout_s), asyncio.TaskGroup() as group:
            for _ in range(wanted.connections):
                group.create_task(keep_calling(wanted.target, make, until))
    except TimeoutError:
        return False
    return True
