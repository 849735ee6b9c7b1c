"""What callers do with tasks once they are taken: fetch, wait, list, cancel; and what operators do: resolve."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

import msgspec

from halley.accounts import store as accounts
from halley.accounts.model import Caller
from halley.accounts.rules import secret_of_mode
from halley.assets import Asset, ObjectsUnavailable
from halley.assets import store as assets
from halley.db import Tx
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import CancelNotSupported, Conflict, Draining, Fault, NotCancelled, NotFound, Unauthenticated
from halley.kernel.ids import TaskId, parse_task_id
from halley.kernel.money import Nanos
from halley.kernel.order import Failure, FailureCode, ReportState
from halley.pipeline.admit import confirm
from halley.pipeline.lookup import Asked, Found, Written, lookup_of
from halley.pipeline.outputs import forget_outputs, forget_outputs_of_ended
from halley.pipeline.request import RequestContext
from halley.pipeline.settle import End, end_in, quantities_of
from halley.pipeline.trouble import About
from halley.pipeline.vendor import POLL, call_vendor, same_site
from halley.pipeline.view import read_body, show
from halley.routing import Channel
from halley.tasks import Task, TaskFilter, TaskState, Version
from halley.tasks import store as tasks
from halley.tasks.states import ended
from halley.vendors.contract import Dialect, Page, TaskRef, TaskView, Vendor, VendorCall, tasks_of
from halley.world import World

Shown = TypeVar("Shown", bound=Written)
DAY_US = 24 * 3600 * MICROSECONDS
ID_LENGTH_REMEMBERED_MAX = 64
IDS_REMEMBERED_MAX = 8_192
CANCEL_WAIT_S = 5.0
"""How long a cancel waits for the vendor's confirmation before it answers the state as it stands."""
WEBHOOK_SECRET_BYTES = 32
DELETE_S_MAX = 60


async def fetch(
    world: World, caller: Caller, task_id: str, request: RequestContext, *, dialect: Dialect | None = None
) -> TaskView | None:
    """Show a task in any of its id's spellings; None when it is unknown or not this caller's."""
    found = await _find(world, caller, task_id)
    return None if found is None else await _view(world, *found, request.base_url, dialect)


