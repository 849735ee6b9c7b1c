import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.database import FakeIds, opened
from tests.tasks.rows import SECOND, Rows

from halley.db import Database, Wakeups
from halley.kernel.order import Failure, FailureCode, Report, ReportState
from halley.tasks import Boot, Task, TaskFilter, TaskState
from halley.tasks import store as tasks
from halley.testing.clock import FakeClock


@pytest.fixture
def rows(db: Database, ids: FakeIds, clock: FakeClock) -> Rows:
    return Rows(db, ids, clock)


@pytest.fixture
async def replica(database_url: str, wakeups: Wakeups, ids: FakeIds, clock: FakeClock) -> AsyncIterator[Rows]:
    """A second process on the same database."""
    async with opened(database_url, wakeups) as database:
        yield Rows(database, ids, clock)


# --- rows ---


async def test_a_task_is_read_back_as_it_was_written(rows: Rows) -> None:
    new = rows.new(webhook=b"sealed")
    await rows.db.write("insert", lambda tx: tasks.insert_task(tx, new))
    task = await _read(rows, new.id)
    for name in new.__struct_fields__:
        assert getattr(task, name) == getattr(new, name), name
    assert (task.state, task.attempts, task.cost, task.due_at) == (TaskState.SUBMITTING, 1, None, None)


async def test_report_and_failure_come_back_as_they_went_in(rows: Rows) -> None:
    task = await rows.running()
    report = Report(state=ReportState.FAILED, word="Error", facts={"seed": 7}, raw={"id": "x"})
    failure = Failure(code=FailureCode.VENDOR_FAILED, message="no", details={"why": ["a"]})
    ended = await rows.move(
        task, TaskState.FAILED, report=report, failure=failure, measured={"image": 2}, progress_ppm=500_000
    )
    assert (ended.report, ended.failure, ended.measured, ended.progress) == (report, failure, {"image": 2}, 0.5)


async def test_a_foreign_or_other_mode_task_is_not_there(rows: Rows) -> None:
    task = await rows.submitting()

    async def found(project_id: str, *, livemode: bool) -> Task | None:
        return await rows.db.read(lambda tx: tasks.find_own(tx, task.id, project_id=project_id, livemode=livemode))

    assert await found("proj_one", livemode=False) == task
    assert await found("proj_two", livemode=False) is None
    assert await found("proj_one", livemode=True) is None


# --- moves ---


async def test_of_two_who_saw_the_same_state_one_moves(rows: Rows) -> None:
    task = await rows.running()
    results = await asyncio.gather(
        rows.try_move(task, TaskState.SUCCEEDED),
        rows.try_move(task, TaskState.FAILED),
        rows.try_move(task, TaskState.UNKNOWN),
    )
    assert results == [True, False, False]


async def test_a_move_that_is_not_in_the_table_is_our_own_mistake(rows: Rows) -> None:
    task = await rows.submitting()
    with pytest.raises(AssertionError, match="submitting"):
        await rows.try_move(task, TaskState.SUCCEEDED)
    assert (await rows.now(task)).state is TaskState.SUBMITTING


async def test_what_has_ended_is_never_due_again(rows: Rows) -> None:
    task = await rows.running()
    await rows.move(task, TaskState.FAILED)
    assert not await rows.db.write("due", lambda tx: tasks.make_due(tx, task.id, rows.clock.now()))
    assert await rows.next_due() is None
    assert await rows.lease() == []


async def test_a_move_wakes_who_waits_for_the_task(rows: Rows) -> None:
    task = await rows.running()
    with rows.db.wakeups.subscribe(tasks.topic(task.id)) as waiter:
        await rows.move(task, TaskState.FAILED)
        assert await waiter.wait(5)


async def test_another_channel_can_be_noted_only_while_submitting(rows: Rows) -> None:
    task = await rows.submitting()

    async def set_channel() -> bool:
        return await rows.db.write(
            "channel",
            lambda tx: tasks.set_channel(
                tx, task.id, channel_id="ch_two", vendor="other", vendor_model="m", attempts=2
            ),
        )

    assert await set_channel()
    seen = await rows.now(task)
    assert (seen.channel_id, seen.vendor, seen.vendor_model, seen.attempts) == ("ch_two", "other", "m", 2)
    await rows.move(seen, TaskState.UNKNOWN)
    assert not await set_channel()


# --- leases ---


