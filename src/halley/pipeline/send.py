"""send: one channel after another until one takes the order. Never twice where the first may have taken it."""

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from halley.kernel import faults
from halley.kernel.faults import Fault
from halley.kernel.ids import TaskId
from halley.kernel.loose import as_list, as_object
from halley.kernel.order import ImageOrder, callers_field
from halley.pipeline.choose import Attempt
from halley.pipeline.inputs import OwnInputs, carry
from halley.pipeline.request import RequestContext, Submission
from halley.pipeline.trouble import About
from halley.pipeline.vendor import SUBMIT, call_vendor, may_try, note_fault, note_rest, note_well
from halley.routing import Channel, Rest
from halley.tasks import Task
from halley.tasks import store as tasks
from halley.vendors.contract import Accepted, Tasks, tasks_of
from halley.vendors.simulate.directive import Directive, Outcome, find_in_prompt, parse_header
from halley.world import World


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A channel took the order. `accepted` is None when its reply was lost: the outcome is unknown."""

    attempt: Attempt
    accepted: Accepted | None
    first: bool
    """Whether no other was tried before it."""


async def send(world: World, submission: Submission, task: Task, attempts: list[Attempt], own: OwnInputs) -> Sent:
    """Ask the channels in turn, passing over those that rest or are full: an order waits for nobody.

    Raises the caller's fault when a vendor refuses the order, else the last channel's when none took it: in both
    cases no vendor has it.
    """
    last: Fault | None = None
    rests: list[Rest] = []
    tried = 0
    for attempt in attempts:
        channel, now_s = attempt.channel, world.clock.monotonic()
        if not world.bounds.enter(channel, now_s):
            last = _full(world, submission.order, channel, now_s)
            continue
        if not may_try(world, channel, SUBMIT):
            world.bounds.give_back(channel, now_s)
            rests += filter(None, (world.health.left(channel.id, SUBMIT, now_s),))
            continue
        tried += 1
        try:
            if attempt is not attempts[0]:
                # Also where the first was passed over: the row names the one that was asked.
                await _note_next(world, task.id, attempt, tried)
            accepted = await _ask(world, submission, task.id, attempt, own)
        except faults.OutcomeUnknown:
            accepted = None
        except faults.VendorFault as error:
            last = error
            note_rest(world, channel, SUBMIT, error)
            continue
        finally:
            world.bounds.leave(channel.id)
        return Sent(attempt=attempt, accepted=accepted, first=attempt is attempts[0])
    raise last or all_rest(submission.order.model, rests)


def all_rest(model: str, rests: Iterable[Rest]) -> Fault:
    """Say that nobody was asked, as the vendor would have whose rest is over first."""
    first = min(rests, key=lambda rest: rest.seconds)
    wait_s = max(1, math.ceil(first.seconds))
    if first.busy:
        message = f"All channels for `{model}` have as much to do as their vendors let them; try again later"
        return faults.VendorBusy(message, retry_after_s=wait_s)
    message = f"All channels for `{model}` are resting after failures; try again soon"
    return faults.VendorUnreachable(message, retry_after_s=wait_s)


def callback_url(world: World, task_id: TaskId, channel: Channel) -> str | None:
    """Where the vendor of this channel can tell us that a task moved; None when it cannot reach us.

    The address holds no secret of the vendor's: its last part proves that we made it.
    """
    vendor = world.vendors[channel.vendor]
    base = world.bound_url if channel.simulated else (world.settings.public_url or "")
    if tasks_of(vendor).callbacks is None or not base.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        return None
    return f"{base.rstrip('/')}/callbacks/{vendor.name}/{task_id}.{world.vault.mac('callback', task_id)}"


def callback_urls(world: World, task_id: TaskId, channel: Channel) -> tuple[str, ...]:
    """List all addresses that the vendor may have been given for a task: the gateway's secret may be another since."""
    newest = callback_url(world, task_id, channel)
    if newest is None:
        return ()
    unsigned = newest.rpartition(".")[0]
    return tuple(f"{unsigned}.{mac}" for mac in world.vault.macs("callback", task_id))


