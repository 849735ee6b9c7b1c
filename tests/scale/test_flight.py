"""A thousand tasks in flight: the schedule by which they are looked at. The same with many more: `bench.flight`."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from bench.flight import Flight, boarding

from halley.vendors.contract import tasks_of

TASKS = 1_000
ROUNDS_PER_S = 20
SECONDS = 8


@pytest.fixture
async def flight(folder: Path) -> AsyncIterator[Flight]:
    async with boarding(folder) as boarded:
        await boarded.take_off(TASKS)
        yield boarded
        assert await boarded.rig.differences() == ()


async def test_tasks_beyond_what_may_be_polled_at_once_all_get_their_turn_and_a_callback_overtakes_them(
    flight: Flight,
) -> None:
    at_once_max = tasks_of(flight.rig.world.vendors["replicate"]).polls_at_once_max
    per_second = await flight.fly(SECONDS)
    # Rounds at both ends of a second may fall into it.
    assert max(per_second) <= at_once_max * (ROUNDS_PER_S + 1)
    assert sum(per_second) <= at_once_max * (ROUNDS_PER_S * SECONDS + 1)
    assert max(flight.vendor.gaps) > 0
    assert min(flight.vendor.looked_at) > 0, "one was never looked at"
    # All are due again and again, and more than can be asked at once: who was called for goes first.
    noticed = [await flight.call_back(number) for number in (0, TASKS // 2, TASKS - 1)]
    assert max(noticed) <= 2
    assert await flight.rig.open_holds() in range(TASKS - 3, TASKS)


async def test_looks_become_rarer_the_longer_a_task_runs(folder: Path) -> None:
    async with boarding(folder) as flight:
        await flight.take_off(10)
        looks = [sum(await flight.fly(5)) for _ in range(4)]
        assert all(later <= earlier for earlier, later in pairwise(looks)), looks
        assert looks[-1] <= 2 * 10
