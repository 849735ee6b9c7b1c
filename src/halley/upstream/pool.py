"""The connections of a client: which are idle and still good, how many requests are on the way, and the end of all."""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from math import inf
from weakref import WeakValueDictionary

from halley.kernel import volley
from halley.upstream.connect import Connector
from halley.upstream.connection import Connection, Shelf
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
        self._idle_s = idle_s
        self._shelves: WeakValueDictionary[Origin, Shelf] = WeakValueDictionary()
        """Of all origins that a connection or a prepared request belongs to."""
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        """Who waits for room, the first one first."""
        self._all: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event | None = None
        self.closed = False
        self._inflight_max = inflight_max
        self.room = inflight_max
        """How many more requests may be on the way; 0 while somebody waits. Who writes one takes one off."""

    async def enter(self, wait_max_s: float) -> None:
        """Take room for one request, to be given back by `leave` or by the end of its exchange. Raises `NotSent`."""
        if self.room:
            self.room -= 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = None
        entered = False
        try:
            async with asyncio.timeout(min(ROOM_WAIT_S, wait_max_s)):
                await waiter
            entered = True
        except TimeoutError as error:
            raise NotSent("too many requests are on the way; none of this one was sent") from error
        finally:
            if not entered:
                self._give_up(waiter)

    def leave(self) -> None:
        """Give the room of one request to who waits for it, or back."""
        while self._waiting:
            waiter, _ = self._waiting.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)
                return
        self.room += 1

    def shelf(self, origin: Origin) -> Shelf:
        """Give the place of an origin's idle connections; it lasts as long as somebody holds it."""
        shelf = self._shelves.get(origin)
        if shelf is None:
            shelf = self._shelves[origin] = Shelf(origin)
        return shelf

    def take(self, shelf: Shelf, now: float) -> Connection | None:
        """Take a connection that has been used before and can be again."""
        idle = shelf.idle
        while idle:
            connection = idle.pop()
            if now - connection.idle_since < self._idle_s and connection.is_silent():
                return connection
            connection.abort()
        return None

    async def connect(self, origin: Origin, timeout_s: float) -> Connection:
        """Make a new connection. Raises `NotSent`."""
        shelf, loop = self.shelf(origin), asyncio.get_running_loop()
        connection = await self._connector.connect(origin, timeout_s, lambda raw: Connection(shelf, raw, self, loop))
        if self.closed:
            connection.abort()
            raise NotSent("the client is closed")
        return connection

    def made(self, connection: Connection) -> None:
        """Keep count of a connection until it is lost."""
        self._all.add(connection)

    def freed(self, connection: Connection, *, may_keep: bool) -> None:
        """Note the end of an exchange."""
        if self._waiting:
            self.leave()
        else:
            self.room += 1
        if not may_keep or self.closed:
            return
        loop, idle = connection.loop, connection.shelf.idle
        connection.idle_since = loop.time()
        idle.append(connection)
        if len(idle) > IDLE_PER_ORIGIN_MAX:
            idle.popleft().abort()
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._idle_s + _SWEEP_LATE_S, self._sweep, loop)

    def crowded(self) -> bool:
        """Whether it is worth while to gather what is written."""
        return self._inflight_max - self.room >= volley.CROWD

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
        for shelf in list(self._shelves.values()):
            shelf.idle.clear()
        self._empty = asyncio.Event()
        for connection in list(self._all):
            connection.abort()
        if self._all:
            with suppress(TimeoutError):  # the sockets are closed already; only their farewell is missing
                async with asyncio.timeout(CLOSE_WAIT_S):
                    await self._empty.wait()

    def _give_up(self, waiter: asyncio.Future[None]) -> None:
        if waiter.done() and not waiter.cancelled():
            self.leave()  # it was let in just when it left
        else:
            self._waiting.pop(waiter, None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has been idle for too long; the longest idle stand first."""
        self._sweeper = None
        now = loop.time()
        oldest = inf
        for shelf in list(self._shelves.values()):
            idle = shelf.idle
            while idle and now - idle[0].idle_since >= self._idle_s:
                idle.popleft().abort()
            if idle:
                oldest = min(oldest, idle[0].idle_since)
        if oldest < inf:
            self._sweeper = loop.call_at(oldest + self._idle_s + _SWEEP_LATE_S, self._sweep, loop)
