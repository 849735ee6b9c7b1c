"""How many requests may be on the way at once: who comes first goes first, and no room is lost or made."""

import asyncio

import pytest

from halley.upstream import NotSent
from halley.upstream.connect import Connector
from halley.upstream.pool import Pool


def pool(room: int) -> Pool:
    return Pool(Connector(None), inflight_max=room, idle_s=1.0)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_waits_first_is_let_in_first():
    rooms, let_in = pool(1), list[int]()
    await rooms.enter(1.0)

    async def enter(number: int) -> None:
        await rooms.enter(1.0)
        let_in.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(enter(number))
        await turns()
        assert let_in == []
        for number in range(3):
            rooms.leave()
            await turns()
            assert let_in == list(range(number + 1))
    rooms.leave()

    assert rooms.room == 1


async def test_room_that_is_given_to_who_waits_cannot_be_taken_by_who_comes():
    rooms = pool(1)
    await rooms.enter(1.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(rooms.enter(1.0))
        await turns()
        rooms.leave()
        assert rooms.room == 0


async def test_who_waits_too_long_is_not_sent_and_takes_no_room():
    rooms = pool(1)
    await rooms.enter(1.0)
    with pytest.raises(NotSent, match="too many"):
        await rooms.enter(0.01)
    rooms.leave()

    assert rooms.room == 1


@pytest.mark.parametrize("let_in", [False, True], ids=["while it waits", "just when it is let in"])
async def test_who_leaves_the_queue_takes_no_room(let_in: bool):
    rooms = pool(1)
    await rooms.enter(1.0)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(rooms.enter(1.0))
        second = group.create_task(rooms.enter(1.0))
        await turns()
        if let_in:
            rooms.leave()
        first.cancel()
        await turns()
        if not let_in:
            rooms.leave()
        await second
    rooms.leave()

    assert rooms.room == 1