async def test_only_what_is_due_is_leased_the_longest_due_first(rows: Rows) -> None:
    later, soon = await rows.running(2), await rows.running(1)
    await rows.running(5)
    await rows.submitting()
    rows.clock.advance(3)
    assert [task.id for task in await rows.lease()] == [soon.id, later.id]


async def test_a_lease_bounds_how_many(rows: Rows) -> None:
    for _ in range(3):
        await rows.running()
    assert len(await rows.lease(limit=2)) == 2
    assert len(await rows.lease(limit=2)) == 1


async def test_a_leased_task_is_not_leased_again_until_the_lease_ends(rows: Rows) -> None:
    await rows.running()
    assert len(await rows.lease(lease_s=10)) == 1
    assert await rows.lease() == []
    rows.clock.advance(9)
    assert await rows.lease() == []
    rows.clock.advance(1)
    assert len(await rows.lease()) == 1


async def test_the_next_time_is_that_of_a_task_that_nobody_has_leased(rows: Rows) -> None:
    await rows.running()
    later = await rows.running(30)
    await rows.lease(lease_s=10)
    assert await rows.next_due() == later.due_at
    rows.clock.advance(10)
    assert await rows.next_due() == rows.clock.now() - 10 * SECOND


async def test_two_processes_never_lease_the_same_task(rows: Rows, replica: Rows) -> None:
    for _ in range(40):
        await rows.running()
    leased = await asyncio.gather(*[each.lease(limit=10) for each in (rows, replica) * 4])
    names = [task.id for some in leased for task in some]
    assert len(names) == len(set(names)) == 40


async def test_who_lost_its_lease_changes_nothing(rows: Rows) -> None:
    await rows.running()
    [slow] = await rows.lease(lease_s=10)
    rows.clock.advance(10)
    [quick] = await rows.lease()
    assert quick.fence == slow.fence + 1
    assert not await rows.try_move(slow, TaskState.SUCCEEDED)
    assert not await rows.db.write("note", lambda tx: tasks.note(tx, slow, word="x"))
    assert not await rows.look_again(slow, 0, word="x")
    assert await rows.try_move(quick, TaskState.SUCCEEDED)


async def test_a_lease_handed_back_is_leased_at_once(rows: Rows) -> None:
    await rows.running()
    [task] = await rows.lease()
    assert await rows.db.write("release", lambda tx: tasks.release_lease(tx, task))
    assert len(await rows.lease()) == 1


async def test_leases_of_a_dead_process_can_be_forgotten(rows: Rows) -> None:
    await rows.running()
    await rows.lease()
    await rows.db.write("forget", tasks.release_all_leases)
    assert len(await rows.lease()) == 1


async def test_looking_again_ends_the_lease_and_counts_the_poll(rows: Rows) -> None:
    await rows.running()
    [task] = await rows.lease()
    due = rows.clock.now() + 5 * SECOND
    assert await rows.look_again(task, due, word="Pending")
    seen = await rows.now(task)
    assert (seen.polls, seen.due_at, seen.word) == (1, due, "Pending")
    assert await rows.next_due() == due


async def test_a_hint_that_comes_during_a_look_is_not_lost(rows: Rows) -> None:
    await rows.running()
    [task] = await rows.lease()
    rows.clock.advance(1)
    await rows.db.write("due", lambda tx: tasks.make_due(tx, task.id, rows.clock.now()))
    await rows.look_again(task, rows.clock.now() + 5 * SECOND)
    assert len(await rows.lease()) == 1


async def test_a_hint_wakes_the_worker(rows: Rows) -> None:
    task = await rows.running(60)
    with rows.db.wakeups.subscribe(tasks.DUE_TOPIC) as waiter:
        assert await rows.db.write("due", lambda tx: tasks.make_due(tx, task.id, rows.clock.now()))
        assert await waiter.wait(5)
    assert len(await rows.lease()) == 1


# --- what a dead process left ---


async def _stranded(rows: Rows, *, others: set[str], submitting: set[str], limit: int = 10) -> list[str]:
    own = Boot(id="boot_own", submitting=frozenset(submitting), before=rows.clock.now() - 5 * SECOND)
    found = await rows.db.read(lambda tx: tasks.stranded(tx, own, others, limit))
    return [task.id for task in found]


