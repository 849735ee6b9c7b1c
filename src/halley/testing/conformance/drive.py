"""Drives one cell: orders, breaks what is to break, lets time pass, and asserts what everybody sees, pays and has.

One function per operation. What the caller got is searched for what is the vendor's.
"""

from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from halley.kernel.clock import MICROSECONDS
from halley.kernel.order import FailureCode
from halley.kernel.pointer import rewritten
from halley.tasks import Task, TaskState
from halley.testing.client import Reply, example_route
from halley.testing.conformance.cells import BREAKS, LOST, Cell, Operation
from halley.testing.conformance.expected import Expected, expected_of
from halley.testing.gateway import Rig, leaks
from halley.testing.wire import Break
from halley.vendors.contract import Action, Dialect, Vendor, tasks_of
from halley.vendors.simulate.directive import Outcome
from halley.worker.poll import UNKNOWN_GRACE_S

LONG_S = 60
"""How long a job takes that is to be met while it runs."""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100c9fe"
    "92ef0000000049454e44ae426082"
)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """An order that the vendor takes, in its own format."""

    path: str
    body: dict[str, Any]
    image_path: str = ""
    image_body: dict[str, Any] | None = None
    """One with an input image; `IMAGE` in it stands for the image's URL."""


IMAGE = "{image}"


def sample_of(vendor: Vendor) -> Sample:
    """The example of the vendor's own format. An order with an image must be given for a vendor with uploads."""
    route = example_route(_dialect(vendor))
    return Sample(path=route.example_path or route.path, body=dict(route.example or {}))


async def drive(rig: Rig, cell: Cell, sample: Sample) -> None:
    """Run one cell and assert everything. The rig may be shared: nothing is left behind but ended tasks."""
    await rig.serve_only(cell.vendor.name)
    rig.client.replies.clear()
    rig.wire.broken.clear()
    await _OPERATIONS[cell.operation](Drive(rig, cell, sample))


