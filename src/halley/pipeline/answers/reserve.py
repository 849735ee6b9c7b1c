"""reserve: the most that a call may cost becomes a hold, on disk before any vendor is called."""

from collections.abc import Mapping

import msgspec

from halley.accounts import store as accounts
from halley.accounts.model import Caller
from halley.catalogue import PriceSet
from halley.catalogue.conditions import at_size, dearest, input_tokens
from halley.catalogue.meters import folded
from halley.db import Tx
from halley.kernel.faults import NoPrice, OutOfFunds
from halley.kernel.money import ZERO, Nanos, total
from halley.ledger import queries
from halley.ledger import store as ledger
from halley.ledger.model import HoldRequest
from halley.pipeline.answers.ask import Ask
from halley.world import World

LITTLE_OUTPUT_TOKENS = 64
"""An account that cannot pay the input and this much output is out of funds."""
ORDER_KIND = "answer"
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
    prices = _prices(world, ask, estimate)
    now = world.clock.now()
    held = Held(
        id=f"hold_{world.ids.new()}",
        order_id=f"ans_{world.ids.new()}",
        amount=most_of(prices, estimate),
        prices=prices,
        estimate=estimate,
        created_at=now,
    )
    world.answering.add(held.order_id)
    try:
        return await _write(world, ask, held)
    except BaseException:
        # Should it have been written after all, the sweep finds that nobody works on it.
        world.answering.discard(held.order_id)
        raise


async def _write(world: World, ask: Ask, held: Held) -> Held:
    try:
        await world.db.write("hold_answer", lambda tx: _hold(tx, world, ask, held))
    except OutOfFunds:
        little = {meter: _little(held.estimate, meter) for meter in _OUTPUTS}
        least = most_of(held.prices, {**held.estimate, **little})
        if least >= held.amount:
            raise
        amount = await world.db.write("hold_what_is_left", lambda tx: _hold_left(tx, world, ask, held, least))
        return msgspec.structs.replace(held, amount=amount)
    return held


def price_of(prices: PriceSet, quantities: Mapping[str, int], facts: Mapping[str, str]) -> Nanos:
    """Price what was counted: a meter without a price of its own counts with its parent's."""
    meters = at_size(prices.meters, input_tokens(quantities), facts)
    return total(folded(quantities, meters), meters)


def most_of(prices: PriceSet, quantities: Mapping[str, int]) -> Nanos:
    """Price what may be counted, under the dearest conditions."""
    meters = dearest(prices.meters)
    return total(folded(quantities, meters), meters)


def _prices(world: World, ask: Ask, estimate: dict[str, int]) -> PriceSet:
    prices = world.config.prices.of(ask.model)
    if prices is None:
        if ask.caller.livemode:
            message = f"Model `{ask.model}` has no price; the operator sets one under `[[prices]]` in halley.toml"
            raise NoPrice(message, param="model")
        return PriceSet(id="", model=ask.model, source="none", valid_from=0, meters={})
    known = dearest(prices.meters)
    if known and not known.keys() & folded(estimate, known).keys():
        message = f"The price of `{ask.model}` counts nothing of this call; set one of {', '.join(estimate)}"
        raise NoPrice(message, param="model")
    return prices


def _little(estimate: dict[str, int], meter: str) -> int:
    return min(estimate.get(meter, 0), LITTLE_OUTPUT_TOKENS)


def _hold(tx: Tx, world: World, ask: Ask, held: Held) -> None:
    # The ledger first, here as at the end: two processes that lock in one order never wait for each other.
    ledger.hold(tx, _request(world, ask, held, held.amount))
    accounts.reserve_budget(tx, key_id=ask.caller.key_id, amount=held.amount, now=held.created_at)


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
