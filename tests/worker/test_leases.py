"""The loop that leases and works, driven by rows in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from tests.app.rigs import Rig

from halley.db import DatabaseUnavailable, WriterOverloaded
from halley.testing.clock import FakeClock
from halley.worker.leases import LeaseLoop

SECOND = 1_000_000
Work = Callable[[str], Awaitable[None]]


class Rows:
    """Rows by id with the time at which each is due; a lease puts it off by a minute."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.due: dict[str, int] = {}
        self.leases: list[list[str]] = []
        self.refusals: list[Exception] = []
        """What the next leases fail with."""
        self.away: list[Exception] = []
        """What the next work, and then the next to hand back what it left, fail with."""

    def add(self, *names: str, after_s: float = 0) -> None:
        self.due |= dict.fromkeys(names, self.clock.now() + int(after_s * SECOND))

    async def lease(self, limit: int) -> Sequence[tuple[str, str]]:
        if self.refusals:
            raise self.refusals.pop()
        taken = [name for name, due in self.due.items() if due <= self.clock.now()][:limit]
        self.due |= dict.fromkeys(taken, self.clock.now() + 60 * SECOND)
        self.leases.append(taken)
        return [(name, name) for name in taken]

    async def release(self, names: Sequence[str]) -> None:
        if self.away:
            raise self.away.pop()
        self.add(*names)

    async def next_due(self) -> int | None:
        return min(self.due.values(), default=None)


class Running:
    """A loop that runs, and what it worked on."""

    def __init__(self, rig: Rig, at_once_max: int) -> None:
        self.rig = rig
        self.rows = Rows(rig.clock)
        self.loop: LeaseLoop[str] = LeaseLoop(rig.world, topic="rows", at_once_max=at_once_max)
        self.begun: list[str] = []
        self.done: list[str] = []
        self.hinted: set[str] = set()
        """Rows that became due while they were leased."""
        self.gate = asyncio.Event()
        self.gate.set()

    async def work(self, name: str) -> None:
        self.begun.append(name)
        await self.gate.wait()
        if name.startswith("bad"):
            raise RuntimeError(name)
        if self.rows.away:
            raise self.rows.away.pop()
        if name in self.hinted:
            self.hinted.discard(name)
            self.rows.add(name)
            return
        self.rows.due.pop(name, None)
        self.done.append(name)

    async def run(self) -> None:
        rows = self.rows
        await self.loop.run(rows.lease, self.work, rows.next_due, rows.release)

    def wake(self) -> None:
        self.rig.world.db.wakeups.publish(("rows",))

    async def until(self, condition: Callable[[], bool], within_s: float = 10) -> None:
        async def holds() -> bool:
            return condition()

        await self.rig.settle(holds, within_s=within_s)


@asynccontextmanager
async def _running(rig: Rig, at_once_max: int) -> AsyncGenerator[Running]:
    running = Running(rig, at_once_max)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(running.run())
        await asyncio.sleep(0)
        yield running
        running.gate.set()
        running.loop.stop()
        await rig.while_ticking(task)


@pytest.fixture
async def running(rig: Rig) -> AsyncIterator[Running]:
    async with _running(rig, 2) as started:
        yield started


async def test_a_row_that_is_due_is_worked_on_when_woken(running: Running) -> None:
    running.rows.add("a")
    running.wake()
    await running.until(lambda: running.done == ["a"])


async def test_a_row_that_becomes_due_is_worked_on_without_a_wake_up(running: Running) -> None:
    running.rows.add("a", after_s=3)
    await running.until(lambda: running.done == ["a"])
    assert running.rig.clock.now() >= 3 * SECOND


async def test_a_hint_about_a_row_that_is_leased_is_followed_as_soon_as_its_lease_ends(running: Running) -> None:
    running.gate.clear()
    running.rows.add("a")
    running.wake()
    await running.until(lambda: running.begun == ["a"])
    await running.rig.pass_time(5, step_s=0.1)
    running.hinted.add("a")
    running.wake()
    await running.rig.pass_time(0.3, step_s=0.1)
    running.gate.set()
    await running.rig.pass_time(0.2, step_s=0.1)
    assert running.begun == ["a", "a"]


async def test_no_more_are_worked_on_at_once_than_allowed(running: Running) -> None:
    running.gate.clear()
    running.rows.add("a", "b", "c", "d")
    running.wake()
    await running.until(lambda: len(running.begun) == 2)
    await running.rig.pass_time(5, step_s=0.5)
    assert running.begun == ["a", "b"]
    running.gate.set()
    await running.until(lambda: sorted(running.done) == ["a", "b", "c", "d"])


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), WriterOverloaded("lease")], ids=["away", "overloaded"])
async def test_a_database_that_cannot_lease_now_is_asked_again_while_what_runs_goes_on(
    running: Running, error: Exception
) -> None:
    running.gate.clear()
    running.rows.add("a")
    running.wake()
    await running.until(lambda: running.begun == ["a"])
    running.rows.refusals.append(error)
    running.rows.add("b")
    running.wake()
    await running.until(lambda: running.begun == ["a", "b"])
    running.gate.set()
    await running.until(lambda: running.done == ["a", "b"])


@pytest.mark.parametrize("times", [1, 3], ids=["once", "for a while"])
@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), WriterOverloaded("work")], ids=["away", "overloaded"])
async def test_work_that_the_database_was_away_for_is_done_again_once_it_is_back(
    running: Running, error: Exception, times: int
) -> None:
    running.rows.away = [error] * times
    running.rows.add("a")
    running.wake()
    with capture_logs() as lines:
        await running.until(lambda: running.done == ["a"], within_s=5)
    assert running.begun == ["a", "a"]
    assert running.loop.held == {}
    assert {line["log_level"] for line in lines} == {"warning"}
    assert all("exc_info" not in line for line in lines)


async def test_one_bad_row_does_not_stop_the_others(running: Running) -> None:
    running.rows.add("bad", "good")
    running.wake()
    await running.until(lambda: "good" in running.done)
    running.rows.add("next")
    await running.until(lambda: "next" in running.done)


async def test_a_bad_row_is_tried_again_when_its_lease_ends(running: Running) -> None:
    running.rows.add("bad")
    running.wake()
    await running.until(lambda: running.begun.count("bad") == 2, within_s=120)


async def test_work_that_outlives_its_lease_is_cut_when_the_row_is_leased_again(running: Running) -> None:
    running.gate.clear()
    running.rows.add("slow")
    running.wake()
    await running.until(lambda: running.begun == ["slow"])
    await running.until(lambda: running.begun == ["slow", "slow"], within_s=90)
    running.gate.set()
    await running.until(lambda: running.done == ["slow"])
    running.rows.add("next")
    await running.until(lambda: running.done == ["slow", "next"])
    assert running.loop.held == {}


async def test_after_stop_nothing_is_begun_and_what_runs_ends(rig: Rig) -> None:
    async with _running(rig, 2) as running:
        running.gate.clear()
        running.rows.add("a")
        running.wake()
        await running.until(lambda: running.begun == ["a"])
        running.rows.add("b")
        running.loop.stop()
        running.gate.set()
    assert running.done == ["a"]
    assert running.loop.held == {}


async def test_what_does_not_end_in_time_is_cut_and_still_held(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("halley.worker.leases.STOP_GRACE_S", 0.05)
    running = Running(rig, 2)
    running.gate.clear()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(running.run())
        running.rows.add("a")
        running.wake()
        await running.until(lambda: running.begun == ["a"])
        running.loop.stop()
        await rig.while_ticking(task)
    assert running.loop.held == {"a": "a"}
