"""One shape for loops that lease due rows, work on many at once, and hand back what they did not begin."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from halley.db import DatabaseUnavailable, WriterOverloaded
from halley.db.wakeups import BACKSTOP_S, Waiter
from halley.world import World

T = TypeVar("T")
STOP_GRACE_S = 5.0
ROUND_EVERY_S = 0.05
"""Rounds are at least so far apart: what comes meanwhile is leased together, by one query."""
_log = structlog.get_logger("halley.worker")


class LeaseLoop(Generic[T]):
    """Leases what is due, works on it, and waits for the next due time or a wake-up."""

    def __init__(self, world: World, *, topic: str, at_once_max: int) -> None:
        self.world = world
        self.held: dict[str, T] = {}
        """What is leased right now, by id."""
        self._topic = topic
        self._at_once_max = at_once_max
        self._running: dict[str, asyncio.Task[None]] = {}
        self._left: dict[str, T] = {}
        """What of it the database was away for while it was worked on: handed back once that is there again."""
        self._short = False
        """Whether something is or may be due that could not be taken: then who ends makes us look again."""
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let `run` return once what was begun has ended."""
        self._stopping.set()
        self.world.db.wakeups.publish((self._topic,))

    async def run(
        self,
        lease: Callable[[int], Awaitable[Sequence[tuple[str, T]]]],
        work: Callable[[T], Awaitable[None]],
        next_due: Callable[[], Awaitable[int | None]],
        release: Callable[[Sequence[T]], Awaitable[object]],
    ) -> None:
        """Loop. `lease(limit)` takes due rows, `work` does one, `next_due` says when to look again.

        `release` hands back those whose work the database was away for, so that they are due again.
        When told to stop, what runs gets a moment to end and is then cut; what was cut is still in `held`.
        """
        self.held.clear()
        self._running.clear()
        self._left.clear()
        with self.world.db.wakeups.subscribe(self._topic) as waiter:
            async with asyncio.TaskGroup() as group:
                woken = False
                while not self._stopping.is_set():
                    try:
                        if self._left:
                            await self._hand_back(release)
                        pause = await self._round(group, lease, work, next_due, woken=woken)
                    except (DatabaseUnavailable, WriterOverloaded) as error:
                        # What runs goes on; the database is asked again in a moment.
                        _log.warning("database_away", topic=self._topic, error=type(error).__name__)
                        pause = BACKSTOP_S
                    woken = await self._rest(waiter, pause)
                await self._finish()

    async def _finish(self) -> None:
        running = tuple(self._running.values())
        if running:
            await asyncio.wait(running, timeout=STOP_GRACE_S)
        for task in running:
            task.cancel()

    async def _hand_back(self, release: Callable[[Sequence[T]], Awaitable[object]]) -> None:
        left = dict(self._left)
        await release(tuple(left.values()))
        for identity in left:
            del self._left[identity], self.held[identity]

    async def _round(
        self,
        group: asyncio.TaskGroup,
        lease: Callable[[int], Awaitable[Sequence[tuple[str, T]]]],
        work: Callable[[T], Awaitable[None]],
        next_due: Callable[[], Awaitable[int | None]],
        *,
        woken: bool,
    ) -> float:
        """Lease and start what is due; give how long to wait if nothing wakes us."""
        room = self._at_once_max - len(self.held)
        # What woke us may be a hint about what is leased right now: that is seen only when its lease has ended.
        self._short = room <= 0 or (woken and bool(self.held))
        if room <= 0:
            return BACKSTOP_S
        due = await next_due()
        if due is None:
            return BACKSTOP_S
        now = self.world.clock.now()
        if due > now:
            return min(BACKSTOP_S, (due - now) / 1e6)
        # Set before, since who ends while we lease makes room, too.
        self._short = True
        leased = await lease(room)
        for identity, row in leased:
            # What outlived its lease can write nothing any more, so the new lease takes its place.
            if outlived := self._running.get(identity):
                outlived.cancel()
            self.held[identity] = row
            self._running[identity] = group.create_task(self._one(identity, row, work))
        return 0.0 if leased else BACKSTOP_S

    async def _rest(self, waiter: Waiter, pause: float) -> bool:
        """Wait for a wake-up or the end of the pause, and in any case until it is time for another round.

        Whether it was a wake-up.
        """
        began = self.world.clock.monotonic()
        woken = await waiter.wait(max(pause, ROUND_EVERY_S))
        left = began + ROUND_EVERY_S - self.world.clock.monotonic()
        if left > 0 and not self._stopping.is_set():
            await self.world.clock.sleep(left)
        return woken

    async def _one(self, identity: str, row: T, work: Callable[[T], Awaitable[None]]) -> None:
        try:
            await work(row)
        except (DatabaseUnavailable, WriterOverloaded) as error:
            _log.warning("database_away", topic=self._topic, id=identity, error=type(error).__name__)
            if self.held.get(identity) is row:
                self._left[identity] = row
                del self._running[identity]
            return
        except Exception:  # noqa: BLE001 - an edge: logged
            # The lease runs out and the row is tried again; one bad row must not stop the others.
            _log.exception("worker_item_failed", id=identity)
        if self.held.get(identity) is not row:
            return
        del self.held[identity], self._running[identity]
        if self._short:
            self._short = False
            self.world.db.wakeups.publish((self._topic,))
