"""Polls tasks that are due: a report moves them on, outputs become assets, and the end is settled in one unit."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog

from halley.db import DatabaseUnavailable, Group, WriterOverloaded
from halley.kernel import faults
from halley.kernel.clock import MICROSECONDS
from halley.kernel.order import Failure, FailureCode, Report, ReportState
from halley.pipeline.outputs import LinkDead, OutputUnreachable, forget_outputs_of_ended, mirror
from halley.pipeline.send import callback_urls
from halley.pipeline.settle import End, end, success
from halley.pipeline.task import about, ref
from halley.pipeline.vendor import call_vendor
from halley.routing import Channel
from halley.tasks import Due, Task, TaskState, together
from halley.tasks import store as tasks
from halley.vendors.contract import Accepted, Vendor, tasks_of
from halley.worker.leases import LeaseLoop
from halley.world import World

LEASE_S = 120
LOOK_S_MAX = 100
"""One look at a task, its downloads included; ends before the lease does."""
TASKS_AT_ONCE_MAX = 256
BEHIND_EVERY_S = 1.0
BEHIND_PART = 0.05
"""Of the time, to look behind channels that have more to do than may be done at once."""
UNKNOWN_GRACE_S = 3600
"""How long after its deadline, or after it became unknown if that was later, a task is still shown as running."""
SETTLE_S = 600
"""Nothing is given up so soon after a start: nobody asked while we were away, and the network may come up after us."""
UNKNOWN_EVERY_S = 30
TROUBLE_EVERY_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
FIND_PAGES_MAX = 20
FIND_SLACK_US = 60 * MICROSECONDS
"""How far the vendor's clock may be behind ours."""
LINK_PAUSES_S = (2.0, 8.0)
"""Between the tries of an output whose link looks dead: a fresh link may take a moment to work."""
_log = structlog.get_logger("halley.poll")


class Poller:
    """Leases due tasks and looks at each, within a bound per channel.

    Tasks of its own simulators are always its business; those at real vendors only when it is a worker.
    """

    def __init__(self, world: World, *, live: bool) -> None:
        self._world = world
        self._live = live
        self._behind_from = 0.0
        self._leases: LeaseLoop[Task] = LeaseLoop(world, topic=tasks.DUE_TOPIC, at_once_max=TASKS_AT_ONCE_MAX)

    def stop(self) -> None:
        """Begin nothing more."""
        self._leases.stop()

    async def run(self) -> None:
        """Poll until stopped."""
        grace_from = self._world.clock.now() - (UNKNOWN_GRACE_S - SETTLE_S) * MICROSECONDS
        await self._world.db.write("put_off", lambda tx: tasks.put_off_giving_up(tx, grace_from))
        await self._leases.run(self._lease, self._look, self._next_due, self._release)
        left = tuple(self._leases.held.values())
        if left:
            await self._release(left)

    async def _release(self, held: Sequence[Task]) -> None:
        await self._world.db.write("release", lambda tx: [tasks.release_lease(tx, task) for task in held])

    async def _lease(self, limit: int) -> list[tuple[str, Task]]:
        now, due = self._world.clock.now(), self._due()
        leased = await self._world.db.write(
            "lease", lambda tx: tasks.lease_due(tx, due, now=now, lease_us=LEASE_S * MICROSECONDS, limit=limit)
        )
        if len(leased) < limit:
            leased += await self._lease_behind(leased, limit - len(leased))
        return [(task.id, task) for task in leased]

    async def _lease_behind(self, taken: list[Task], limit: int) -> list[Task]:
        """Take what waits behind busy channels; looking for it takes no more than a small part of the time."""
        now, began = self._world.clock.now(), self._world.clock.monotonic()
        due = self._due(taken)
        if began < self._behind_from or not any(room <= 0 for room in due.room.values()):
            return []
        found = await self._world.db.read(lambda tx: tasks.due_behind(tx, due, now=now, limit=limit))
        took_s = self._world.clock.monotonic() - began
        self._behind_from = began + max(BEHIND_EVERY_S, took_s / BEHIND_PART)
        if not found:
            return []
        return await self._world.db.write(
            "lease", lambda tx: tasks.lease(tx, found, now=now, lease_us=LEASE_S * MICROSECONDS)
        )

    async def _next_due(self) -> int | None:
        now, due = self._world.clock.now(), self._due()
        return await self._world.db.read(lambda tx: tasks.next_due(tx, due, now))

    def _due(self, taken: Sequence[Task] = ()) -> Due:
        """What may be taken now: of each channel so much that it never starves the others."""
        counts = Counter(task.channel_id for task in (*self._leases.held.values(), *taken))
        channels = {**self._world.config.by_id, **counts}
        room = {channel: self._at_once_max(channel) - counts[channel] for channel in channels}
        return Due(live=self._live, simulators=tuple(one.id for one in self._world.sandbox), room=room)

    def _at_once_max(self, channel_id: str) -> int:
        channel = self._world.channel(channel_id)
        vendor = self._world.vendors.get(channel.vendor) if channel else None
        return vendor.tasks.polls_at_once_max if vendor and vendor.tasks else TASKS_AT_ONCE_MAX

    async def _look(self, task: Task) -> None:
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                await look(self._world, task)
        except TimeoutError:
            await _look_again(self._world, task, TROUBLE_EVERY_S[-1])
        except (DatabaseUnavailable, WriterOverloaded):
            raise
        except Exception:  # noqa: BLE001 - an edge: logged
            # Whatever is odd about this task, its deadline must still count.
            _log.exception("look_failed", task=task.id)
            await _look_again(self._world, task, TROUBLE_EVERY_S[-1])