async def test_tasks_that_were_being_submitted_and_that_nobody_carries_on_are_stranded(rows: Rows) -> None:
    lost = await rows.submitting(boot_id="boot_dead")
    dropped = await rows.submitting(boot_id="boot_own")
    carried_on = await rows.submitting(boot_id="boot_own")
    await rows.submitting(boot_id="boot_living")
    await rows.running(boot_id="boot_dead")
    rows.clock.advance(6)
    await rows.submitting(boot_id="boot_own")
    found = await _stranded(rows, others={"boot_living"}, submitting={carried_on.id})
    assert set(found) == {lost.id, dropped.id}


async def test_stranded_tasks_are_read_in_bounds(rows: Rows) -> None:
    for boot in ("boot_a", "boot_a", "boot_b", "boot_c"):
        await rows.submitting(boot_id=boot)
    rows.clock.advance(6)
    assert len(await _stranded(rows, others=set(), submitting=set(), limit=3)) == 3


async def test_giving_up_is_put_off_for_what_is_unknown_and_old(rows: Rows) -> None:
    old, young = await rows.running(), await rows.running(deadline_at=rows.clock.now() + 900 * SECOND)
    runs = await rows.running()
    for task in (old, young):
        await rows.move(task, TaskState.UNKNOWN)
    until = rows.clock.now() + 700 * SECOND
    await rows.db.write("put_off", lambda tx: tasks.put_off_giving_up(tx, until))
    assert (await rows.now(old)).deadline_at == until
    assert (await rows.now(young)).deadline_at == young.deadline_at
    assert (await rows.now(runs)).deadline_at == runs.deadline_at


async def test_large_bodies_are_deleted_only_after_the_end(rows: Rows) -> None:
    running = await rows.running(body=None, body_object="bodies/a")
    ended = await rows.running(body=None, body_object="bodies/b")
    await rows.move(ended, TaskState.FAILED, ended_at=rows.clock.now())
    rows.clock.advance(100)
    listed = await rows.db.read(lambda tx: tasks.bodies_to_delete(tx, rows.clock.now(), 10))
    assert listed == [(ended.id, "bodies/b")]
    await rows.db.write("forget", lambda tx: tasks.forget_body(tx, ended.id))
    assert await rows.db.read(lambda tx: tasks.bodies_to_delete(tx, rows.clock.now(), 10)) == []
    assert (await rows.now(running)).body_object == "bodies/a"


async def test_open_tasks_are_counted_by_state_with_the_oldest(rows: Rows) -> None:
    first = await rows.submitting()
    rows.clock.advance(5)
    await rows.submitting()
    await rows.move(await rows.running(), TaskState.FAILED)
    counted = {row["state"]: (row["n"], row["oldest"]) for row in await rows.db.read(tasks.counts)}
    assert counted == {"submitting": (2, first.created_at)}


# --- lists ---


async def _list(rows: Rows, limit: int = 100, **which: Any) -> list[str]:
    found = await rows.db.read(lambda tx: tasks.list_tasks(tx, TaskFilter(**which), limit))
    return [task.id for task in found]


async def test_lists_are_newest_first_and_paged_both_ways(rows: Rows) -> None:
    names = [(await rows.submitting()).id for _ in range(5)][::-1]
    assert await _list(rows) == names
    assert await _list(rows, 2) == names[:2]
    assert await _list(rows, 2, after=names[1]) == names[2:4]
    assert await _list(rows, 2, before=names[3]) == names[1:3]
    assert await _list(rows, before=names[0]) == []


async def test_lists_are_narrowed(rows: Rows) -> None:
    plain = await rows.submitting()
    rows.clock.advance(10)
    other = await rows.running(
        model="flux-pro", dialect="replicate", project_id="proj_two", account_id="acct_two", livemode=True
    )
    assert await _list(rows, model="flux-pro") == [other.id]
    assert await _list(rows, dialect="flux") == [plain.id]
    assert await _list(rows, project_id="proj_two", livemode=True) == [other.id]
    assert await _list(rows, project_id="proj_two", livemode=False) == []
    assert await _list(rows, account_id="acct_one") == [plain.id]
    assert await _list(rows, created_from=other.created_at) == [other.id]
    assert await _list(rows, created_before=other.created_at) == [plain.id]
    assert await _list(rows, states=(TaskState.RUNNING, TaskState.FAILED)) == [other.id]


async def test_a_filter_is_a_value_never_sql(rows: Rows) -> None:
    await rows.submitting()
    assert await _list(rows, model="' OR 1=1 --") == []
    assert await _list(rows, model="%") == []


async def _read(rows: Rows, task_id: str) -> Task:
    found = await rows.db.read(lambda tx: tasks.find_task(tx, task_id))
    assert found is not None
    return found
