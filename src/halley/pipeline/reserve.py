"""reserve: the ceiling of the price becomes a hold, on disk with the task's row, before any vendor is called."""

import asyncio
from collections.abc import Sequence

import msgspec

from halley.accounts import store as accounts
from halley.accounts.model import Caller
from halley.assets.objects import put_bytes
from halley.assets.rules import body_key
from halley.catalogue import PriceSet
from halley.catalogue.conditions import ORDER_FACTS, at_size, input_tokens
from halley.catalogue.meters import estimate
from halley.db import Group, Tx
from halley.idempotency import store as idempotency
from halley.idempotency.model import Attempt as Claim
from halley.idempotency.model import Existing
from halley.idempotency.rules import fingerprint
from halley.kernel import codec
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import Fault, NoPrice
from halley.kernel.ids import TaskId
from halley.kernel.money import Nanos, total
from halley.kernel.order import ImageOrder
from halley.ledger import store as ledger
from halley.ledger import together
from halley.ledger.model import HoldRequest
from halley.pipeline.choose import Attempt
from halley.pipeline.events import seal_webhook
from halley.pipeline.request import Submission
from halley.tasks import Task
from halley.tasks.model import Pinned
from halley.tasks.together import insert_tasks
from halley.world import World

_SECRET_FIELDS = frozenset({"webhook_secret"})
"""Never stored as they came; the webhook's secret is sealed on its own."""
Price = tuple[PriceSet, dict[str, int], dict[str, int], Nanos]
"""What is charged by, its prices that hold for this order, what may be used at most, and what that comes to."""
BODY_INLINE_MAX = 64 * 1024
"""Bodies above this go to the object store, not into the row."""


async def reserve(world: World, submission: Submission, first: Attempt, task_id: TaskId) -> Task | Existing:
    """Write hold, budget, task and idempotency row as one unit; or give what the idempotency key already stands for.

    Raises `NoPrice`, and `OutOfFunds` naming what was needed and what is left: then nothing was written.
    """
    caller, request, order = submission.caller, submission.request, submission.order
    price = ceiling(world, caller, order)
    kept = order.body
    if not _SECRET_FIELDS.isdisjoint(kept):
        kept = {name: value for name, value in kept.items() if name not in _SECRET_FIELDS}
    # In a thread, since a body may have 64 MB.
    body = await asyncio.to_thread(codec.encode, kept) if order.images else codec.encode(kept)
    large = len(body) > BODY_INLINE_MAX and await _put_body(world, task_id, body)
    task = _new_task(world, submission, first, task_id, price, large or body)
    claim = None
    if request.idempotency_key is not None:
        claim = Claim(
            key_id=caller.key_id,
            value=request.idempotency_key,
            fingerprint=await _fingerprint(submission),
            boot_id=world.boot_id,
            task_id=task.id,
            now=task.created_at,
        )
    try:
        existing = await world.db.write_together(_RESERVE, _Reservation(caller=caller, task=task, claim=claim))
    except Fault:
        await _drop_body(world, task)
        raise
    if existing is not None:
        await _drop_body(world, task)
        return existing
    return task


def ceiling(world: World, caller: Caller, order: ImageOrder) -> Price:
    """Price an order at the most it may use. Raises `NoPrice` for a live key; to a test key such a model is free."""
    prices = world.config.prices.of(order.model)
    if prices is None:
        if caller.livemode:
            message = f"Model `{order.model}` has no price; the operator sets one under `[[prices]]` in halley.toml"
            raise NoPrice(message, param="model")
        prices = PriceSet(id="", model=order.model, source="none", valid_from=0, meters={})
    quantities = estimate(order)
    meters = at_size(prices.meters, input_tokens(quantities), _facts(order))
    if prices.meters and not meters.keys() & quantities.keys():
        message = f"The price of `{order.model}` counts nothing of this order; set one of {', '.join(quantities)}"
        raise NoPrice(message, param="model")
    return prices, dict(meters), quantities, total(quantities, meters)


