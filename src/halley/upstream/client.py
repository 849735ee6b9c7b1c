"""Calls to vendors: one request, one reply, and a typed error that says whether the request can have been seen.

It never repeats a request, follows no redirect, keeps no cookie and reads no proxy from the environment.
"""

import asyncio

import msgspec

from halley.kernel.clock import MICROSECONDS, Clock
from halley.upstream.connect import Connector
from halley.upstream.connection import Exchange, Shelf
from halley.upstream.errors import NotSent
from halley.upstream.head import WITH_LENGTH, HeadWriter, ended, has_body
from halley.upstream.incoming import Incoming
from halley.upstream.messages import (
    Prepared,
    UpstreamClient,
    UpstreamReply,
    UpstreamRequest,
    UpstreamStream,
    WholeReply,
)
from halley.upstream.pool import Pool
from halley.upstream.stream import ReplyStream
from halley.upstream.whole import Pending

__all__ = [
    "IDLE_S",
    "FastClient",
    "Prepared",
    "UpstreamClient",
    "UpstreamReply",
    "UpstreamRequest",
    "UpstreamStream",
    "WholeReply",
]

IDLE_S = 4.0
"""An idle connection is dropped after this. Node and uvicorn close theirs after 5 s, everybody else later, so a
request and a server's farewell seldom cross on the wire; where they do, the outcome is honestly unknown."""
INFLIGHT_MAX = 8_192
"""Requests on the way at once."""
SPELLED_MAX = 256
"""Heads that are remembered."""


class Spelled(Prepared):
    """A head but for the length of the body and the end, and where it goes."""

    __slots__ = ("head", "request", "shelf")

    def __init__(self, request: UpstreamRequest, head: bytes, shelf: Shelf) -> None:
        self.request = request
        self.head = head
        self.shelf = shelf


class FastClient:
    """Our own HTTP/1.1 client: a pool of connections on the loop's transports, and a parser in C.

    Nothing of a request is written before its connection stands, so what fails before is `NotSent`, and whatever fails
    after is `OutcomeUnknown`. An idle connection is looked at down to the kernel right before it is used, as the
    server's farewell may wait there unread (`tests/upstream/test_keep_alive.py`). A reader that leaves closes the
    connection at once, so that the vendor stops, whether the head had come or not.

    `docs/decisions/0009-own-http-client.md` has the measurements.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        extra_roots_pem: bytes | None = None,
        inflight_max: int = INFLIGHT_MAX,
        idle_s: float = IDLE_S,
    ) -> None:
        self._clock = clock
        self._heads = HeadWriter()
        self._spelled: dict[tuple[str, str, tuple[tuple[str, str], ...]], Spelled] = {}
        self._pool = Pool(Connector(extra_roots_pem), inflight_max=inflight_max, idle_s=idle_s)

    def prepare(self, request: UpstreamRequest) -> Prepared:
        """Spell all but body and length of a request that has a body. Raises `NotSent`."""
        if not has_body(request):
            raise NotSent("only a request that has a body can be prepared")
        return self._spell(request)

    def begin(self, prepared: Prepared, body: bytes) -> asyncio.Future[WholeReply] | None:
        """Write the request on an idle connection and give the future of its reply; None where there is no such."""
        assert isinstance(prepared, Spelled), "prepared by another client"
        pool, request = self._pool, prepared.request
        idle = prepared.shelf.idle
        if not idle or not pool.room:
            return None
        loop = idle[-1].loop
        now = loop.time()
        connection = pool.take(prepared.shelf, now)
        if connection is None:
            return None
        pending = Pending(loop, request, now + request.answer_timeout_s, self._clock)
        pool.room -= 1
        if connection.start(pending, WITH_LENGTH % (prepared.head, len(body)), body, now):
            return pending
        pool.room += 1
        return None

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send once and read the whole reply."""
        started = self._clock.monotonic()
        loop = asyncio.get_running_loop()
        pending = Pending(loop, request, loop.time() + request.answer_timeout_s, self._clock)
        await self._start(pending)
        reply = await pending
        elapsed_us = int((self._clock.monotonic() - started) * MICROSECONDS)
        return UpstreamReply(status=reply.status, headers=reply.headers, body=reply.body, elapsed_us=elapsed_us)

    async def open(self, request: UpstreamRequest) -> ReplyStream:
        """Send once and return when the head of the reply has come."""
        started = self._clock.monotonic()
        loop = asyncio.get_running_loop()
        incoming = Incoming(loop, request, loop.time() + request.answer_timeout_s)
        await self._start(incoming)
        await incoming.wait(0)
        return ReplyStream(incoming, int((self._clock.monotonic() - started) * MICROSECONDS))

    async def aclose(self) -> None:
        """Close all connections; no request is taken any more."""
        await self._pool.aclose()

    def _spell(self, request: UpstreamRequest) -> Spelled:
        if request.body is not None:
            request = msgspec.structs.replace(request, body=None)  # it would be kept for as long as the head
        place = self._heads.place(request.url)
        return Spelled(request, self._heads.spell(request, place), self._pool.shelf(place.origin))

    def _known(self, request: UpstreamRequest) -> Spelled:
        """Give a head that was spelled before; the request is that of the time, so only its head and place count."""
        case = (request.method, request.url, request.headers)
        spelled = self._spelled.get(case)
        if spelled is None:
            if len(self._spelled) >= SPELLED_MAX:
                self._spelled.clear()
            spelled = self._spelled[case] = self._spell(request)
        return spelled

    async def _start(self, exchange: Exchange) -> None:
        """Write the request, or give it to the transport to be written. Raises `NotSent`."""
        pool, request = self._pool, exchange.request
        if pool.closed:
            raise NotSent("the client is closed")
        spelled = self._known(request)
        head, shelf = ended(spelled.head, request), spelled.shelf
        loop = asyncio.get_running_loop()
        if pool.room:
            pool.room -= 1
        else:
            await pool.enter(request.answer_timeout_s)
        try:
            if self._write(exchange, shelf, head, request.body, loop.time()):
                return
            timeout_s = min(request.connect_timeout_s, exchange.total_at - loop.time())
            connection = await pool.connect(shelf.origin, timeout_s)
        except BaseException:
            pool.leave()
            raise
        if not connection.start(exchange, head, request.body, loop.time()):
            pool.leave()
            raise NotSent("the server closed the connection before anything was sent")

    def _write(self, exchange: Exchange, shelf: Shelf, head: bytes, body: bytes | None, now: float) -> bool:
        """Write on an idle connection; False where there is none, and then nothing was written."""
        pool = self._pool
        while (connection := pool.take(shelf, now)) is not None:
            if connection.start(exchange, head, body, now):
                return True
        return False