def read_directive(order: ImageOrder, request: RequestContext) -> Directive | None:
    """What ending a test ordered, by header or in the prompt. Raises `BadRequest`."""
    try:
        if request.directive is not None:
            return parse_header(request.directive)
        return find_in_prompt(order.prompt or "")
    except ValueError as error:
        raise faults.BadRequest(str(error), param="Halley-Test") from error


async def _ask(world: World, submission: Submission, task_id: TaskId, attempt: Attempt, own: OwnInputs) -> Accepted:
    order, request, channel, vendor = submission.order, submission.request, attempt.channel, attempt.tasks
    call = attempt.call
    about: About = {"request_id": request.id, "task": task_id, "model": attempt.vendor_model}
    if own or call is None:
        call = vendor.write_order(await carry(world, attempt, order, own, about), attempt.vendor_model)
    if vendor.callbacks is not None and call.json is not None:
        url = callback_url(world, task_id, channel)
        if url is not None:
            call = msgspec.structs.replace(call, json=vendor.callbacks.attach(call.json, url))
    if request.directive is not None:
        call = msgspec.structs.replace(call, headers=(*call.headers, ("halley-test", request.directive)))
    base_url = _ordered_base(channel, order, request) if channel.simulated else channel.base_url
    try:
        reply = await call_vendor(world, channel, call, operation=SUBMIT, base_url=base_url, about=about)
    except faults.Refused as refusal:
        if order.dialect == attempt.vendor.format:
            raise
        raise _in_callers_words(refusal, order, vendor) from refusal
    try:
        accepted = vendor.read_accepted(reply)
    except ValueError as error:
        message = "The vendor answered in a way that cannot be read; whether it took the order is not known"
        fault = faults.OutcomeUnknown(message)
        note_fault(world, channel, SUBMIT, fault, about)
        raise fault from error
    note_well(world, channel, SUBMIT)
    return accepted


def _in_callers_words(refusal: faults.Refused, order: ImageOrder, vendor: Tasks) -> faults.Refused:
    """Name the caller's fields in a refusal by a vendor of another format; of the vendor's own none is blamed."""
    message, complaints = refusal.message, list[dict[str, Any]]()
    for one in map(as_object, as_list(refusal.detail)):
        field = ".".join(str(part) for part in as_list(one.get("loc"))[1:])
        name = _callers_field(order, vendor, field)
        message = message.replace(f"`{field}`", f"`{name or field}`")
        complaints.append({**one, "loc": ["body", *(name.split(".") if name else ())]})
    param = _callers_field(order, vendor, refusal.param or "")
    return type(refusal)(message, param=param, detail=complaints or refusal.detail)


def _callers_field(order: ImageOrder, vendor: Tasks, field: str) -> str | None:
    word = vendor.written_from.get(field)
    images = [image.pointer.strip("/").replace("/", ".") for image in order.images if image.role == word]
    if images:
        return images[0] if len(images) == 1 else None
    return None if word is None else callers_field(order, word)


def _full(world: World, order: ImageOrder, channel: Channel, now_s: float) -> Fault:
    message = f"All channels for `{order.model}` are busy; try again soon"
    return faults.VendorBusy(message, retry_after_s=max(1, math.ceil(world.bounds.wait_s(channel, now_s))))


def _ordered_base(channel: Channel, order: ImageOrder, request: RequestContext) -> str:
    """The address of a simulator: one that refuses connects when the test ordered that."""
    directive = read_directive(order, request)
    refused = directive is not None and directive.outcome == Outcome.CONNECT_REFUSED
    return channel.refused_url if refused else channel.base_url


async def _note_next(world: World, task_id: TaskId, attempt: Attempt, tried: int) -> None:
    await world.db.write(
        "set_channel",
        lambda tx: tasks.set_channel(
            tx,
            task_id,
            channel_id=attempt.channel.id,
            vendor=attempt.vendor.name,
            vendor_model=attempt.vendor_model,
            attempts=tried,
        ),
    )
