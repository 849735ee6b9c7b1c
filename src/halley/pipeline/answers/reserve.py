"""reserve: the most that a call may cost becomes a hold, on disk before any vendor is called."""

from asyncio import Future
from collections.abc import Sequence

import msgspec

from halley.accounts import store as accounts
from halley.accounts.model import BudgetReservation, Caller
from halley.catalogue import PriceSet
from halley.db import Group, Tx
from halley.kernel.faults import NoPrice, OutOfFunds
from halley.kernel.money import ZERO, Nanos
from halley.ledger import queries, together
from halley.ledger import store as ledger
from halley.ledger.model import HoldRequest
from halley.pipeline.answers.ask import Ask
from halley.world import World

LITTLE_OUTPUT_TOKENS = 64
"""An account that cannot pay the input and this much output is out of funds."""
ORDER_KIND = "answer"
ORDER_PREFIX = "ans_"
_OUTPUTS = ("output_token", "image_output_token", "audio_output_token")


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Money set aside for one answer."""

    id: str
    order_id: str
    amount: Nanos
    prices: PriceSet
    estimate: dict[str, int]
    created_at: int


async def reserve(world: World, ask: Ask, estimate: dict[str, int]) -> Held:
    """Hold the ceiling, or what is left when that at least pays the input and a little output.

    Raises `NoPrice`, and `OutOfFunds` naming what was needed and what is left: then nothing was written.
    """
    held, written = hold(world, ask, estimate, world.ids.new())
    try:
        await written
    except OutOfFunds:
        return await hold_what_is_left(world, ask, held)
    except BaseException:
        # Should it have been written after all, the sweep finds that nobody works on it.
        world.answering.discard(held.order_id)
        raise
    return held


def hold(world: World, ask: Ask, estimate: dict[str, int], identity: str) -> tuple[Held, Future[None]]:
    """Begin to hold the ceiling; the second is done once it is on disk, and raises `OutOfFunds`. Raises `NoPrice`.

    `identity` is 26 characters that no other hold has. A call that is one order has that of its request, so that
    whoever knows one finds the other.
    """
    prices = _prices(world, ask, estimate)
    now = world.clock.now()
    amount = prices.tariff.most(estimate)
    held = Held(
        id=f"hold_{identity}",
        order_id=ORDER_PREFIX + identity,
        amount=amount,
        prices=prices,
        estimate=estimate,
        created_at=now,
    )
    written = world.db.write_together(_HOLD, _request(world, ask, held, amount))
    world.answering.add(held.order_id)
    return held, written


async def hold_what_is_left(world: World, ask: Ask, held: Held) -> Held:
    """Hold less than was refused, when it pays for the least that is worth a call. Raises `OutOfFunds`."""
    try:
        little = {meter: _little(held.estimate, meter) for meter in _OUTPUTS}
        least = held.prices.tariff.most({**held.estimate, **little})
        least = min(held.amount, least)
        amount = await world.db.write("hold_what_is_left", lambda tx: _hold_left(tx, world, ask, held, least))
    except BaseException:
        world.answering.discard(held.order_id)
        raise
    return msgspec.structs.replace(held, amount=amount)


def _prices(world: World, ask: Ask, estimate: dict[str, int]) -> PriceSet:
    prices = world.config.prices.of(ask.model)
    if prices is None:
        if ask.caller.livemode:
            message = f"Model `{ask.model}` has no price; the operator sets one under `[[prices]]` in halley.toml"
            raise NoPrice(message, param="model")
        return PriceSet(id="", model=ask.model, source="none", valid_from=0, meters={})
    if prices.tariff.counts_nothing_of(estimate):
        message = f"The price of `{ask.model}` counts nothing of this call; set one of {', '.join(estimate)}"
        raise NoPrice(message, param="model")
    return prices


def _little(estimate: dict[str, int], meter: str) -> int:
    return min(estimate.get(meter, 0), LITTLE_OUTPUT_TOKENS)


def _hold_together(tx: Tx, requests: Sequence[HoldRequest]) -> Sequence[None]:
    # The ledger first, here as at the end: two processes that lock in one order never wait for each other.
    together.hold(tx, requests)
    accounts.reserve_budgets(
        tx, [BudgetReservation(key_id=one.key_id, amount=one.amount, now=one.now) for one in requests]
    )
    return [None] * len(requests)


def _hold_alone(tx: Tx, request: HoldRequest) -> None:
    ledger.hold(tx, request)
    accounts.reserve_budget(tx, key_id=request.key_id, amount=request.amount, now=request.now)


_HOLD: Group[HoldRequest, None] = Group("hold_answer", _hold_together, _hold_alone)


def _hold_left(tx: Tx, world: World, ask: Ask, held: Held, least: Nanos) -> Nanos:
    left = [held.amount, queries.left(tx, ask.caller.ledger_account_id), _budget_left(tx, ask.caller, held.created_at)]
    amount = Nanos(min(each for each in left if each is not None))
    # Below the least the ledger or the budget refuses, in its own words.
    amount = max(amount, least, ZERO)
    ledger.hold(tx, _request(world, ask, held, amount))
    accounts.reserve_budget(tx, key_id=ask.caller.key_id, amount=amount, now=held.created_at)
    return amount


def _budget_left(tx: Tx, caller: Caller, now: int) -> Nanos | None:
    key = accounts.find_key(tx, caller.key_id)
    return None if key is None else accounts.budget_left(key, now)


def _request(world: World, ask: Ask, held: Held, amount: Nanos) -> HoldRequest:
    return HoldRequest(
        id=held.id,
        ledger_account_id=ask.caller.ledger_account_id,
        account_id=ask.caller.account_id,
        livemode=ask.caller.livemode,
        amount=amount,
        order_id=held.order_id,
        order_kind=ORDER_KIND,
        key_id=ask.caller.key_id,
        boot_id=world.boot_id,
        now=held.created_at,
        note=ask.model,
    )
