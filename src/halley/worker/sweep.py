"""Sweeps up: orders and holds of processes that died, retention of assets, files, bodies and idempotency keys."""

import asyncio

import structlog

from halley.accounts import store as accounts
from halley.assets import store as assets
from halley.db import Tx
from halley.idempotency import store as idempotency
from halley.kernel.clock import MICROSECONDS
from halley.kernel.money import ZERO
from halley.ledger import queries
from halley.ledger import store as ledger
from halley.ledger.model import OpenHold
from halley.pipeline.answers import stored as responses
from halley.tasks import Boot, Task, TaskState
from halley.tasks import store as tasks
from halley.usage import store as usage
from halley.usage.model import Outcome, Usage
from halley.webhooks import store as outbox
from halley.world import World
from halley.world.boots import end_boot, last_seen, living_boots

EVERY_S = 5.0
BATCH_MAX = 200
STRANDED_US = 5 * MICROSECONDS
"""A row of our own that no call works on any more, e.g. because the database was away, is stranded after this."""
KEEP_BODIES_US = 24 * 3600 * MICROSECONDS
KEEP_IDEMPOTENCY_US = 24 * 3600 * MICROSECONDS
KEEP_OUTBOX_US = 30 * 24 * 3600 * MICROSECONDS
UNFINISHED_US = 3600 * MICROSECONDS
FIND_AFTER_S = 1
_log = structlog.get_logger("halley.sweep")


class Sweeper:
    """Sweeps at its start and then every few seconds."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Sweep no more."""
        self._stopping.set()
        self._world.db.wakeups.publish(("sweep",))

    async def run(self) -> None:
        """Sweep until stopped."""
        with self._world.db.wakeups.subscribe("sweep") as waiter:
            while not self._stopping.is_set():
                await sweep(self._world)
                await waiter.wait(EVERY_S)


async def sweep(world: World) -> None:
    """Go round once."""
    if world.still is not None:
        world.still.look(await world.db.read(last_seen), world.clock.monotonic())
    await _strand(world)
    await _void_answers(world)
    await _expire(world)


async def leave(world: World) -> None:
    """Say that this process ends by itself."""
    await world.db.write("end_boot", lambda tx: end_boot(tx, world.boot_id, world.clock.now()))


async def _strand(world: World) -> None:
    """What a dead process was submitting may or may not have reached the vendor: unknown, and searched for."""

    def query(tx: Tx) -> list[Task]:
        now = world.clock.now()
        others = living_boots(tx, world.boot_id, now, still=world.still) - {world.boot_id}
        own = Boot(id=world.boot_id, submitting=frozenset(world.submitting), before=now - STRANDED_US)
        return tasks.stranded(tx, own, others, BATCH_MAX)

    for task in await world.db.read(query):
        _log.warning("task_stranded", task=task.id, vendor=task.vendor)
        now = world.clock.now()
        # It may have been left days ago: the time to search for it begins now.
        columns = {"due_at": now + FIND_AFTER_S * MICROSECONDS, "deadline_at": max(task.deadline_at, now)}

        def unit(tx: Tx, task: Task = task, columns: dict[str, int] = columns) -> bool:
            tx.wake(tasks.DUE_TOPIC)
            return tasks.move(tx, task, TaskState.UNKNOWN, **columns)

        await world.db.write("strand", unit)


async def _void_answers(world: World) -> None:
    """An answer that was in flight when its process died is not charged, and is listed as lost."""

    def unit(tx: Tx) -> int:
        now = world.clock.now()
        living = living_boots(tx, world.boot_id, now, still=world.still)
        holds = queries.holds_of_dead_boots(tx, order_kind="answer", living=living - {world.boot_id})
        lost = [hold for hold in holds if hold.boot_id != world.boot_id or _abandoned(world, hold, now)]
        for hold in lost:
            if ledger.void(tx, hold_id=hold.hold_id, ids=world.ids, now=now).repeated:
                continue  # another process was quicker
            accounts.settle_budget(tx, key_id=hold.key_id, held=hold.amount_nanos, spent=ZERO, now=now)
            _note_lost(tx, world, hold, now)
        return len(lost)

    voided = await world.db.write("void_answers", unit)
    if voided:
        _log.warning("answers_lost", count=voided)


def _abandoned(world: World, hold: OpenHold, now: int) -> bool:
    """Whether no call works on a hold of our own, e.g. because the word of its commit was lost."""
    return hold.order_id not in world.answering and hold.created_at < now - STRANDED_US


def _note_lost(tx: Tx, world: World, hold: OpenHold, now: int) -> None:
    """List it for the operator: a vendor may bill for it, at most what was held."""
    key, first = accounts.find_key(tx, hold.key_id), ledger.find_transfer(tx, hold.hold_id)
    assert key is not None
    assert first is not None
    lost = Usage(
        id=f"use_{world.ids.new()}",
        account_id=key.account_id,
        project_id=key.project_id,
        key_id=key.id,
        livemode=key.livemode,
        order_kind="answer",
        order_id=hold.order_id,
        model=first.note,
        channel_id=None,
        outcome=Outcome.LOST,
        meters={},
        price_nanos=ZERO,
        vendor_cost_nanos=None,
        exposure_nanos=hold.amount_nanos,
        attempts=1,
        total_us=now - first.created_at,
        created_at=now,
    )
    usage.insert(tx, lost)


async def _expire(world: World) -> None:
    now = world.clock.now()
    gone = await world.db.read(lambda tx: assets.expired_assets(tx, now, BATCH_MAX))
    if gone:
        await world.objects.delete([each.object_key for each in gone])
        await world.db.write("expire_assets", lambda tx: assets.mark_deleted(tx, gone, now))
    files = await world.db.read(lambda tx: assets.expired_files(tx, now, BATCH_MAX))
    if files:
        await world.objects.delete([each.object_key for each in files])
        await world.db.write("expire_files", lambda tx: assets.drop_files(tx, files))
    await _expire_bodies(world, now)
    await responses.expire(world, now, BATCH_MAX)
    await world.db.write(
        "expire_idempotency", lambda tx: idempotency.sweep(tx, older_than=now - KEEP_IDEMPOTENCY_US, limit=BATCH_MAX)
    )
    await world.db.write("prune_outbox", lambda tx: outbox.prune(tx, now - KEEP_OUTBOX_US, BATCH_MAX))
    await world.objects.remove_unfinished(now - UNFINISHED_US)


async def _expire_bodies(world: World, now: int) -> None:
    bodies = await world.db.read(lambda tx: tasks.bodies_to_delete(tx, now - KEEP_BODIES_US, BATCH_MAX))
    if not bodies:
        return
    await world.objects.delete([key for _, key in bodies])

    def unit(tx: Tx) -> None:
        for task_id, _ in bodies:
            tasks.forget_body(tx, task_id)

    await world.db.write("expire_bodies", unit)
