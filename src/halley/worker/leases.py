"""One shape for loops that lease due rows, work on many at once, and hand back what they did not begin."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from halley.db import DatabaseUnavailable
from halley.db.wakeups import BACKSTOP_S
from halley.world import World

T = TypeVar("T")
STOP_GRACE_S = 5.0
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
    ) -> None:
        """Loop. `lease(limit)` takes due rows, `work` does one, `next_due` says when to look again.

        When told to stop, what runs gets a moment to end and is then cut; what was cut is still in `held`.
        """
        self.held.clear()
        self._running.clear()
        with self.world.db.wakeups.subscribe(self._topic) as waiter:
            async with asyncio.TaskGroup() as group:
                while not self._stopping.is_set():
                    try:
                        begun = await self._begin(group, lease, work, next_due)
                        pause = self._pause(await next_due(), begun=begun)
                    except DatabaseUnavailable:
                        # What runs goes on; the database is asked again in a moment.
                        _log.warning("database_away", topic=self._topic)
                        pause = BACKSTOP_S
                    await waiter.wait(pause)
                await self._finish()

    async def _finish(self) -> None:
        running = tuple(self._running.values())
        if running:
            await asyncio.wait(running, timeout=STOP_GRACE_S)
        for task in running:
            task.cancel()

    async def _begin(
        self,
        group: asyncio.TaskGroup,
        lease: Callable[[int], Awaitable[Sequence[tuple[str, T]]]],
        work: Callable[[T], Awaitable[None]],
        next_due: Callable[[], Awaitable[int | None]],
    ) -> bool:
        """Lease and start what is due; False when nothing could be taken."""
        room = self._at_once_max - len(self.held)
        due = await next_due()
        if room <= 0 or due is None or due > self.world.clock.now():
            return room > 0
        leased = await lease(room)
        for identity, row in leased:
            # What outlived its lease can write nothing any more, so the new lease takes its place.
            if outlived := self._running.get(identity):
                outlived.cancel()
            self.held[identity] = row
            self._running[identity] = group.create_task(self._one(identity, row, work))
        return bool(leased)

    def _pause(self, due: int | None, *, begun: bool) -> float:
        """How long to wait if nothing wakes us. What is due and could not be taken waits for its wake-up."""
        if due is None or not begun:
            return BACKSTOP_S
        return min(BACKSTOP_S, max(0.001, (due - self.world.clock.now()) / 1e6))

    async def _one(self, identity: str, row: T, work: Callable[[T], Awaitable[None]]) -> None:
        try:
            await work(row)
        except Exception:  # noqa: BLE001 - an edge: logged
            # The lease runs out and the row is tried again; one bad row must not stop the others.
            _log.exception("worker_item_failed", id=identity)
        if self.held.get(identity) is not row:
            return
        full = len(self.held) >= self._at_once_max
        del self.held[identity], self._running[identity]
        if full:
            self.world.db.wakeups.publish((self._topic,))
