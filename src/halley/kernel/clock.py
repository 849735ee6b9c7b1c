"""Time, as a thing that is handed in: UTC microseconds for rows, a monotonic reading for durations, and a sleep."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_UTC = _EPOCH.replace(tzinfo=None)
"""Without its zone, which `isoformat` would spell as `+00:00`."""
_PRECISION = {0: "seconds", 3: "milliseconds", 6: "microseconds"}


class Clock(Protocol):
    """What the rest of the house knows of time."""

    def now(self) -> int:
        """Microseconds since 1970 in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when that many seconds have passed on this clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return time.time_ns() // 1_000

    monotonic = staticmethod(time.monotonic)
    """Seconds on a clock that never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return when that many seconds have passed."""
        await asyncio.sleep(seconds)


def rfc3339(microseconds: int, *, digits: int = 6) -> str:
    """Spell a time as RFC 3339 in UTC, e.g. `2026-11-22T19:08:00.123456Z`, with 0, 3 or 6 digits of the second."""
    moment = _EPOCH_UTC + timedelta(0, *divmod(microseconds, MICROSECONDS))
    return moment.isoformat(timespec=_PRECISION[digits]) + "Z"


def parse_time(text: str) -> int:
    """Read an RFC 3339 time or date; without an offset it is UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def unix_seconds(microseconds: int) -> float:
    """The same time in seconds since 1970, as vendors print it."""
    return microseconds / MICROSECONDS
