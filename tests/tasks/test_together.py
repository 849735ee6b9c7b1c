"""What is written for many tasks by one statement is what would have been written for each."""

from typing import Any

import msgspec
import pytest
from tests.database import FakeIds
from tests.tasks.rows import ALL, SECOND, Rows

from halley.db import Database
from halley.kernel.money import Nanos
from halley.kernel.order import Report, ReportState
from halley.tasks import Task, TaskState, together
from halley.tasks import store as tasks
from halley.testing.clock import FakeClock

REPORT = Report(
    state=ReportState.RUNNING, word="Pending \u2603 'x'", progress=0.25, facts={"a": ["\\", '"']}, raw={"b": 1}
)


@pytest.fixture
def rows(db: Database, ids: FakeIds, clock: FakeClock) -> Rows:
    return Rows(db, ids, clock)


async def test_new_tasks_are_read_back_as_they_were_made(rows: Rows) -> None:
    new = [rows.new(body=b'\x00\\{"a"}', webhook=b"\xff\x00"), rows.new(body=None, body_object="bodies/a"), rows.new()]
    await rows.db.write("insert", lambda tx: together.insert_tasks(tx, new))
    for one in new:
        assert await rows.db.read(lambda tx, one=one: tasks.find_task(tx, one.id)) == together.born(one)


async def test_orders_that_were_taken_run_as_they_were_told(rows: Rows) -> None:
    submitting = [await rows.submitting() for _ in range(3)]
    running = [_running(rows, task, n) for n, task in enumerate(submitting)]
    noted = await rows.db.write("accept", lambda tx: together.accept(tx, [together.taken(task) for task in running]))
    assert noted == [True] * 3
    assert [await rows.now(task) for task in running] == running


@pytest.mark.parametrize("number", [1, 3, 64, 65, 70])
async def test_any_number_of_orders_and_looks_is_noted_each_as_its_own(rows: Rows, number: int) -> None:
    new = [rows.new() for _ in range(number)]
    await rows.db.write("insert", lambda tx: together.insert_tasks(tx, new))
    running = [_running(rows, together.born(one), n % 2) for n, one in enumerate(new)]
    assert all(await rows.db.write("accept", lambda tx: together.accept(tx, [*map(together.taken, running)])))
    rows.clock.advance(60)
    names, now = [each.id for each in running], rows.clock.now()
    leased = await rows.db.write("lease", lambda tx: tasks.lease(tx, names, now=now, lease_us=SECOND))
    looks = [together.looked(each, REPORT if n % 3 else None, n) for n, each in enumerate(leased)]
    assert all(await rows.db.write("look", lambda tx: together.look_again(tx, looks)))
    seen = await rows.db.read(lambda tx: tasks.find_tasks(tx, names))
    heard = {each.id: n % 3 != 0 for n, each in enumerate(leased)}
    assert len(leased) == number
    for n, each in enumerate(leased):
        told = {"report": REPORT, "word": REPORT.word, "progress": 0.25} if heard[each.id] else {}
        assert seen[each.id] == msgspec.structs.replace(each, polls=1, due_at=n, **told)


async def test_one_that_moved_meanwhile_is_told_apart(rows: Rows) -> None:
    submitting = [await rows.submitting() for _ in range(2)]
    running = [together.taken(_running(rows, task, n)) for n, task in enumerate(submitting)]
    await rows.move(submitting[0], TaskState.UNKNOWN, due_at=5)
    with pytest.raises(together.MovedMeanwhile):
        await rows.db.write("accept", lambda tx: together.accept(tx, running))
    alone = [await rows.db.write("accept", lambda tx, one=one: together.accept(tx, [one])) for one in running]
    assert alone == [[False], [True]]
    assert [(await rows.now(task)).state for task in submitting] == [TaskState.UNKNOWN, TaskState.RUNNING]