class Drive:
    """One cell being driven."""

    def __init__(self, rig: Rig, cell: Cell, sample: Sample) -> None:
        self.rig = rig
        self.vendor = cell.vendor
        self.ending = cell.ending
        self.sample = sample
        self.dialect = _dialect(cell.vendor)
        self.expected = expected_of(cell.vendor, cell.ending)
        self.seen = 0

    async def order(
        self, ending: Outcome, *, delay_s: float | None = None, image: str = "", key: str = ""
    ) -> tuple[Reply, Task]:
        """Order, and give the answer with the task's row."""
        self.seen = await self.rig.last_job(self.vendor.name)
        directive = ending.value if delay_s is None else f"{ending.value}; delay={delay_s:g}"
        path, body = self.sample.path, self.sample.body
        if image:
            assert self.sample.image_body is not None, "a vendor with uploads needs a sample with an image"
            path = self.sample.image_path
            body = rewritten(self.sample.image_body, lambda text: image if text == IMAGE else text)
        reply = await self.rig.client.order(self.dialect, body, path=path, ending=directive, key=key)
        return reply, await self.rig.last_task()

    async def end(self, task: Task, expected: Expected) -> Task:
        """Let the task come to its end, looking at what its caller sees on the way."""
        if not expected.is_unknown_first:
            return await self.rig.ended(task.id)
        if task.state is not TaskState.UNKNOWN and expected.is_exposed:
            await self._is_shown_as_running(task)
            await self.rig.pass_time(tasks_of(self.vendor).deadline_s, step_s=15)
            await self.rig.reach(task.id, "unknown")
        if expected.is_exposed:
            await self._is_shown_as_running(task)
            assert await self.rig.posted(task) == 0
            left_s = (task.deadline_at - self.rig.clock.now()) / MICROSECONDS + UNKNOWN_GRACE_S
            await self.rig.pass_time(left_s - 60, step_s=100)
            assert (await self.rig.task(task.id)).state is TaskState.UNKNOWN, "given up before its time"
        return await self.rig.ended(task.id, within_s=600)

    async def check(self, reply: Reply, task: Task, expected: Expected) -> None:
        """Assert the end: state, failure, money, jobs, books, and that nothing of the vendor's was shown."""
        assert reply.status in expected.statuses, reply
        assert task.state is expected.state, (task.state, task.failure)
        code = task.failure.code if task.failure else None
        assert (code in expected.failures) if expected.failures else code is None, task.failure
        await self._check_money(task, expected)
        await self._check_view(task)
        jobs = await self.rig.jobs(self.vendor.name, self.seen)
        assert len(jobs) == expected.jobs, f"{len(jobs)} jobs at the vendor, not {expected.jobs}"
        await self.check_secrecy(task)

    async def check_secrecy(self, task: Task) -> None:
        """Assert that no reply of the run holds what is the vendor's."""
        jobs = await self.rig.jobs(self.vendor.name, self.seen)
        channel = self.rig.world.channel_of(task)
        assert channel is not None
        mac = self.rig.world.vault.mac("callback", task.id)
        secrets = [
            *(job.id for job in jobs),
            urlsplit(channel.base_url).netloc,
            urlsplit(self.vendor.base_url).netloc,
            mac,
            "/callbacks/",
        ]
        assert leaks(self.rig.client, secrets) == []
        assert _foreign_costs(self.rig.client.replies, task) == []

    async def _check_money(self, task: Task, expected: Expected) -> None:
        posted, usage = await self.rig.posted(task), await self.rig.usage(task)
        assert usage is not None
        assert task.cost == posted == usage.price_nanos
        assert posted > 0 if expected.is_charged else posted == 0, posted
        if expected.is_charged and usage.vendor_cost_nanos is not None:
            # Conformance prices each model at twice what the vendor bills: then a cost that is shown gives itself away.
            assert posted == 2 * usage.vendor_cost_nanos, usage
        if task.failure is not None and task.failure.code == FailureCode.OUTPUT_LOST:
            # The vendor made it, so it bills it, though nobody could fetch it.
            assert 0 < usage.exposure_nanos <= task.held
        else:
            assert usage.exposure_nanos == (task.held if expected.is_exposed else 0)
        assert await self.rig.open_holds() == 0
        assert await self.rig.differences() == ()

    async def _check_view(self, task: Task) -> None:
        shown = await self.rig.client.task(task.id)
        assert shown["state"] == task.state.value
        assert len(shown["outputs"]) > 0 if task.state is TaskState.SUCCEEDED else shown["outputs"] == []
        own = await self.rig.client.fetch(self.dialect, task.id)
        assert own.status == HTTPStatus.OK
        for output in shown["outputs"]:
            download = await self.rig.client.call("GET", output["url"])
            assert (download.status, len(download.body)) == (HTTPStatus.OK, output["bytes"])
            # What is inside a file is the vendor's own affair.
            self.rig.client.replies.pop()

    async def _is_shown_as_running(self, task: Task) -> None:
        shown = await self.rig.client.task(task.id)
        assert shown["state"] in ("starting", "running"), shown
        assert shown["cost"] is None
        assert await self.rig.open_holds() == 1


async def _submit(drive: Drive) -> None:
    reply, task = await drive.order(drive.ending, delay_s=1)
    if drive.ending in LOST:
        assert task.state is TaskState.UNKNOWN
    if drive.ending is Outcome.RATE_LIMITED:
        assert int(reply.headers["retry-after"]) >= 1
    if drive.ending is Outcome.INVALID:
        assert reply.json["error"]["param"], "the field is named"
    await drive.check(reply, await drive.end(task, drive.expected), drive.expected)


async def _poll(drive: Drive) -> None:
    """An ending that a poll tells; or the poll itself fails in this way, and the next one goes well."""
    how = BREAKS.get(drive.ending)
    if how is None or drive.ending in (Outcome.VENDOR_ERROR, Outcome.NOT_FOUND_LATER):
        await _told_by_poll(drive)
    if how is not None:
        await _with_broken(drive, how, _is_poll(drive), Outcome.SUCCESS)


