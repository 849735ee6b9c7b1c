"""The clock that tests move: time stands still, sleepers wake in turn, and a cancelled one is forgotten."""

import asyncio

from halley.kernel.clock import rfc3339
from halley.testing.clock import FakeClock


async def test_time_stands_still_until_it_is_moved(clock: FakeClock):
    assert rfc3339(clock.now()) == "2026-11-01T12:00:00.000000Z"
    clock.advance(1.5)
    assert rfc3339(clock.now()) == "2026-11-01T12:00:01.500000Z"
    assert clock.monotonic() == 1.5


async def test_sleepers_wake_in_the_order_of_their_times(clock: FakeClock):
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    sleeping = asyncio.gather(sleep(3), sleep(1), sleep(2), sleep(9))
    await clock.until_asleep(4)
    assert clock.next_due_s == 1
    clock.advance(3)
    await clock.until_asleep(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (woken, clock.sleepers, clock.next_due_s) == ([1, 2, 3], 1, 6)
    clock.advance(6)
    await sleeping
    assert clock.next_due_s is None


async def test_a_sleep_of_nothing_gives_others_a_turn(clock: FakeClock):
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.sleepers == 0


async def test_a_cancelled_sleeper_is_forgotten(clock: FakeClock):
    sleeping = asyncio.gather(clock.sleep(5))
    await clock.until_asleep()
    sleeping.cancel()
    await asyncio.gather(sleeping, return_exceptions=True)
    assert clock.sleepers == 0


async def test_another_thread_may_move_the_clock(clock: FakeClock):
    sleeping = asyncio.gather(clock.sleep(5))
    await clock.until_asleep()
    await asyncio.to_thread(clock.advance, 5)
    await sleeping
