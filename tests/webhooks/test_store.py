"""The outbox, on each database."""

import asyncio
from functools import partial

import msgspec
import pytest
from tests.assets.rows import insert_task_row
from tests.database import opened

from halley.db import Database, Tx, Wakeups
from halley.kernel.ids import TaskId
from halley.webhooks import Backlog, Delivery, DeliveryState, NewDelivery
from halley.webhooks.store import (
    ERROR_LENGTH_MAX,
    HOLDS_BACK_ATTEMPTS,
    TOPIC,
    backlog,
    delivered,
    deliveries_of,
    due,
    enqueue,
    failed,
    find_delivery,
    lease,
    next_due,
    prune,
    redeliver,
    release,
    release_all_leases,
)

LEASE = 100
START, COMPLETED = "msg_1", "msg_2"


def _new(delivery_id: str = START, *, task: str = "task-a", event: str = "start", created_at: int = 10) -> NewDelivery:
    return NewDelivery(
        id=delivery_id,
        task_id=TaskId(task),
        account_id="acct_1",
        project_id="proj_1",
        livemode=True,
        dialect="replicate",
        event=event,
        url="https://caller.example/hook",
        secret=b"sealed",
        body=b'{"id":"x"}',
        created_at=created_at,
    )


@pytest.fixture
async def outbox(db: Database) -> Database:
    """A database with two tasks."""
    for task in ("task-a", "task-b"):
        await db.write("test", partial(_insert_task, task))
    return db


def _insert_task(task: str, tx: Tx) -> None:
    insert_task_row(tx, task)


async def _enqueue(db: Database, *new: NewDelivery) -> list[bool]:
    return [await db.write("test", partial(enqueue, delivery=each)) for each in new]


async def _lease(db: Database, now: int, limit: int = 10) -> list[Delivery]:
    waiting = [each.id for each in await db.read(partial(due, now=now))][:limit]
    return await db.write("test", partial(lease, delivery_ids=waiting, now=now, lease_us=LEASE))


async def _fail(db: Database, delivery: Delivery, due_at: int | None, error: str = "500 from the receiver") -> bool:
    return await db.write("test", partial(failed, delivery=delivery, status=500, error=error, due_at=due_at))


async def _deliver(db: Database, delivery: Delivery, now: int = 50) -> bool:
    return await db.write("test", partial(delivered, delivery=delivery, status=200, now=now))


async def _read(db: Database, delivery_id: str = START) -> Delivery:
    found = await db.read(partial(find_delivery, delivery_id=delivery_id))
    assert found is not None
    return found


def _ids(deliveries: list[Delivery]) -> list[str]:
    return [each.id for each in deliveries]


async def test_delivery_comes_back_as_written_and_is_due_at_once(outbox: Database):
    assert await _enqueue(outbox, _new()) == [True]
    found = await _read(outbox)
    assert {name: getattr(found, name) for name in NewDelivery.__struct_fields__} == msgspec.structs.asdict(_new())
    assert (found.state, found.attempts, found.due_at, found.fence) == (DeliveryState.PENDING, 0, 10, 0)


async def test_unsigned_delivery_has_no_secret(outbox: Database):
    await _enqueue(outbox, msgspec.structs.replace(_new(), secret=None))
    assert (await _read(outbox)).secret is None


async def test_repeated_event_of_a_task_does_nothing(outbox: Database):
    repeat = msgspec.structs.replace(_new("msg_9"), body=b"other")
    assert await _enqueue(outbox, _new(), repeat) == [True, False]
    assert await outbox.read(partial(deliveries_of, task_id="task-a")) == [await _read(outbox)]
    assert (await _read(outbox)).body == b'{"id":"x"}'


async def test_enqueue_wakes_the_worker(outbox: Database, wakeups: Wakeups):
    with wakeups.subscribe(TOPIC) as waiter:
        await _enqueue(outbox, _new())
        assert await waiter.wait(60)


async def test_lease_takes_only_what_is_due_the_longest_due_first_and_no_more_than_asked(outbox: Database):
    await _enqueue(outbox, _new("msg_1", created_at=20), _new("msg_2", task="task-b", created_at=10))
    assert await _lease(outbox, now=9) == []
    assert _ids(await _lease(outbox, now=20, limit=1)) == ["msg_2"]
    assert _ids(await _lease(outbox, now=20)) == ["msg_1"]
    assert await _lease(outbox, now=20) == []


