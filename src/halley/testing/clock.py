"""A clock that stands still until a test moves it. Who sleeps on it wakes when it is moved past their time."""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec

from halley.kernel.clock import MICROSECONDS, parse_time

START = "2026-11-01T12:00:00Z"
"""When a fake clock begins, unless told otherwise."""


class _Sleeper(msgspec.Struct, frozen=True, eq=False):
    due_at: int
    future: asyncio.Future[None]


class FakeClock:
    """Time that a test owns. Any thread may read or move it; each sleeper is woken on its own event loop."""

    def __init__(self, start: str = START) -> None:
        self._lock = threading.Lock()
        self._start = self._now = parse_time(start)
        self._sleepers: list[_Sleeper] = []
        self._held_by: list[Callable[[], bool]] = []

    def now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return (self._now - self._start) / MICROSECONDS

    async def sleep(self, seconds: float) -> None:
        """Return when the clock was moved that far; with nothing to wait for, after one turn of the loop."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = self._lie_down(seconds)
        try:
            await sleeper.future
        finally:
            self._get_up(sleeper)

    def advance(self, seconds: float) -> None:
        """Move the clock and wake who is due, in the order of their times."""
        assert seconds >= 0, "time does not go back"
        with self._lock:
            self._now += round(seconds * MICROSECONDS)
            due = sorted((each for each in self._sleepers if each.due_at <= self._now), key=lambda each: each.due_at)
            self._sleepers = [each for each in self._sleepers if each.due_at > self._now]
        for sleeper in due:
            _wake(sleeper)

    async def until_asleep(self, sleepers: int = 1) -> None:
        """Return when that many sleep on this clock: then its subject waits, and moving the clock will wake it."""
        while len(self._sleepers) < sleepers:  # noqa: ASYNC110 - sleepers come from any loop and thread
            await asyncio.sleep(0)

    @contextmanager
    def holding(self, is_busy: Callable[[], bool]) -> Generator[None]:
        """While inside, ask this of one who shares the clock: whether anything is under way that time must wait for."""
        self._held_by.append(is_busy)
        try:
            yield
        finally:
            self._held_by.remove(is_busy)

    @property
    def is_held(self) -> bool:
        """Whether anything is under way; who moves the clock waits for it."""
        return any(is_busy() for is_busy in self._held_by)

    @property
    def sleepers(self) -> int:
        """How many wait for this clock."""
        return len(self._sleepers)

    @property
    def next_due_s(self) -> float | None:
        """Seconds until the next sleeper is due."""
        with self._lock:
            due = min((each.due_at for each in self._sleepers), default=None)
        return None if due is None else (due - self._now) / MICROSECONDS

    def _lie_down(self, seconds: float) -> _Sleeper:
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            sleeper = _Sleeper(self._now + round(seconds * MICROSECONDS), future)
            self._sleepers.append(sleeper)
        return sleeper

    def _get_up(self, sleeper: _Sleeper) -> None:
        with self._lock:
            self._sleepers = [each for each in self._sleepers if each is not sleeper]


def _wake(sleeper: _Sleeper) -> None:
    loop = sleeper.future.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(_finish, sleeper.future)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
