"""settle: the end of a task. State, money, outputs, usage and the caller's webhook change in one transaction."""

from collections.abc import Mapping

import msgspec

from halley.accounts import store as accounts
from halley.assets import Asset
from halley.assets import store as assets
from halley.catalogue.meters import IN_PIXELS, measured_outputs
from halley.db import Tx
from halley.idempotency import store as idempotency
from halley.kernel.faults import Fault, Moderated, Refused
from halley.kernel.money import ZERO, Nanos, total
from halley.kernel.order import Failure, FailureCode, Report
from halley.ledger import store as ledger
from halley.pipeline import once
from halley.pipeline.events import tell
from halley.pipeline.persist import write_surely
from halley.pipeline.request import Submission
from halley.pipeline.view import show
from halley.tasks import Task, TaskState, may_move
from halley.tasks import store as tasks
from halley.usage import store as usage
from halley.usage.model import Outcome, Usage
from halley.vendors.contract import WebhookEvent
from halley.world import World

ROUNDING_PIXELS = 10_000
"""A vendor that tells megapixels with two decimals may be off by so much."""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How a task ends."""

    to: TaskState
    report: Report | None = None
    failure: Failure | None = None
    quantities: dict[str, int] = {}
    """What was used, by meter: priced at the task's pinned prices when it succeeded."""
    charge: Nanos | None = None
    """Post this instead: an operator's word."""
    assets: tuple[Asset, ...] = ()
    exposure: Nanos = ZERO
    """What the operator may have to pay a vendor for, though the caller does not pay."""


async def end(world: World, task: Task, how: End) -> Task | None:
    """End a task. None when another was quicker: then nothing was changed, booked or told."""
    written = await world.db.write(f"end.{how.to}", lambda tx: end_in(tx, world, task, how))
    if written is not None:
        world.metrics.tasks_ended.labels(task.model, how.to).inc()
    return written


def end_in(tx: Tx, world: World, task: Task, how: End) -> Task | None:
    """The same inside a transaction."""
    now = world.clock.now()
    columns: dict[str, object] = {"ended_at": now, "failure": how.failure}
    if how.report is not None:
        columns |= {"report": how.report, "word": how.report.word, "started_at": how.report.started_at}
        columns["measured"] = task.measured | how.report.measured
        if how.report.vendor_cost is not None:
            columns["vendor_cost_nanos"] = how.report.vendor_cost
    if not tasks.move(tx, task, how.to, **columns):
        return None
    assets.insert_assets(tx, how.assets)
    paid = _book(tx, world, task, how, now)
    tasks.set_cost(tx, task.id, paid)
    written = tasks.find_task(tx, task.id)
    assert written is not None
    _note_usage(tx, world, written, how, now)
    view = show(world, written, how.assets, base_url=world.base_url)
    output = (WebhookEvent.OUTPUT,) if how.assets else ()
    tell(tx, world, written, view, *output, WebhookEvent.COMPLETED)
    return written


def success(task: Task, report: Report, stored: tuple[Asset, ...]) -> End:
    """The end of a task whose outputs are stored; what came beyond the order is not charged, but exposure."""
    sizes = [(asset.width, asset.height) if asset.width and asset.height else None for asset in stored]
    ordered, delivered = (
        quantities_of(task, measured_outputs(some, task.estimate), report.measured)
        for some in (sizes[: task.prices.outputs_max], sizes)
    )
    beyond = Nanos(total(delivered, task.prices.meters) - total(ordered, task.prices.meters))
    return End(to=TaskState.SUCCEEDED, report=report, quantities=ordered, assets=stored, exposure=beyond)


async def refuse(world: World, submission: Submission, task: Task, fault: Fault) -> None:
    """End a task that no vendor took, and give the money back. The fault is the answer to the caller."""
    failure = Failure(code=_failure_code(fault), message=fault.message)
    request, caller = submission.request, submission.caller

    def unit(tx: Tx) -> None:
        seen = tasks.find_task(tx, task.id)
        if seen is not None and may_move(seen.state, TaskState.FAILED):
            end_in(tx, world, seen, End(to=TaskState.FAILED, failure=failure))
        if request.idempotency_key is None:
            return
        if fault.may_retry:
            idempotency.forget(tx, key_id=caller.key_id, value=request.idempotency_key)
        else:
            once.finish(tx, world, caller, request, submission.dialect.render_fault(fault, request.id))

    await write_surely(world, "refuse", unit)


def quantities_of(
    task: Task, counted: Mapping[str, int] | None = None, told: Mapping[str, int] | None = None
) -> dict[str, int]:
    """What was used, meter by meter: the vendor's word at the end, at the beginning, our count, the estimate.

    A caller pays for what was delivered: of outputs our own number stands, of their pixels never more than we stored.
    A vendor that tells 0 has not counted.
    """
    said = {meter: count for word in (task.measured, told or {}) for meter, count in word.items() if count}
    used = {**task.estimate, **said}
    for meter, count in (counted or {}).items():
        used[meter] = min(said.get(meter, count), count + ROUNDING_PIXELS) if meter in IN_PIXELS else count
    return used


def _book(tx: Tx, world: World, task: Task, how: End, now: int) -> Nanos:
    """Post or give back; the amount that the caller paid."""
    if how.charge is not None or how.to == TaskState.SUCCEEDED:
        amount = total(how.quantities, task.prices.meters) if how.charge is None else how.charge
        posted = ledger.post(tx, hold_id=task.hold_id, amount=amount, ids=world.ids, now=now)
        paid = posted.charged
    else:
        ledger.void(tx, hold_id=task.hold_id, ids=world.ids, now=now)
        paid = ZERO
    accounts.settle_budget(tx, key_id=task.key_id, held=task.held, spent=paid, now=now)
    return paid


def _note_usage(tx: Tx, world: World, task: Task, how: End, now: int) -> None:
    usage.insert(
        tx,
        Usage(
            id=f"use_{world.ids.new()}",
            account_id=task.account_id,
            project_id=task.project_id,
            key_id=task.key_id,
            livemode=task.livemode,
            order_kind="task",
            order_id=task.id,
            model=task.model,
            channel_id=task.channel_id,
            outcome=_outcome(how),
            meters=how.quantities,
            price_nanos=task.cost or ZERO,
            vendor_cost_nanos=_vendor_cost(world, task, how),
            exposure_nanos=how.exposure,
            attempts=task.attempts,
            first_byte_us=None,
            total_us=now - task.created_at,
            created_at=now,
        ),
    )


def _vendor_cost(world: World, task: Task, how: End) -> Nanos | None:
    """What the vendor bills: its own word, else its listed price; nothing for what it did not deliver."""
    if task.vendor_cost is not None:
        return task.vendor_cost
    if how.to != TaskState.SUCCEEDED:
        return None
    return total(how.quantities, world.catalogue.cost(task.model, task.vendor))


def _outcome(how: End) -> Outcome:
    if how.failure is not None and how.failure.code == FailureCode.OUTPUT_LOST:
        return Outcome.LOST
    if how.charge is not None or (how.exposure and how.to != TaskState.SUCCEEDED):
        return Outcome.UNKNOWN
    return Outcome(how.to.value)


def _failure_code(fault: Fault) -> FailureCode:
    if isinstance(fault, Moderated):
        return FailureCode.REQUEST_MODERATED
    return FailureCode.VENDOR_REFUSED if isinstance(fault, Refused) else FailureCode.VENDOR_UNAVAILABLE