async def _told_by_poll(drive: Drive) -> None:
    reply, task = await drive.order(drive.ending, delay_s=LONG_S)
    await drive.rig.turn(2)
    for _ in range(3):
        shown = await drive.rig.client.fetch(drive.dialect, task.id)
        assert shown.status == HTTPStatus.OK
        await drive.rig.turn(5)
    assert (await drive.rig.task(task.id)).state is TaskState.RUNNING
    await drive.check(reply, await drive.end(task, drive.expected), drive.expected)


async def _cancel(drive: Drive) -> None:
    """Cancel while it runs; and where the ending is that of a call, break the cancel itself as well."""
    how = BREAKS.get(drive.ending)
    if how is not None and drive.ending is not Outcome.NOT_FOUND_LATER:
        await _broken_cancel(drive, how)
        return
    reply, task = await drive.order(drive.ending, delay_s=LONG_S)
    await drive.rig.turn(2)
    cancelled = await drive.rig.while_ticking(drive.rig.client.cancel(drive.dialect, task.id))
    assert cancelled.status == HTTPStatus.OK
    expected = msgspec.structs.replace(_CANCELLED, statuses=drive.expected.statuses)
    await drive.check(reply, await drive.rig.ended(task.id), expected)
    again = await drive.rig.client.cancel(drive.dialect, task.id)
    assert again.status == HTTPStatus.OK


async def _broken_cancel(drive: Drive, how: Break) -> None:
    """A cancel that fails changes nothing: the task goes on, and its caller hears that it was not cancelled."""
    reply, task = await drive.order(Outcome.SUCCESS, delay_s=LONG_S)
    await drive.rig.turn(2)
    drive.rig.wire.fail(how, lambda method, path: method == "POST" and path.endswith("/cancel"))
    cancelled = await drive.rig.while_ticking(drive.rig.client.cancel(drive.dialect, task.id))
    assert len(drive.rig.wire.broken) == 1
    if how is not Break.GARBAGE:
        assert cancelled.status >= HTTPStatus.BAD_REQUEST, cancelled
    assert cancelled.status != HTTPStatus.INTERNAL_SERVER_ERROR
    await drive.check(reply, await drive.rig.ended(task.id), Expected())


async def _find(drive: Drive) -> None:
    """A lost order is found in the vendor's list; also when the first search fails in this way."""
    how = BREAKS.get(drive.ending)
    if how is not None:
        drive.rig.wire.fail(how, _is_listing(drive))
    reply, task = await drive.order(Outcome.RESET_AFTER_SEND)
    assert task.state is TaskState.UNKNOWN
    ended = await drive.rig.ended(task.id, within_s=300)
    assert ended.vendor_task_id is not None
    assert how is None or len(drive.rig.wire.broken) == 1
    await drive.check(reply, ended, Expected())


async def _upload(drive: Drive) -> None:
    """A file of ours reaches the vendor; an upload that fails means that nothing was ordered, whatever was lost."""
    form = aiohttp.FormData()
    form.add_field("content", PNG, filename="input.png", content_type="image/png")
    routes = [route for dialect in drive.rig.world.dialects.values() for route in dialect.routes]
    path = next(route.path for route in routes if route.action is Action.FILE_CREATE)
    link = (await drive.rig.client.call("POST", path, data=form)).json["urls"]["get"]
    how = BREAKS.get(drive.ending)
    if how is not None:
        drive.rig.wire.fail(how, lambda method, path: method == "POST" and "file" in path)
    reply, task = await drive.order(Outcome.SUCCESS, image=link)
    if how is None:
        ended = await drive.rig.ended(task.id)
        await drive.check(reply, ended, Expected())
        return
    assert len(drive.rig.wire.broken) == 1
    assert task.state is TaskState.FAILED, f"nothing was ordered, yet the task is {task.state}"
    assert reply.status in (422, 429, 502, 503), reply
    await drive.check(reply, task, msgspec.structs.replace(_REFUSED, statuses=(reply.status,)))


