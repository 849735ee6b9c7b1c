"""The connections of a client: which are idle and still good, how many requests are on the way, and the end of all."""

import asyncio
from collections import deque
from contextlib import suppress

from halley.upstream.connect import Connector
from halley.upstream.connection import Connection
from halley.upstream.errors import NotSent
from halley.upstream.head import Origin

IDLE_PER_ORIGIN_MAX = 256
ROOM_WAIT_S = 1.0
CLOSE_WAIT_S = 1.0
_SWEEP_LATE_S = 0.01
"""So that whoever is due is due, whatever the loop rounds."""


class Pool:
    """Gives connections and takes them back. The one used last goes first, so that the others can expire."""

    def __init__(self, connector: Connector, *, inflight_max: int, idle_s: float) -> None:
        self._connector = connector
        self._room = asyncio.Semaphore(inflight_max)
        self._idle_s = idle_s
        self._idle: dict[Origin, deque[Connection]] = {}
        self._all: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event | None = None
        self.closed = False

    async def enter(self, wait_max_s: float) -> None:
        """Take room for one request, to be given back by `leave` or by the end of its exchange. Raises `NotSent`."""
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(min(ROOM_WAIT_S, wait_max_s)):
                await self._room.acquire()
        except TimeoutError as error:
            raise NotSent("too many requests are on the way; none of this one was sent") from error

    def leave(self) -> None:
        """Give the room back of a request that was not sent."""
        self._room.release()

    def idle(self, origin: Origin, now: float) -> Connection | None:
        """Take a connection that has been used before and can be again."""
        waiting = self._idle.get(origin)
        while waiting:
            connection = waiting.pop()
            if now - connection.idle_since < self._idle_s and connection.is_silent():
                return connection
            connection.abort()
        return None

    async def connect(self, origin: Origin, timeout_s: float) -> Connection:
        """Make a new connection. Raises `NotSent`."""
        connection = await self._connector.connect(origin, timeout_s, lambda raw: Connection(origin, raw, self))
        if self.closed:
            connection.abort()
            raise NotSent("the client is closed")
        return connection

    def made(self, connection: Connection) -> None:
        """Keep count of a connection until it is lost."""
        self._all.add(connection)

    def freed(self, connection: Connection, *, may_keep: bool) -> None:
        """Note the end of an exchange."""
        self._room.release()
        if not may_keep or self.closed:
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        waiting = self._idle.get(connection.origin)
        if waiting is None:
            waiting = self._idle[connection.origin] = deque()
        waiting.append(connection)
        if len(waiting) > IDLE_PER_ORIGIN_MAX:
            waiting.popleft().abort()
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._idle_s + _SWEEP_LATE_S, self._sweep, loop)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._all.discard(connection)
        if not self._all and self._empty is not None:
            self._empty.set()

    async def aclose(self) -> None:
        """Close all connections and wait until they are."""
        self.closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._idle.clear()
        self._empty = asyncio.Event()
        for connection in list(self._all):
            connection.abort()
        if self._all:
            with suppress(TimeoutError):  # the sockets are closed already; only their farewell is missing
                async with asyncio.timeout(CLOSE_WAIT_S):
                    await self._empty.wait()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has been idle for too long; the longest idle stand first."""
        self._sweeper = None
        now = loop.time()
        for origin, waiting in list(self._idle.items()):
            while waiting and now - waiting[0].idle_since >= self._idle_s:
                waiting.popleft().abort()
            if not waiting:
                del self._idle[origin]
        if self._idle:
            oldest = min(waiting[0].idle_since for waiting in self._idle.values())
            self._sweeper = loop.call_at(oldest + self._idle_s + _SWEEP_LATE_S, self._sweep, loop)