async def answer(
    world: World,
    caller: Caller,
    task_id: str,
    base_url: str,
    render: Callable[[TaskView], Shown],
    *,
    dialect: Dialect | None = None,
) -> Shown | None:
    """Fetch and render. Who asks again and again gets the answer of before, as long as the task's row is the same.

    `render` may look at nothing but the view; it is told by `dialect`, or is our own shape without one.
    """
    known = _known_id(task_id)
    if known is None:
        return None
    lookup = lookup_of(world.db)
    now = world.clock.now()
    # Links are the same all day long, see `links.link_expiry`.
    shape = (None if dialect is None else dialect.name, base_url, now // DAY_US)
    kept = lookup.kept(known, shape)
    found = await lookup.find(_asked(caller, known, None if kept is None else kept[0]))
    if found is None:
        return None
    if found.task is None:
        assert kept is not None
        return kept[1]
    shown = render(await _view(world, found.task, found.assets, base_url, dialect))
    if _lasts(found, now):
        lookup.keep(known, found.version, shape, shown)
    return shown


async def wait_ended(
    world: World,
    caller: Caller,
    task_id: str,
    request: RequestContext,
    *,
    seconds: float,
    dialect: Dialect | None = None,
) -> TaskView | None:
    """Show a task once it has ended, or as it stands when the time is over or nobody wants it any more.

    A wait is no longer than its key is good.
    """
    found = await _wait_until(world, caller, task_id, request, lambda task: ended(task.state), seconds=seconds)
    return None if found is None else await _view(world, *found, request.base_url, dialect)


async def page(
    world: World,
    caller: Caller,
    which: TaskFilter,
    request: RequestContext,
    *,
    limit: int,
) -> Page:
    """List the caller's tasks, newest first; `which` is narrowed to what is theirs."""
    own = msgspec.structs.replace(which, project_id=caller.project_id, livemode=caller.livemode)

    def query(tx: Tx) -> tuple[list[Task], dict[str, tuple[Asset, ...]]]:
        found = tasks.list_tasks(tx, own, limit + 1)
        return found, assets.assets_of(tx, [task.id for task in found])

    found, made = await world.db.read(query)
    more = len(found) > limit
    found = (found[1:] if own.before else found[:limit]) if more else found
    # Large bodies are not read back here: a page of them would be gigabytes.
    views = [await _view(world, task, made.get(task.id, ()), request.base_url, None) for task in found]
    has_next, has_previous = (True, more) if own.before else (more, own.after is not None)
    return Page(
        tasks=tuple(views),
        next_cursor=found[-1].id if found and has_next else None,
        previous_cursor=found[0].id if found and has_previous else None,
        path=request.path,
        base_url=request.base_url,
    )


async def cancel(
    world: World,
    caller: Caller,
    task_id: str,
    request: RequestContext,
    *,
    shows_unchanged: bool,
    dialect: Dialect | None = None,
) -> TaskView | None:
    """Cancel a task at its vendor, and show what became of it; None when it is not there.

    One that has ended is shown as it is. Where the vendor cannot cancel: the unchanged task with `shows_unchanged`,
    else `CancelNotSupported` is raised. Raises `NotCancelled` where it could but did not.
    """

    def is_settled(task: Task) -> bool:
        return ended(task.state) or task.vendor_task_id is not None or _canceller(world, task) is None

    found = await _wait_until(world, caller, task_id, request, is_settled, seconds=CANCEL_WAIT_S)
    if found is None:
        return None
    task = found[0]
    able = _canceller(world, task)
    if ended(task.state) or (able is None and shows_unchanged):
        return await _view(world, *found, request.base_url, dialect)
    if able is None:
        message = "The vendor that runs this task cannot cancel it; it will end by itself"
        raise CancelNotSupported(message)
    if task.vendor_task_id is None:
        message = (
            "The vendor has not confirmed this order yet, so the task was not cancelled; cancel it again in a moment"
        )
        raise NotCancelled(message)
    refusal = await _ask_to_cancel(world, task, *able)
    await world.db.write("make_due", lambda tx: tasks.make_due(tx, task.id, world.clock.now()))
    shown = await wait_ended(world, caller, task.id, request, seconds=CANCEL_WAIT_S, dialect=dialect)
    if refusal is not None and shown is not None and not shown.ended:
        message = (
            "The vendor did not cancel this task: it runs on, or has ended there a moment ago."
            " Fetch it to see how it stands, or cancel it again"
        )
        raise NotCancelled(message, retry_after_s=refusal.retry_after_s) from refusal
    return shown


def check_callback(world: World, vendor_name: str, token: str) -> None:
    """See that a callback's address is one of ours, before anything of its body is read. Raises `NotFound`."""
    task_id, _, mac = token.partition(".")
    vendor = world.vendors.get(vendor_name)
    if vendor is None or not _calls_back(vendor) or not world.vault.verify_mac("callback", task_id, mac):
        raise NotFound("No such callback address")


async def callback(world: World, vendor_name: str, token: str, headers: Mapping[str, str], body: bytes) -> None:
    """Take a vendor's hint that a task moved: the task becomes due now, its state is taken from a poll.

    Raises `NotFound` for an address that we did not make, `Unauthenticated` for a wrong or missing signature.
    """
    check_callback(world, vendor_name, token)
    vendor, task_id = world.vendors[vendor_name], token.partition(".")[0]
    task = await world.db.read(lambda tx: tasks.find_task(tx, task_id))
    if task is None or task.vendor != vendor_name:
        raise NotFound("No such callback address")
    secret = await _callback_secret(world, vendor, task)
    callbacks = tasks_of(vendor).callbacks
    assert callbacks is not None
    if not callbacks.verify(headers, body, secret, world.clock.now() // MICROSECONDS):
        raise Unauthenticated("The callback's signature is missing, wrong or too old")
    if not ended(task.state):
        await world.db.write("make_due", lambda tx: tasks.make_due(tx, task.id, world.clock.now()))


async def webhook_secret(world: World, project_id: str, *, livemode: bool) -> str:
    """Give the secret that the project's webhooks of this mode are signed with (`whsec_…`), made at its first use."""
    return secret_of_mode(await _project_secret(world, project_id), livemode=livemode)


def make_webhook_secret(world: World) -> bytes:
    """Make what a project's webhooks may be signed with."""
    return b"whsec_" + b64encode(world.ids.secret(WEBHOOK_SECRET_BYTES).encode())


async def resolve(
    world: World, task_id: str, *, void: bool = False, post: Nanos | None = None, attach: str | None = None
) -> Task:
    """Let an operator decide what became of a task whose outcome is unknown.

    `void` gives the money back, `post` charges that amount, `attach` names the vendor's id so that the task runs on.
    Raises `NotFound`, `Conflict` when its outcome is known, it moves at the same moment or the job cannot be its own,
    the fault of a vendor that cannot be asked for the job, and `Draining` when what is stored of the job that it had
    before cannot be deleted.
    """
    assert [void, post is not None, attach is not None].count(True) == 1, "one of the three"
    known = parse_task_id(task_id)
    task = None if known is None else await world.db.read(lambda tx: tasks.find_task(tx, known))
    if task is None:
        message = f"There is no task `{task_id}`"
        raise NotFound(message)
    if task.state != TaskState.UNKNOWN:
        message = f"The outcome of this task is not unknown: it is `{task.state}`"
        raise Conflict(message)
    if attach is not None:
        await _check_job(world, _attached(task, attach))
        if task.vendor_task_id not in (None, attach):
            task = await _without_outputs(world, task)
    written = await world.db.write("resolve", lambda tx: _resolve(tx, world, task, post, attach))
    if written is None:
        raise Conflict("The task moved at the same moment; look at it again")
    if ended(written.state):
        await forget_outputs_of_ended(world, task)
    return written


def about(task: Task) -> About:
    """Give what the log says of a task whose vendor fails."""
    return {"request_id": task.request_id, "task": task.id, "model": task.vendor_model}


def ref(task: Task, channel: Channel) -> TaskRef:
    """How the vendor knows it. A polling address outside the channel's site is dropped: our key does not go there."""
    assert task.vendor_task_id is not None
    url = task.poll_url
    usable = url is None or "://" not in url or same_site(channel.base_url, url)
    return TaskRef(vendor_task_id=task.vendor_task_id, poll_url=url if usable else None)


async def _project_secret(world: World, project_id: str) -> str:
    context = f"project:{project_id}"
    sealed = await world.db.read(lambda tx: accounts.webhook_secret(tx, project_id))
    if sealed is not None and world.vault.is_current(sealed):
        return world.vault.open(sealed, context=context).decode()
    known = None if sealed is None else world.vault.open(sealed, context=context)
    # Made at its first use; sealed anew once the gateway's own secret was rotated, so that the old one can go.
    fresh = world.vault.seal(known or make_webhook_secret(world), context=context)
    kept = await world.db.write(
        "webhook_secret",
        lambda tx: accounts.set_webhook_secret(tx, project_id=project_id, secret=fresh, seen=sealed),
    )
    return world.vault.open(kept, context=context).decode()


def _resolve(tx: Tx, world: World, task: Task, post: Nanos | None, attach: str | None) -> Task | None:
    now = world.clock.now()
    if attach is not None:
        vendor = world.vendors[task.vendor]
        deadline = now + tasks_of(vendor).deadline_s * MICROSECONDS
        columns = {"vendor_task_id": attach, "due_at": now, "lease_until": 0, "deadline_at": deadline}
        tx.wake(tasks.DUE_TOPIC)
        moved = tasks.move(tx, task, TaskState.RUNNING, poll_url=_attached(task, attach).poll_url, **columns)
        return tasks.find_task(tx, task.id) if moved else None
    failure = Failure(code=FailureCode.OUTCOME_UNKNOWN, message="The outcome is unknown; the operator has closed it")
    return end_in(
        tx, world, task, End(to=TaskState.FAILED, failure=failure, charge=post, quantities=quantities_of(task))
    )


def _attached(task: Task, job: str) -> Task:
    """Give the task with this job; where another one was polled says nothing of it."""
    poll_url = task.poll_url if job == task.vendor_task_id else None
    return msgspec.structs.replace(task, vendor_task_id=job, poll_url=poll_url)


async def _check_job(world: World, task: Task) -> None:
    """See that a task's job is no other task's, and that the vendor knows it. Raises `Conflict`."""
    job, vendor, channel = task.vendor_task_id, world.vendors.get(task.vendor), world.channel_of(task)
    assert job is not None
    other = await world.db.read(lambda tx: tasks.other_with_job(tx, task, job))
    if other is not None:
        message = f"`{job}` is the job of `task_{other}`, so it cannot be that of this task; look for its own id again"
        raise Conflict(message)
    if vendor is None or channel is None:
        message = (
            "The channel of this task is gone, so no job can be followed; put it back into `halley.toml` and reload"
        )
        raise Conflict(message)
    known = ref(task, channel)
    reply = await call_vendor(world, channel, tasks_of(vendor).write_poll(known), operation=POLL, about=about(task))
    try:
        report = tasks_of(vendor).read_report(reply, known)
    except ValueError as error:
        message = f"The vendor's answer about `{job}` cannot be read; the task stays as it is. Try again in a moment"
        raise Conflict(message) from error
    if report.state == ReportState.NOT_FOUND:
        message = f"The vendor does not know `{job}` on this task's channel; the task stays as it is. Check the id"
        raise Conflict(message)


def _canceller(world: World, task: Task) -> tuple[Channel, Callable[[TaskRef], VendorCall]] | None:
    """Where and how to cancel a task; None where that cannot be done."""
    vendor, channel = world.vendors.get(task.vendor), world.channel_of(task)
    write = None if vendor is None else tasks_of(vendor).write_cancel
    return None if write is None or channel is None else (channel, write)


async def _ask_to_cancel(
    world: World, task: Task, channel: Channel, write: Callable[[TaskRef], VendorCall]
) -> Fault | None:
    """Give the vendor's refusal, or what else became of the call, for the task's own state to be asked for."""
    try:
        await call_vendor(world, channel, write(ref(task, channel)), operation="cancel", about=about(task))
    except Fault as fault:
        return fault
    return None


async def _without_outputs(world: World, task: Task) -> Task:
    """Delete what is stored of a task's job: outputs are known by their number, so the next job's would not be fetched.

    The task is leased for it, so that no worker stores more of them, or ends it with them.
    """
    now = world.clock.now()

    def lease(tx: Tx) -> list[Task]:
        seen = tasks.find_task(tx, task.id)
        if seen is None or seen.state != TaskState.UNKNOWN:
            return []
        tasks.make_due(tx, task.id, now)
        return tasks.lease(tx, [task.id], now=now, lease_us=2 * DELETE_S_MAX * MICROSECONDS)

    leased = await world.db.write("lease", lease)
    if not leased:
        raise Conflict("A worker looks at this task just now; try again in two minutes")
    try:
        async with asyncio.timeout(DELETE_S_MAX):
            await forget_outputs(world, task)
    except (ObjectsUnavailable, TimeoutError) as error:
        message = "What is stored of the job before cannot be deleted, as the store of files does not answer; the task"
        raise Draining(f"{message} stays as it is. Try again in {2 * DELETE_S_MAX // 60} minutes") from error
    return leased[0]


async def _wait_until(
    world: World,
    caller: Caller,
    task_id: str,
    request: RequestContext,
    holds: Callable[[Task], bool],
    *,
    seconds: float,
) -> tuple[Task, tuple[Asset, ...]] | None:
    """Look at a task until that holds of it, the time is over, or nobody wants it any more."""
    known = _known_id(task_id)
    if known is None:
        return None
    until = world.clock.monotonic() + seconds
    confirmed: int | None = None
    with world.db.wakeups.subscribe(tasks.topic(known)) as waiter:
        while True:
            found = await _find(world, caller, known)
            left = until - world.clock.monotonic()
            if found is None or holds(found[0]) or left <= 0 or world.draining or request.is_unwanted:
                return found
            if confirmed != world.callers.epoch:
                # Some key was revoked since we looked: a call that is held open must not outlive its own.
                confirmed = world.callers.epoch
                await confirm(world, caller)
            await waiter.wait(min(left, 1.0))


async def _find(world: World, caller: Caller, task_id: str) -> tuple[Task, tuple[Asset, ...]] | None:
    known = _known_id(task_id)
    found = None if known is None else await lookup_of(world.db).find(_asked(caller, known))
    if found is None:
        return None
    assert found.task is not None, "the asker knew nothing"
    return found.task, found.assets


def _asked(caller: Caller, known: TaskId, version: Version | None = None) -> Asked:
    return Asked(task_id=known, project_id=caller.project_id, livemode=caller.livemode, known=version)


def _known_id(text: str) -> TaskId | None:
    return _remembered_id(text) if len(text) <= ID_LENGTH_REMEMBERED_MAX else parse_task_id(text)


_remembered_id = lru_cache(IDS_REMEMBERED_MAX)(parse_task_id)
"""Who waits for a task spells its id again and again."""


def _lasts(found: Found, now: int) -> bool:
    """Whether nothing but a change of its row can change how a task is shown today."""
    assert found.task is not None
    tomorrow = (now // DAY_US + 1) * DAY_US
    return found.task.body_object is None and all(
        asset.deleted_at is None and asset.expires_at > tomorrow for asset in found.assets
    )


async def _view(world: World, task: Task, made: tuple[Asset, ...], base_url: str, dialect: Dialect | None) -> TaskView:
    body = await read_body(world, task, dialect)
    return show(world, task, made, base_url=base_url, body=body)


def _calls_back(vendor: Vendor) -> bool:
    return vendor.tasks is not None and vendor.tasks.callbacks is not None


async def _callback_secret(world: World, vendor: Vendor, task: Task) -> str:
    """Ask the vendor for its signing secret; it is kept in memory until the channels change."""
    channel = world.channel_of(task)
    callbacks = tasks_of(vendor).callbacks
    assert callbacks is not None
    if channel is None or callbacks.write_secret is None or callbacks.read_secret is None:
        return ""
    known = world.callback_secrets.get(channel.id)
    if known is None:
        call = callbacks.write_secret()
        reply = await call_vendor(world, channel, call, operation="callback_secret", about=about(task))
        known = world.callback_secrets[channel.id] = callbacks.read_secret(reply)
    return known