async def look(world: World, task: Task) -> None:
    """Do what is due for one leased task."""
    vendor, channel = world.vendors.get(task.vendor), world.channel_of(task)
    if vendor is None or channel is None:
        _log.error("task_without_channel", task=task.id, vendor=task.vendor, channel=task.channel_id)
        await _look_again(world, task, UNKNOWN_EVERY_S)
    elif task.vendor_task_id is None:
        await _search(world, task, vendor, channel)
    else:
        await _poll(world, task, vendor, channel)


async def _poll(
    world: World, task: Task, vendor: Vendor, channel: Channel, link_pauses_s: tuple[float, ...] = LINK_PAUSES_S
) -> None:
    report = await _report(world, task, vendor, channel)
    if report is None:
        await _look_again(world, task, _pause(TROUBLE_EVERY_S, task.polls))
        return
    match report.state:
        case ReportState.SUCCEEDED:
            try:
                await _succeed(world, task, channel, report)
            except LinkDead as error:
                _log.warning("output_unreachable", task=task.id, reason=str(error))
                if not link_pauses_s:
                    await _lose_output(world, task, report)
                    return
                # A fresh report may bring a better link.
                await world.clock.sleep(link_pauses_s[0])
                await _poll(world, task, vendor, channel, link_pauses_s[1:])
        case ReportState.FAILED | ReportState.CANCELLED:
            to = TaskState.FAILED if report.state == ReportState.FAILED else TaskState.CANCELLED
            await end(world, task, End(to=to, report=report, failure=report.failure))
        case ReportState.RUNNING:
            await _look_again(world, task, _pause(tasks_of(vendor).poll_after_s, task.polls), report)
        case ReportState.NOT_FOUND | ReportState.UNKNOWN:
            _log.warning("task_state_unclear", task=task.id, vendor=task.vendor, word=report.word)
            seen = report if report.state == ReportState.UNKNOWN else None
            await _look_again(world, task, _pause(TROUBLE_EVERY_S, task.polls), seen)


async def _report(world: World, task: Task, vendor: Vendor, channel: Channel) -> Report | None:
    """Read the state; None when it could not be read this time."""
    try:
        call = tasks_of(vendor).write_poll(ref(task, channel))
        reply = await call_vendor(world, channel, call, operation="poll", about=about(task))
        return tasks_of(vendor).read_report(reply, ref(task, channel))
    except faults.Fault:
        return None  # which is told
    except ValueError:
        _log.warning("poll_unreadable", task=task.id, vendor=task.vendor)
    return None


async def _succeed(world: World, task: Task, channel: Channel, report: Report) -> None:
    """Store the outputs and end the task. Raises `LinkDead`."""
    try:
        stored = await mirror(world, task, channel, report)
    except OutputUnreachable as error:
        _log.warning("output_unreachable", task=task.id, reason=str(error))
        await _look_again(world, task, _pause(TROUBLE_EVERY_S, task.polls), report)
    else:
        await end(world, task, success(task, report, stored))


async def _lose_output(world: World, task: Task, report: Report) -> None:
    failure = Failure(code=FailureCode.OUTPUT_LOST, message="The vendor's link led to no output; you were not charged")
    billed = report.vendor_cost or task.vendor_cost or task.held
    await _end_without(world, task, End(to=TaskState.FAILED, report=report, failure=failure, exposure=billed))