async def test_what_waits_behind_other_accounts_is_found_by_reading_past_them(
    outbox: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("halley.webhooks.store.HEAD_MAX", 1)
    other = msgspec.structs.replace(_new(COMPLETED, task="task-b", created_at=11), account_id="acct_2")
    await _enqueue(outbox, _new(), other)
    assert await outbox.read(lambda tx: due(tx, 20)) == [(START, "acct_1")]
    assert await outbox.read(lambda tx: due(tx, 20, without=["acct_1"])) == [(COMPLETED, "acct_2")]
    assert await outbox.read(lambda tx: due(tx, 20, without=["acct_1", "acct_2"])) == []


async def test_what_was_leased_meanwhile_is_not_leased_again(outbox: Database):
    await _enqueue(outbox, _new())
    await _lease(outbox, now=10)
    assert await outbox.write("test", partial(lease, delivery_ids=[START, "msg_none"], now=11, lease_us=LEASE)) == []


async def test_lease_ends_and_the_next_holder_has_a_higher_fence(outbox: Database):
    await _enqueue(outbox, _new())
    [first] = await _lease(outbox, now=10)
    assert await _lease(outbox, now=10 + LEASE - 1) == []
    [second] = await _lease(outbox, now=10 + LEASE)
    assert second.fence == first.fence + 1


async def test_who_lost_the_lease_cannot_say_how_it_went(outbox: Database):
    await _enqueue(outbox, _new())
    [first] = await _lease(outbox, now=10)
    [second] = await _lease(outbox, now=10 + LEASE)
    assert not await _deliver(outbox, first)
    assert not await _fail(outbox, first, due_at=None)
    await outbox.write("test", lambda tx: release(tx, [first], now=10 + LEASE))
    assert await _read(outbox) == second


async def test_two_replicas_never_hold_the_same_delivery(outbox: Database, database_url: str, wakeups: Wakeups):
    # On SQLite there is one process; two connections to one file must still never hold the same.
    await _enqueue(outbox, _new("msg_1"), _new("msg_2", task="task-b"))
    async with opened(database_url, wakeups) as other:
        taken = await asyncio.gather(*(_lease(each, now=10) for each in (outbox, other) * 4))
    assert sorted(each.id for leased in taken for each in leased) == ["msg_1", "msg_2"]


async def test_delivered_is_over_and_keeps_status_and_time(outbox: Database):
    await _enqueue(outbox, _new())
    [held] = await _lease(outbox, now=10)
    assert await _deliver(outbox, held, now=50)
    found = await _read(outbox)
    assert (found.state, found.attempts, found.last_status) == (DeliveryState.DELIVERED, 1, 200)
    assert (found.due_at, found.delivered_at) == (None, 50)
    assert not await _deliver(outbox, held)
    assert await _lease(outbox, now=10**15) == []


async def test_failed_is_due_again_when_told_with_a_bounded_error(outbox: Database):
    await _enqueue(outbox, _new())
    [held] = await _lease(outbox, now=10)
    assert await _fail(outbox, held, due_at=5_000, error="x" * 10_000)
    found = await _read(outbox)
    assert (found.state, found.attempts, found.due_at, found.last_status) == (DeliveryState.PENDING, 1, 5_000, 500)
    assert found.last_error == "x" * ERROR_LENGTH_MAX
    assert await _lease(outbox, now=4_999) == []
    assert _ids(await _lease(outbox, now=5_000)) == [START]


async def test_given_up_is_over(outbox: Database):
    await _enqueue(outbox, _new())
    [held] = await _lease(outbox, now=10)
    assert await _fail(outbox, held, due_at=None)
    assert (await _read(outbox)).state is DeliveryState.FAILED
    assert await _lease(outbox, now=10**15) == []


async def test_later_event_waits_for_the_earlier_one_of_its_task_only(outbox: Database):
    await _enqueue(outbox, _new(START), _new(COMPLETED, event="completed"), _new("msg_3", task="task-b"))
    held = await _lease(outbox, now=10)
    assert _ids(held) == [START, "msg_3"]
    assert await _deliver(outbox, held[0])
    assert _ids(await _lease(outbox, now=10)) == [COMPLETED]


async def test_delivery_wakes_the_worker_for_what_it_held_back(outbox: Database, wakeups: Wakeups):
    await _enqueue(outbox, _new(START), _new(COMPLETED, event="completed"))
    [held] = await _lease(outbox, now=10)
    with wakeups.subscribe(TOPIC) as waiter:
        await _deliver(outbox, held)
        assert await waiter.wait(60)


async def test_later_event_is_put_off_with_the_earlier_one_and_does_not_overtake_it(outbox: Database):
    await _enqueue(outbox, _new(START), _new(COMPLETED, event="completed"))
    [held] = await _lease(outbox, now=10)
    await _fail(outbox, held, due_at=500)
    assert (await _read(outbox, COMPLETED)).due_at == 500
    assert _ids(await _lease(outbox, now=500)) == [START]


async def test_later_event_waits_no_longer_once_the_earlier_one_failed_often(outbox: Database):
    await _enqueue(outbox, _new(START), _new(COMPLETED, event="completed"))
    now = 10
    for _ in range(HOLDS_BACK_ATTEMPTS):
        [held] = await _lease(outbox, now=now)
        assert held.id == START
        now += 1_000
        await _fail(outbox, held, due_at=now)
    assert _ids(await _lease(outbox, now=now - 1)) == [COMPLETED]


async def test_later_event_goes_out_when_the_earlier_one_was_given_up(outbox: Database):
    await _enqueue(outbox, _new(START), _new(COMPLETED, event="completed"))
    [held] = await _lease(outbox, now=10)
    await _fail(outbox, held, due_at=None)
    assert _ids(await _lease(outbox, now=10)) == [COMPLETED]


async def test_released_lease_can_be_taken_at_once_and_costs_no_attempt(outbox: Database):
    await _enqueue(outbox, _new())
    held = await _lease(outbox, now=10)
    await outbox.write("test", lambda tx: release(tx, held, now=20))
    [again] = await _lease(outbox, now=20)
    assert (again.id, again.attempts) == (START, 0)


async def test_next_due_is_the_next_retry_or_end_of_a_lease(outbox: Database):
    assert await outbox.read(lambda tx: next_due(tx, 0)) is None
    await _enqueue(outbox, _new())
    assert await outbox.read(lambda tx: next_due(tx, 0)) == 10
    [held] = await _lease(outbox, now=10)
    assert await outbox.read(lambda tx: next_due(tx, 10)) == 10 + LEASE
    await _fail(outbox, held, due_at=9_000)
    assert await outbox.read(lambda tx: next_due(tx, 10)) == 9_000
    assert await outbox.read(lambda tx: next_due(tx, 9_000)) is None


async def test_backlog_counts_what_is_not_delivered(outbox: Database):
    assert await outbox.read(backlog) == Backlog(pending=0, oldest_created_at=None)
    await _enqueue(outbox, _new("msg_1", created_at=10), _new("msg_2", task="task-b", created_at=20))
    [held] = await _lease(outbox, now=10)
    assert await outbox.read(backlog) == Backlog(pending=2, oldest_created_at=10)
    await _deliver(outbox, held)
    assert await outbox.read(backlog) == Backlog(pending=1, oldest_created_at=20)


async def test_ended_delivery_can_be_sent_again_by_the_operator_and_a_pending_one_not(outbox: Database):
    await _enqueue(outbox, _new())
    assert not await outbox.write("test", lambda tx: redeliver(tx, START, 60))
    [held] = await _lease(outbox, now=10)
    await _fail(outbox, held, due_at=None)
    assert await outbox.write("test", lambda tx: redeliver(tx, START, 60))
    [again] = await _lease(outbox, now=60)
    assert (again.id, again.attempts, again.state) == (START, 0, DeliveryState.PENDING)


async def test_prune_deletes_what_ended_long_ago_and_nothing_that_is_pending(outbox: Database):
    await _enqueue(outbox, _new("msg_1", created_at=10), _new("msg_2", task="task-b", created_at=10))
    [held] = await _lease(outbox, now=10, limit=1)
    await _deliver(outbox, held)
    assert await outbox.write("test", lambda tx: prune(tx, 10, 100)) == 0
    assert await outbox.write("test", lambda tx: prune(tx, 11, 100)) == 1
    assert await outbox.read(lambda tx: find_delivery(tx, held.id)) is None
    assert await outbox.read(backlog) == Backlog(pending=1, oldest_created_at=10)


async def test_what_a_dead_process_was_delivering_is_due_at_the_next_start_and_a_put_off_retry_is_not(outbox: Database):
    await _enqueue(outbox, _new(), _new(COMPLETED, task="task-b"))
    _, second = await _lease(outbox, now=20)
    await _fail(outbox, second, due_at=900)
    await outbox.write("test", lambda tx: release_all_leases(tx, now=30))
    assert _ids(await _lease(outbox, now=30)) == [START]
