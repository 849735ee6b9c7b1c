"""reserve: the most that a call may cost becomes a hold, on disk before any vendor is called."""

from asyncio import Future
from collections.abc import Sequence

import msgspec

from halley.accounts import store as accounts
from halley.catalogue import PriceSet
from halley.db import Group, Tx
from halley.kernel.faults import NoPrice, OutOfFunds
from halley.kernel.money import ZERO, Nanos
from halley.ledger import queries, together
from halley.ledger import store as ledger
from halley.ledger.model import HoldRequest
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.meter import asked_facts
from halley.world import World

LITTLE_OUTPUT_TOKENS = 64
"""An account that cannot pay the input and this much output is out of funds."""
ORDER_KIND = "answer"
ORDER_PREFIX = "ans_"
_OUTPUTS = ("output_token", "image_output_token", "audio_output_token", "drawing_output_token")


class Held(HoldRequest, frozen=True, kw_only=True):
    """Money set aside for one answer, when the call began."""

    prices: PriceSet
    estimate: dict[str, int]


async def reserve(world: World, ask: Ask, estimate: dict[str, int]) -> Held:
    """Hold the ceiling, or what is left when that at least pays the input and a little output.

    Raises `NoPrice`, and `OutOfFunds` naming what was needed and what is left: then nothing was written.
    """
    held, written = hold(world, ask, estimate, world.ids.new())
    try:
        await written
    except OutOfFunds:
        return await hold_what_is_left(world, held)
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
    tariff = prices.tariff
    caller = ask.caller
    held = Held(
        id=f"hold_{identity}",
        ledger_account_id=caller.ledger_account_id,
        account_id=caller.account_id,
        livemode=caller.livemode,
        amount=tariff.most(estimate, asked_facts(ask, tariff.asked)) if tariff.asked else tariff.most(estimate),
        order_id=ORDER_PREFIX + identity,
        order_kind=ORDER_KIND,
        key_id=caller.key_id,
        boot_id=world.boot_id,
        now=world.clock.now(),
        note=ask.model,
        prices=prices,
        estimate=estimate,
    )
    written = world.db.write_together(_HOLD, held)
    world.answering.add(held.order_id)
    return held, written


async def hold_what_is_left(world: World, held: Held) -> Held:
    """Hold less than was refused, when it pays for the least that is worth a call. Raises `OutOfFunds`."""
    try:
        little = {meter: _little(held.estimate, meter) for meter in _OUTPUTS}
        least = held.prices.tariff.most({**held.estimate, **little})
        least = min(held.amount, least)
        amount = await world.db.write("hold_what_is_left", lambda tx: _hold_left(tx, held, least))
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
    accounts.reserve_budgets(tx, requests)
    return [None] * len(requests)


def _hold_alone(tx: Tx, request: HoldRequest) -> None:
    ledger.hold(tx, request)
    accounts.reserve_budget(tx, key_id=request.key_id, amount=request.amount, now=request.now)


_HOLD: Group[HoldRequest, None] = Group("hold_answer", _hold_together, _hold_alone)


def _hold_left(tx: Tx, held: Held, least: Nanos) -> Nanos:
    left = [held.amount, queries.left(tx, held.ledger_account_id), _budget_left(tx, held)]
    amount = Nanos(min(each for each in left if each is not None))
    # Below the least the ledger or the budget refuses, in its own words.
    amount = max(amount, least, ZERO)
    _hold_alone(tx, msgspec.structs.replace(held, amount=amount))
    return amount


def _budget_left(tx: Tx, held: Held) -> Nanos | None:
    key = accounts.find_key(tx, held.key_id)
    return None if key is None else accounts.budget_left(key, held.now)
