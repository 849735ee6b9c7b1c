"""One reply as it comes in: what has arrived and not been taken, who waits for it, and how long it may take.

The connection fills it, the reader empties it. There is no queue and no task: a future only when nothing is there.
"""

import asyncio
from collections.abc import Callable
from math import inf

from halley.upstream.connection import Connection
from halley.upstream.errors import OutcomeUnknown, UpstreamError
from halley.upstream.headers import Pairs
from halley.upstream.messages import UpstreamRequest

Tap = Callable[[bytes], bool]
"""Takes a piece at once, where it comes in; False if it does not: then its reader is woken and finds it."""
READ_AHEAD_BYTES = 256 * 1024
"""Reading pauses when so much waits for a slow reader."""
PIECE_COST_BYTES = 48
"""What a piece costs beyond its bytes; else a body in pieces of one byte would grow to many times the bound."""


class Incoming:
    """The state of one reply. `status` is 0 until the head has come; `ended` is the proper end."""

    __slots__ = (
        "_enough",
        "_loop",
        "_paused",
        "_waiter",
        "buffered",
        "connection",
        "ended",
        "failure",
        "headers",
        "pieces",
        "quiet_at",
        "request",
        "status",
        "tap",
        "total_at",
    )

    connection: Connection

    def __init__(self, loop: asyncio.AbstractEventLoop, request: UpstreamRequest, total_at: float) -> None:
        self._loop = loop
        self._enough = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self.request = request
        self.total_at = total_at
        self.quiet_at = inf
        self.status = 0
        self.headers: Pairs = ()
        self.pieces: list[bytes] = []
        self.buffered = 0
        self.ended = False
        self.failure: UpstreamError | None = None
        self.tap: Tap | None = None
        """Gets what comes while the reader waits, who then sleeps on."""

    def take_head(self, status: int, headers: Pairs) -> None:
        """The head has come."""
        self.status = status
        self.headers = headers
        self.quiet_at = inf

    def add(self, piece: bytes) -> None:
        """A piece of the body has come."""
        self.pieces.append(piece)
        self.buffered += len(piece) + PIECE_COST_BYTES

    def notify(self) -> None:
        """Something came; wake the reader if it is what it waits for, and hold the sender back if it is too much."""
        waiter = self._waiter
        is_enough = self.ended or (self.status and self.buffered >= self._enough)
        if waiter is not None and is_enough and not (self.tap is not None and self._tapped(self.tap, waiter)):
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        if self.ended or self._paused:
            return
        if self.buffered >= READ_AHEAD_BYTES:
            # While we do not read, the silence is ours.
            self._paused = True
            self.quiet_at = inf
            self.connection.pause()
        elif self.status and self.request.stall_timeout_s is not None:
            self.quiet_at = self._loop.time() + self.request.stall_timeout_s
            if self.quiet_at < self.connection.rings_at:
                self.connection.ring_by(self.quiet_at)

    def fail(self, failure: UpstreamError) -> None:
        """It will not end properly; the first reason counts."""
        if self.ended or self.failure is not None:
            return
        if isinstance(failure, OutcomeUnknown):
            failure.status = self.status or None
        self.failure = failure
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def leave(self) -> None:
        """The reader goes; without a proper end the other side shall see it at once."""
        if self.failure is not None or (self.ended and not self.pieces):
            return
        self.failure = OutcomeUnknown("the reply was left before its end", status=self.status or None)
        self.pieces.clear()
        self.buffered = 0
        if not self.ended:
            self.connection.abort()

    def take(self) -> bytes:
        """Take all that has arrived; nothing is left."""
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered = 0
        if self._paused:
            self._paused = False
            self._resume()
        return data

    def expect(self, enough: int) -> asyncio.Future[None] | None:
        """Give what is done when the head and so many bytes have come, or the end, or a failure; None if they have.

        Whoever is cancelled while waiting for it has to `leave`.
        """
        self._enough = enough
        if self.ended or self.failure is not None or (self.status and self.buffered >= enough):
            return None
        assert self._waiter is None, "one reader at a time"
        self._waiter = self._loop.create_future()
        return self._waiter

    async def wait(self, enough: int) -> None:
        """Return when what is expected has come. Left, it closes."""
        waiter = self.expect(enough)
        if waiter is None:
            return
        try:
            await waiter
        except asyncio.CancelledError:
            self.leave()
            raise

    def _tapped(self, tap: "Tap", waiter: asyncio.Future[None]) -> bool:
        """Whether the tap took what is there; if not, the reader finds it, or what the tap raised."""
        if self.ended or waiter.done():
            return False
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        try:
            if not tap(data):
                return False
        except Exception as error:  # noqa: BLE001 - it is the reader's, and reaches it
            waiter.set_exception(error)
            return False
        pieces.clear()
        self.buffered = 0
        return True

    def _resume(self) -> None:
        if self.ended or self.failure is not None:
            return
        self.connection.resume()
        self.notify()
