"""Who waits for a change is woken after its commit. A wake-up is a hint: waiters look again in the database."""

import asyncio
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from halley.kernel.clock import Clock

BACKSTOP_S = 1.0
"""A waiter looks again after this long even if nothing woke it: a lost wake-up costs a second, never a task."""


class Waiter:
    """One place to wait at; it remembers a wake-up that came before the wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Let the wait end."""
        self._event.set()

    async def wait(self, seconds: float = BACKSTOP_S) -> bool:
        """Wait for a wake-up, at most that long on the house's clock. True when woken."""
        woken = asyncio.ensure_future(self._event.wait())  # noqa: TID251 - awaited and cancelled right here
        timer = asyncio.ensure_future(self._clock.sleep(seconds))  # noqa: TID251 - the same
        try:
            await asyncio.wait((woken, timer), return_when=asyncio.FIRST_COMPLETED)
            return self._event.is_set()
        finally:
            woken.cancel()
            timer.cancel()
            self._event.clear()


class Wakeups:
    """Topics and who waits for them, on one event loop; publishing is allowed from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self.loop = loop
        self._clock = clock
        self._waiters: dict[str, set[Waiter]] = defaultdict(set)

    @contextmanager
    def subscribe(self, *topics: str) -> Generator[Waiter]:
        """Hear of these topics from now on. Subscribe first, then look, then wait: so nothing is missed."""
        waiter = Waiter(self._clock)
        for topic in topics:
            self._waiters[topic].add(waiter)
        try:
            yield waiter
        finally:
            for topic in topics:
                self._waiters[topic].discard(waiter)
                if not self._waiters[topic]:
                    del self._waiters[topic]

    def publish(self, topics: Iterable[str]) -> None:
        """Wake who waits; from any thread. A loop that is closed has nobody left to wake."""
        wanted = tuple(topics)
        if wanted and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._wake, wanted)

    def _wake(self, topics: tuple[str, ...]) -> None:
        for topic in topics:
            for waiter in tuple(self._waiters.get(topic, ())):
                waiter.wake()
