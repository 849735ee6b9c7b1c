"""A deadline that is moved with each request, and a timer that is not: it looks at the deadline when it rings."""

import asyncio
from collections.abc import Callable
from math import inf

_LOOK_AGAIN_S = 60.0
"""How often while there is no deadline."""


class Deadline:
    """Calls `expire` once the loop's time is past `at`; `inf` is never, and may be set at will."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[], None]) -> None:
        self.at = inf
        self._loop = loop
        self._expire = expire
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf

    def set(self, seconds: float) -> None:
        """Expire in so many seconds."""
        self.at = at = self._loop.time() + seconds
        if at < self._rings_at:
            self.stop()
            self._start(at)

    def stop(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._rings_at = inf

    def _start(self, at: float) -> None:
        self._rings_at = at
        self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._rings_at = inf
        now = self._loop.time()
        if now < self.at:
            self._start(min(self.at, now + _LOOK_AGAIN_S))
        else:
            self._expire()