async def test_a_look_without_a_report_keeps_what_was_heard_before(rows: Rows) -> None:
    heard, silent = [await rows.running() for _ in range(2)]
    for report in (REPORT, None):
        looks = [together.looked(each, report if each.id == heard.id else REPORT, 0) for each in await rows.lease()]
        await rows.db.write("look", lambda tx, looks=looks: together.look_again(tx, looks))
    for task in (heard, silent):
        seen = await rows.now(task)
        assert (seen.report, seen.word, seen.progress, seen.polls, seen.due_at) == (REPORT, REPORT.word, 0.25, 2, 0)


async def test_a_version_changes_with_all_that_a_caller_may_see(rows: Rows) -> None:
    task = await rows.submitting()
    seen = [await _version(rows, task)]
    running = _running(rows, task, 0)
    await rows.db.write("accept", lambda tx: together.accept(tx, [together.taken(running)]))
    seen.append(await _version(rows, task))
    rows.clock.advance(60)
    [leased] = await rows.lease()
    await rows.look_again(leased, rows.clock.now(), word="Working")
    seen.append(await _version(rows, task))
    [leased] = await rows.lease()
    await rows.move(leased, TaskState.FAILED)
    seen.append(await _version(rows, task))
    assert len(set(seen)) == len(seen)


async def test_of_many_tasks_each_is_found_once_and_those_that_are_not_there_are_left_out(rows: Rows) -> None:
    made = {task.id: task for task in [await rows.submitting() for _ in range(20)]}
    asked = [*made, rows.ids.new()]
    assert await rows.db.read(lambda tx: tasks.find_tasks(tx, asked)) == made
    assert set(await rows.db.read(lambda tx: tasks.see(tx, asked))) == set(made)
    assert await rows.db.read(lambda tx: tasks.see(tx, [])) == {}


async def test_a_task_that_its_vendor_called_about_goes_before_all_that_are_due(rows: Rows) -> None:
    for _ in range(3):
        await rows.running(-5)
    called = await rows.running(60)
    await rows.db.write("due", lambda tx: tasks.make_due(tx, called.id, rows.clock.now()))
    assert [task.id for task in await rows.lease(limit=1)] == [called.id]


async def test_a_channel_without_room_leaves_the_others_their_turn(rows: Rows) -> None:
    busy = [await rows.running(-5, channel_id="ch_one") for _ in range(3)]
    other = await rows.running(channel_id="ch_two")
    which = msgspec.structs.replace(ALL, room={"ch_one": 1})
    assert [task.id for task in await rows.lease(which=which)] == [busy[0].id, other.id]
    full = msgspec.structs.replace(ALL, room={"ch_one": 0})
    later = await rows.running(channel_id="ch_two")
    now = rows.clock.now()
    assert await rows.db.read(lambda tx: tasks.due_behind(tx, full, now=now, limit=5)) == [later.id]


async def test_only_what_is_still_due_is_leased_by_name(rows: Rows) -> None:
    due, later = await rows.running(), await rows.running(60)
    now = rows.clock.now()

    async def lease() -> list[Any]:
        names = [due.id, later.id]
        return await rows.db.write("lease", lambda tx: tasks.lease(tx, names, now=now, lease_us=SECOND))

    assert [task.id for task in await lease()] == [due.id]
    assert await lease() == []


def _running(rows: Rows, task: Task, number: int) -> Task:
    now = rows.clock.now()
    return msgspec.structs.replace(
        task,
        state=TaskState.RUNNING,
        vendor_task_id=f"theirs-{number}",
        poll_url=None if number else "https://a/b?c=d",
        measured={"image": number},
        vendor_cost=None if number else Nanos(7),
        report=REPORT if number else None,
        word=REPORT.word if number else "",
        deadline_at=now + 600 * SECOND,
        due_at=now + SECOND,
    )


async def _version(rows: Rows, task: Task) -> object:
    return (await rows.db.read(lambda tx: tasks.see(tx, [task.id])))[task.id].version
