"""One reply as it comes in: what has arrived and not been taken, who waits for it, and how long it may take.

The connection fills it, the reader empties it. There is no queue and no task: a future only when nothing is there, and
one timer for all of a reply's deadlines.
"""

import asyncio
import math
from typing import Protocol

from halley.upstream.errors import OutcomeUnknown, Stalled
from halley.upstream.messages import UpstreamRequest

READ_AHEAD_BYTES = 256 * 1024
"""Reading pauses when so much waits for a slow reader."""
PIECE_COST_BYTES = 48
"""What a piece costs beyond its bytes; else a body in pieces of one byte would grow to many times the bound."""
_TIMER_STEP_S = 0.002
"""A timer of the loop may fire this much early."""


class Source(Protocol):
    """The connection, as far as the reply needs it."""

    def abort(self) -> None:
        """Close at once."""
        ...

    def pause(self) -> None:
        """Read no more for now."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...


class Incoming:
    """The state of one reply. `status` is 0 until the head has come; `ended` is the proper end."""

    __slots__ = (
        "_enough",
        "_head_at",
        "_head_came",
        "_last_at",
        "_loop",
        "_paused",
        "_source",
        "_timer",
        "_total_at",
        "_waiter",
        "buffered",
        "ended",
        "failure",
        "headers",
        "pieces",
        "request",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, request: UpstreamRequest, total_at: float) -> None:
        self._loop = loop
        self._total_at = total_at
        self._head_at = math.inf
        self._last_at = 0.0
        self._enough = 0
        self._head_came = False
        """Whether the timer does not know yet that silence counts from now on."""
        self._paused = False
        self._source: Source | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.request = request
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.buffered = 0
        self.ended = False
        self.failure: OutcomeUnknown | None = None

    def begin(self, source: Source) -> None:
        """The request is about to be written: the clocks run."""
        self._source = source
        head_timeout_s = self.request.head_timeout_s
        if head_timeout_s is not None:
            self._head_at = self._loop.time() + head_timeout_s
        self._timer = self._loop.call_at(min(self._total_at, self._head_at), self._tick)

    def take_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The head has come."""
        self.status = status
        self.headers = headers
        self._head_at = math.inf
        self._head_came = self.request.stall_timeout_s is not None

    def add(self, piece: bytes) -> None:
        """A piece of the body has come."""
        self.pieces.append(piece)
        self.buffered += len(piece) + PIECE_COST_BYTES

    def notify(self) -> None:
        """Something came; wake the reader if it is what it waits for, and hold the sender back if it is too much."""
        self._last_at = self._loop.time()
        if self._waiter is not None and self._is_enough() and not self._waiter.done():
            self._waiter.set_result(None)
        if self.ended:
            self._stop_timer()
        elif self._head_came:
            # Only now: most short replies have ended by the time that their head was noticed.
            self._head_came = False
            self._rearm()
        if not self.ended and self.buffered >= READ_AHEAD_BYTES and not self._paused and self._source is not None:
            self._paused = True
            self._source.pause()

    def fail(self, failure: OutcomeUnknown) -> None:
        """It will not end properly; the first reason counts."""
        if self.ended or self.failure is not None:
            return
        failure.status = self.status or None
        self.failure = failure
        self._stop_timer()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def leave(self) -> None:
        """The reader goes; without a proper end the other side shall see it at once."""
        if self.failure is not None or (self.ended and not self.pieces):
            return
        self.failure = OutcomeUnknown("the reply was left before its end", status=self.status or None)
        self.pieces.clear()
        self.buffered = 0
        self._stop_timer()
        if not self.ended and self._source is not None:
            self._source.abort()

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

    async def wait(self, enough: int) -> None:
        """Return when the head and so many bytes have come, or the end, or a failure. Left, it closes."""
        self._enough = enough
        if self._is_enough():
            return
        assert self._waiter is None, "one reader at a time"
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.leave()
            raise
        finally:
            self._waiter = None

    def _is_enough(self) -> bool:
        return self.ended or self.failure is not None or (self.status > 0 and self.buffered >= self._enough)

    def _resume(self) -> None:
        if self.ended or self.failure is not None or self._source is None:
            return
        self._source.resume()
        self._last_at = self._loop.time()
        if self.request.stall_timeout_s is not None:
            self._rearm()

    def _rearm(self) -> None:
        self._stop_timer()
        self._timer = self._loop.call_at(self._due(), self._tick)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> float:
        return min(self._total_at, self._head_at, self._stalls_at())

    def _stalls_at(self) -> float:
        """While we do not read, the silence is ours."""
        stall_timeout_s = self.request.stall_timeout_s
        if stall_timeout_s is None or self._paused or not self.status:
            return math.inf
        return self._last_at + stall_timeout_s

    def _tick(self) -> None:
        now = self._loop.time() + _TIMER_STEP_S
        if now < self._due():
            self._timer = self._loop.call_at(self._due(), self._tick)
            return
        self.fail(self._late(now))
        if self._source is not None:
            self._source.abort()

    def _late(self, now: float) -> OutcomeUnknown:
        if now >= self._total_at:
            return OutcomeUnknown(f"no whole reply within {self.request.answer_timeout_s:g} s")
        if now >= self._head_at:
            return OutcomeUnknown(f"no beginning of a reply within {self.request.head_timeout_s:g} s")
        return Stalled(f"the reply stood still for {self.request.stall_timeout_s:g} s")
