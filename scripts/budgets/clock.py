"""A clock that costs what the machine's own costs, and gives the same times in each run."""

import asyncio
from itertools import count

from halley.kernel.clock import MICROSECONDS, parse_time

START = "2026-11-23T12:00:00Z"
_STEP_US = 1_000
_STEP_S = 1 / MICROSECONDS


class SteadyClock:
    """Each look moves it on: by a millisecond, so that no two ids have one time, or by a microsecond."""

    def __init__(self) -> None:
        self._now = count(parse_time(START), _STEP_US)
        self._monotonic = count(1.0, _STEP_S)

    def now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return next(self._now)

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return next(self._monotonic)

    async def sleep(self, seconds: float) -> None:
        """Return when that many seconds have passed."""
        await asyncio.sleep(seconds)