def _facts(order: ImageOrder) -> dict[str, str]:
    """Give what prices may be conditional on: as the caller says it, in the body or among its `input`'s fields."""
    said = order.extras | order.body
    facts = {name: value for name in ORDER_FACTS if isinstance(value := said.get(name), str)}
    if "size" not in facts and order.width and order.height:
        facts["size"] = f"{order.width}x{order.height}"
    return facts


async def _put_body(world: World, task_id: TaskId, body: bytes) -> str:
    key = body_key(task_id)
    await put_bytes(world.objects, key, body)
    return key


def _new_task(
    world: World, submission: Submission, first: Attempt, task_id: TaskId, price: Price, body: bytes | str
) -> Task:
    """Give the task as it is read back once it is written. `body` is itself, or where it lies in the object store."""
    caller, order = submission.caller, submission.order
    prices, meters, quantities, amount = price
    # All known models make one output unless they are told how many.
    outputs_max = 1 if order.count is None and order.model in world.catalogue.models else order.count
    now = world.clock.now()
    return Task(
        id=task_id,
        account_id=caller.account_id,
        project_id=caller.project_id,
        key_id=caller.key_id,
        livemode=caller.livemode,
        request_id=submission.request.id,
        boot_id=world.boot_id,
        dialect=order.dialect,
        kind="image",
        model=order.model,
        channel_id=first.channel.id,
        vendor=first.vendor.name,
        vendor_model=first.vendor_model,
        hold_id=f"hold_{task_id}",
        held=amount,
        prices=Pinned(price_set=prices.id, meters=meters, outputs_max=outputs_max),
        estimate=quantities,
        body=body if isinstance(body, bytes) else None,
        body_object=body if isinstance(body, str) else None,
        webhook=None if order.webhook is None else seal_webhook(world, task_id, order.webhook),
        created_at=now,
        deadline_at=now + first.tasks.deadline_s * MICROSECONDS,
    )


async def _fingerprint(submission: Submission) -> str:
    request, order = submission.request, submission.order
    if not order.images:
        return fingerprint(request.method, request.path, order.body)
    # In a thread, since a body may have 64 MB.
    return await asyncio.to_thread(fingerprint, request.method, request.path, order.body)


async def _drop_body(world: World, task: Task) -> None:
    """No row names it, so nothing else would ever delete it."""
    if task.body_object is not None:
        await world.objects.delete([task.body_object])


class _Reservation(msgspec.Struct, frozen=True, kw_only=True):
    caller: Caller
    task: Task
    claim: Claim | None


def _reserve(tx: Tx, wanted: Sequence[_Reservation]) -> Sequence[Existing | None]:
    claimed = [None if one.claim is None else idempotency.begin(tx, one.claim) for one in wanted]
    existing = [each if isinstance(each, Existing) else None for each in claimed]
    new = [one for one, found in zip(wanted, existing, strict=True) if found is None]
    if new:
        # The ledger first, here as at the end: two processes that lock in one order never wait for each other.
        holds = [_hold(one.caller, one.task) for one in new]
        together.hold(tx, holds)
        accounts.reserve_budgets(tx, holds)
        insert_tasks(tx, [one.task for one in new])
    return existing


def _reserve_alone(tx: Tx, one: _Reservation) -> Existing | None:
    claimed = None if one.claim is None else idempotency.begin(tx, one.claim)
    if isinstance(claimed, Existing):
        return claimed
    ledger.hold(tx, _hold(one.caller, one.task))
    accounts.reserve_budget(tx, key_id=one.task.key_id, amount=one.task.held, now=one.task.created_at)
    insert_tasks(tx, [one.task])
    return None


_RESERVE: Group[_Reservation, Existing | None] = Group("reserve", _reserve, _reserve_alone)


def _hold(caller: Caller, task: Task) -> HoldRequest:
    return HoldRequest(
        id=task.hold_id,
        ledger_account_id=caller.ledger_account_id,
        account_id=caller.account_id,
        livemode=caller.livemode,
        amount=task.held,
        order_id=task.id,
        order_kind="task",
        key_id=caller.key_id,
        boot_id=task.boot_id,
        now=task.created_at,
    )