async def _search(world: World, task: Task, vendor: Vendor, channel: Channel) -> None:
    """Look for an order whose reply was lost in the vendor's own list."""
    urls = () if tasks_of(vendor).find is None else callback_urls(world, task.id, channel)
    accepted = None
    if urls:
        try:
            accepted = await _find(world, task, vendor, channel, urls)
        except (faults.Fault, ValueError) as error:
            _log.info("find_failed", task=task.id, vendor=task.vendor, error=type(error).__name__)
    if accepted is None:
        until_given_up_s = (_given_up_at(task) - world.clock.now()) / MICROSECONDS
        await _look_again(world, task, UNKNOWN_EVERY_S if urls else until_given_up_s)
        return
    now = world.clock.now()
    columns = {
        "vendor_task_id": accepted.vendor_task_id,
        "poll_url": accepted.poll_url,
        "due_at": now,
        "lease_until": 0,
    }
    await world.db.write("found", lambda tx: tasks.move(tx, task, TaskState.RUNNING, **columns))


async def _find(world: World, task: Task, vendor: Vendor, channel: Channel, urls: tuple[str, ...]) -> Accepted | None:
    find = tasks_of(vendor).find
    assert find is not None
    call = find.write(task.created_at - FIND_SLACK_US)
    for _ in range(FIND_PAGES_MAX):
        reply = await call_vendor(world, channel, call, operation="find", about=about(task))
        pages = [find.read(reply, url) for url in urls]
        accepted = next((page.accepted for page in pages if page.accepted is not None), None)
        if accepted is not None or pages[0].next_url is None:
            return accepted
        call = type(call)(method="GET", url=pages[0].next_url)
    return None


async def _look_again(world: World, task: Task, after_s: float, report: Report | None = None) -> None:
    """Note what was heard and when to look next.

    Past its deadline a task's outcome is unknown; past the grace as well, this look was the last.
    """
    now = world.clock.now()
    if now >= task.deadline_at and task.state == TaskState.RUNNING:
        await _doubt(world, task, now, report)
        return
    if task.state == TaskState.UNKNOWN:
        if now >= _given_up_at(task):
            await _give_up(world, task, report)
            return
        after_s = max(after_s, UNKNOWN_EVERY_S)
    await world.db.write_together(_LOOK_AGAIN, together.looked(task, report, now + int(after_s * MICROSECONDS)))


async def _doubt(world: World, task: Task, now: int, report: Report | None) -> None:
    columns: dict[str, object] = {}
    if report is not None:
        columns |= {"report": report, "word": report.word, "started_at": report.started_at or task.started_at}
        columns["progress_ppm"] = None if report.progress is None else int(report.progress * together.PPM)
    columns |= {"due_at": now + UNKNOWN_EVERY_S * MICROSECONDS, "lease_until": 0, "polls": task.polls + 1}
    # The grace counts from here: a deadline that passed while nobody asked says nothing of the vendor.
    columns["deadline_at"] = now
    await world.db.write("to_unknown", lambda tx: tasks.move(tx, task, TaskState.UNKNOWN, **columns))


_LOOK_AGAIN = Group("look_again", together.look_again)


def _given_up_at(task: Task) -> int:
    return task.deadline_at + UNKNOWN_GRACE_S * MICROSECONDS


async def _give_up(world: World, task: Task, report: Report | None) -> None:
    """Close a task whose outcome nobody learned: the caller gets the money back, the operator sees the exposure."""
    last = report or task.report
    lost = last is not None and last.state == ReportState.SUCCEEDED
    failure = Failure(
        code=FailureCode.OUTPUT_LOST if lost else FailureCode.OUTCOME_UNKNOWN,
        message="The output could not be fetched in time; you were not charged"
        if lost
        else "The vendor never said what became of this task; you were not charged",
    )
    how = End(to=TaskState.FAILED, failure=failure, quantities=task.estimate, exposure=task.held)
    await _end_without(world, task, how)


async def _end_without(world: World, task: Task, how: End) -> None:
    """End a task without its outputs, though some of them may be stored."""
    if await end(world, task, how) is not None and task.vendor_task_id is not None:
        await forget_outputs_of_ended(world, task)


def _pause(waits: tuple[float, ...], polls: int) -> float:
    return waits[min(polls, len(waits) - 1)]
