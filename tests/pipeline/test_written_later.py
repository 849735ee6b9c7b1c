"""A charge that is written after its answer: once, however long the database is away, and nobody stops before."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest
from tests.answers.house import House, chunk, completion, opened, soon, usage_chunk
from tests.answers.vendor import Exchange, answer, events, stream

from halley.db import Database, writer
from halley.db.sqlite import SqliteConnection, SqliteDriver
from halley.kernel.failpoints import Failpoints
from halley.usage import store
from halley.world import World

PRICE = 140_000
STREAM = events(chunk("Hi."), chunk(finish="stop"), usage_chunk())
TROUBLE = "disk I/O error"
AWAY_S = 1.0
"""On the gateway's clock: some tries go by."""
STOPPING_S = 0.2
"""In real time: one that waits for nothing has stopped by then."""


class _Disk(SqliteDriver):
    """A database whose disk can be taken away while it is written to."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.away = False
        self.refused = 0
        self.at = ""
        """The place at which the disk goes away."""

    def writer(self) -> SqliteConnection:
        self._look()
        return super().writer()

    def take_away(self) -> NoReturn:
        """What a failpoint does."""
        self.away = True
        raise sqlite3.OperationalError(TROUBLE)

    def _look(self) -> None:
        if self.away:
            self.refused += 1
            raise sqlite3.OperationalError(TROUBLE)


class Lost:
    """A gateway whose database goes away at a place of the writer's."""

    def __init__(self, house: House, disk: _Disk) -> None:
        self.house = house
        self.disk = disk

    @property
    def world(self) -> World:
        return self.house.rig.world


@pytest.fixture(params=["before_commit", "after_commit"])
async def lost(folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[Lost]:
    """The disk goes away with the first charge; one that was committed unheard is not charged again."""
    async with opened(folder) as house:
        world = house.rig.world
        house.vendor.will(answer(completion()))
        honest, disk = world.db, _Disk(str(world.settings.database_path))
        failpoints = Failpoints(f"writer.{request.param}.settle_answer", die=disk.take_away)
        world.db = Database(disk, honest.wakeups, failpoints)
        try:
            yield Lost(house, disk)
        finally:
            disk.away = False
            lying, world.db = world.db, honest
            await asyncio.to_thread(lying.close)


async def waits(lost: Lost) -> None:
    """Return when a charge insists."""

    async def insisting() -> bool:
        return bool(lost.world.insisting)

    await soon(insisting)


async def written(lost: Lost) -> None:
    """Give the database back, and let the charge be written."""
    lost.disk.away = False
    await lost.house.rig.while_ticking(asyncio.wait(lost.world.insisting))


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_charge_is_written_once_when_the_database_is_back(lost: Lost, *, streamed: bool) -> None:
    if streamed:
        lost.house.vendor.will(stream(*STREAM))
    reply = await lost.house.chat(stream=streamed)
    assert (reply.status, reply.headers.get("halley-cost")) == (200, None if streamed else "0.00014")
    await waits(lost)
    (order,) = lost.world.answering
    tries = lost.disk.refused
    await lost.house.rig.pass_time(AWAY_S, step_s=0.2)
    assert lost.disk.refused > tries, "it is tried again"
    assert lost.world.answering == {order}, "whoever looks for stranded orders passes it over"
    assert len(lost.world.insisting) == 1
    await written(lost)
    assert (lost.world.answering, lost.world.insisting) == (set(), set())
    usage = await lost.house.usage()
    assert (usage.order_id, usage.outcome, usage.price_nanos) == (order, "succeeded", PRICE)
    assert await charged(lost) == PRICE
    assert await lost.house.rig.differences() == ()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_charge_that_the_queue_has_no_room_for_is_written_once_it_has(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    reply = stream(*STREAM) if streamed else answer(completion())

    async def when_full(exchange: Exchange) -> None:
        monkeypatch.setattr(writer, "QUEUE_MAX", 0)
        await reply(exchange)

    async with opened(folder) as house:
        world = house.rig.world
        house.vendor.will(when_full)
        assert (await house.chat(stream=streamed)).status == 200

        async def insisting() -> bool:
            return bool(world.insisting)

        await soon(insisting)
        assert len(world.answering) == 1
        monkeypatch.undo()
        await house.rig.while_ticking(asyncio.wait(world.insisting))
        assert (await house.usage()).price_nanos == PRICE
        assert (world.answering, world.insisting) == (set(), set())
        assert await house.rig.differences() == ()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_charge_that_cannot_be_written_is_left_to_the_sweep_and_lost_to_nobody_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    def broken(*_arguments: object) -> NoReturn:
        raise RuntimeError("a mistake of ours")

    async with opened(folder) as house:
        world = house.rig.world
        house.vendor.will(stream(*STREAM) if streamed else answer(completion()))
        monkeypatch.setattr(store, "insert_together", broken)
        monkeypatch.setattr(store, "insert", broken)
        assert (await house.chat(stream=streamed)).status == 200

        async def given_up() -> bool:
            return not world.answering

        await soon(given_up)
        assert (world.insisting, await house.rig.open_holds(), await house.usages()) == (set(), 1, [])
        (running,) = {world.bounds.running(channel.id) for channel in world.config.channels if not channel.simulated}
        assert running == 0
        monkeypatch.undo()
        await house.rig.pass_time(15, step_s=1)
        lost = await house.usage()
        assert (lost.outcome, lost.price_nanos) == ("lost", 0)
        assert lost.exposure_nanos > 0
        assert (await house.chat(stream=streamed)).status == 200
        assert (await house.usage(2)).price_nanos == PRICE
        assert await house.rig.differences() == ()


async def test_the_gateway_does_not_stop_before_the_charge_is_written(lost: Lost) -> None:
    assert (await lost.house.chat()).status == 200
    await waits(lost)
    stopping = asyncio.ensure_future(lost.house.rig.gateway.__aexit__(None, None, None))  # noqa: TID251 - awaited below

    async def draining() -> bool:
        return lost.world.draining

    await soon(draining)
    await asyncio.sleep(STOPPING_S)
    assert lost.world.insisting
    assert not stopping.done()
    await written(lost)
    assert lost.world.answering == set()
    assert await charged(lost) == PRICE
    await lost.house.rig.while_ticking(stopping)


async def charged(lost: Lost) -> int:
    row = await lost.world.db.read(
        lambda tx: tx.one("SELECT sum(amount_nanos) AS n FROM transfers WHERE kind IN ('post', 'excess')")
    )
    assert row is not None
    return int(row["n"])
