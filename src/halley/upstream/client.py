"""Calls to vendors: one request, one reply, and a typed error that says whether the request can have been seen.

It never repeats a request, follows no redirect, keeps no cookie and reads no proxy from the environment.
"""

import asyncio

from halley.kernel.clock import MICROSECONDS, Clock
from halley.upstream.connect import Connector
from halley.upstream.errors import NotSent
from halley.upstream.head import HeadWriter
from halley.upstream.incoming import READ_AHEAD_BYTES, Incoming
from halley.upstream.messages import UpstreamClient, UpstreamReply, UpstreamRequest, UpstreamStream
from halley.upstream.pool import Pool
from halley.upstream.stream import ReplyStream

__all__ = ["IDLE_S", "FastClient", "UpstreamClient", "UpstreamReply", "UpstreamRequest", "UpstreamStream"]

IDLE_S = 4.0
"""An idle connection is dropped after this. Node and uvicorn close theirs after 5 s, everybody else later, so a
request and a server's farewell seldom cross on the wire; where they do, the outcome is honestly unknown."""
INFLIGHT_MAX = 8_192
"""Requests on the way at once."""


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
        self._pool = Pool(Connector(extra_roots_pem), inflight_max=inflight_max, idle_s=idle_s)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send once and read the whole reply."""
        started = self._clock.monotonic()
        incoming = await self._start(request)
        await incoming.wait(READ_AHEAD_BYTES)
        stream = ReplyStream(incoming, 0)
        body = await stream.read_all()
        elapsed_us = int((self._clock.monotonic() - started) * MICROSECONDS)
        return UpstreamReply(status=stream.status, headers=stream.headers, body=body, elapsed_us=elapsed_us)

    async def open(self, request: UpstreamRequest) -> ReplyStream:
        """Send once and return when the head of the reply has come."""
        started = self._clock.monotonic()
        incoming = await self._start(request)
        await incoming.wait(0)
        return ReplyStream(incoming, int((self._clock.monotonic() - started) * MICROSECONDS))

    async def aclose(self) -> None:
        """Close all connections; no request is taken any more."""
        await self._pool.aclose()

    async def _start(self, request: UpstreamRequest) -> Incoming:
        """Write the request, or give it to the transport to be written. Raises `NotSent`."""
        if self._pool.closed:
            raise NotSent("the client is closed")
        place = self._heads.place(request.url)
        head = self._heads.write(request, place)
        loop = asyncio.get_running_loop()
        total_at = loop.time() + request.answer_timeout_s
        incoming = Incoming(loop, request, total_at)
        await self._pool.enter(request.answer_timeout_s)
        try:
            while connection := self._pool.idle(place.origin, loop.time()):
                if connection.start(incoming, head, request.body):
                    return incoming
            timeout_s = min(request.connect_timeout_s, total_at - loop.time())
            connection = await self._pool.connect(place.origin, timeout_s)
        except BaseException:
            self._pool.leave()
            raise
        if not connection.start(incoming, head, request.body):
            self._pool.leave()
            raise NotSent("the server closed the connection before anything was sent")
        return incoming