async def _callback(drive: Drive) -> None:
    """The vendor tells of the end, and the task ends at once, not at its next poll."""
    reply, task = await drive.order(drive.ending, delay_s=LONG_S)
    job = (await drive.rig.jobs(drive.vendor.name, drive.seen))[0]
    await drive.check(reply, await drive.end(task, drive.expected), drive.expected)

    async def called_back() -> bool:
        return (await drive.rig.jobs(drive.vendor.name, drive.seen))[0].callbacks_sent >= wanted

    assert job.callback_url is not None
    wanted = 0 if drive.ending is Outcome.CALLBACK_LOST else 2 if drive.ending is Outcome.CALLBACK_TWICE else 1
    await drive.rig.settle(called_back)
    ended = await drive.rig.task(task.id)
    assert await drive.rig.posted(ended) == (ended.cost or 0)


async def _download(drive: Drive) -> None:
    """The output's link is dead, or its download fails in this way once."""
    how = BREAKS.get(drive.ending)
    if how is None:
        reply, task = await drive.order(drive.ending)
        await drive.check(reply, await drive.end(task, drive.expected), drive.expected)
        return
    await _with_broken(drive, how, _is_output(drive), Outcome.SUCCESS)


async def _with_broken(drive: Drive, how: Break, matches: Callable[[str, str], bool], ending: Outcome) -> None:
    reply, task = await drive.order(ending, delay_s=2)
    drive.rig.wire.fail(how, matches)
    ended = await drive.rig.ended(task.id)
    assert len(drive.rig.wire.broken) == 1
    await drive.check(reply, ended, Expected())


def _is_poll(drive: Drive) -> Callable[[str, str], bool]:
    return lambda method, path: method == "GET" and not _is_output(drive)(method, path)


def _is_listing(drive: Drive) -> Callable[[str, str], bool]:
    find = tasks_of(drive.vendor).find
    assert find is not None
    listing = urlsplit(find.write(0).url).path
    return lambda method, path: method == "GET" and path == listing


def _is_output(drive: Drive) -> Callable[[str, str], bool]:
    del drive
    return lambda method, path: method == "GET" and path.rpartition(".")[2] in ("png", "jpg", "jpeg", "webp")


def _foreign_costs(replies: list[Reply], task: Task) -> list[Any]:
    """Numbers that are shown as a cost and are not our price, in dollars or in cents."""
    if task.vendor_cost is None:
        return []
    theirs = {task.vendor_cost / 1e7, task.vendor_cost / 1e9}
    return [
        value for reply in replies if reply.body[:1] == b"{" for value in _costs(reply.json) if _number(value) in theirs
    ]


def _costs(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():  # JSON's names are strings
            if any(word in name for word in ("cost", "price", "credit")):
                yield item
            yield from _costs(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):  # whatever JSON holds
            yield from _costs(item)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _dialect(vendor: Vendor) -> Dialect:
    assert vendor.dialect is not None, "a vendor without a format of its own is covered by the one it conforms to"
    return vendor.dialect


_CANCELLED = Expected(state=TaskState.CANCELLED)
_REFUSED = Expected(
    state=TaskState.FAILED, failures=(FailureCode.VENDOR_UNAVAILABLE, FailureCode.VENDOR_REFUSED), jobs=0
)
_OPERATIONS: dict[Operation, Callable[[Drive], Awaitable[None]]] = {
    Operation.SUBMIT: _submit,
    Operation.POLL: _poll,
    Operation.CANCEL: _cancel,
    Operation.FIND: _find,
    Operation.UPLOAD: _upload,
    Operation.CALLBACK: _callback,
    Operation.DOWNLOAD: _download,
}
