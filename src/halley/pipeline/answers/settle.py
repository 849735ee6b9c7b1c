"""settle: what was used becomes a charge, the rest of the hold is given back, one usage row is written: one unit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from halley.accounts import store as accounts
from halley.catalogue.tariff import Tariff
from halley.catalogue.units import METERS
from halley.db import Group, Tx
from halley.kernel.money import ZERO, Nanos, dollars
from halley.ledger import store as ledger
from halley.ledger import together
from halley.ledger.model import HoldVoided, Settlement
from halley.pipeline.admit import correct
from halley.pipeline.answers import meter
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.reserve import ORDER_KIND, ORDER_PREFIX, Held
from halley.pipeline.persist import Later, to_its_end, write_surely, write_to_the_end
from halley.usage import store as usage_rows
from halley.usage.model import Outcome, Usage
from halley.world import World

SETTLE = "settle_answer"
NOTHING_USED: Mapping[str, int] = {}
NOTHING_TOLD: Mapping[str, str] = {}
_log = structlog.get_logger("halley.answers")
_TOKENS = frozenset(name for name in METERS if name.endswith("_token"))


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended."""

    outcome: Outcome
    attempt: Attempt | None
    tries: int
    quantities: Mapping[str, int] = NOTHING_USED
    told: Callable[[str], Any] = NOTHING_TOLD.get
    """What the reply says of a fact that the price may depend on."""
    exposure: Nanos = ZERO
    first_byte_us: int | None = None


class _Closing(Settlement, frozen=True, kw_only=True):
    """What is to be written of one call's end, and what its usage row is made of: by the writer, for many in a row.

    What body, reply and prices must be looked at for is known by then: a charge must not fail in the writer.
    """

    vendor_cost: Nanos | None
    """What the vendor bills by its listed price; None when that is not known."""
    key_id: str
    world: World
    ask: Ask
    hold: Held
    end: End


Also = Callable[[Tx, Nanos], None]
"""(tx, what the caller paid): what must become true together with the charge."""


async def settle(world: World, ask: Ask, held: Held, end: End, also: Also | None = None) -> Nanos:
    """Book the end of a call, whether or not anybody still waits for it, and give what the caller paid."""
    try:
        closing = _closing(world, ask, held, end)
        _count(world, ask, end)
        if also is None:
            return await write_to_the_end(world, _SETTLE, closing)
        unit = write_surely(world, SETTLE, lambda tx: _settle_alone(tx, closing, also))
        return await to_its_end(unit)
    finally:
        world.answering.discard(held.order_id)


def settle_later(world: World, ask: Ask, held: Held, end: End) -> Nanos | None:
    """Book the end of a call that was asked for and went well, with the next commit, and give what the caller pays.

    None, with nothing booked, where that is not known before it is written: more was used than was held. Should the
    process die before, the answer is as lost as one that was on its way.
    """
    try:
        closing = _closing(world, ask, held, end)
        amount = closing.amount
        if amount is None or amount > held.amount:
            return None
        _count(world, ask, end)
        _LATER.write(closing)
    except BaseException:
        # Our own mistake: the sweep finds that nobody works on it, and lists it as lost.
        world.answering.discard(held.order_id)
        raise
    return amount


def unpaid(ask: Ask, held: Held, end: End) -> End:
    """Make what would be charged the operator's exposure: the caller got none of it."""
    exposure = Nanos(end.exposure + _price(held.prices.tariff, ask, end))
    return msgspec.structs.replace(end, outcome=Outcome.FAILED, quantities=NOTHING_USED, exposure=exposure)


def _count(world: World, ask: Ask, end: End) -> None:
    """Put what was used in the place of what was counted against the key's tokens beforehand."""
    if ask.caller.rate.tokens_per_minute is not None and end.outcome is not Outcome.CANCELLED:
        correct(world, ask.caller, _tokens(end.quantities) - ask.limited_tokens)
        ask.limited_tokens = 0


def _settle_together(tx: Tx, closings: Sequence[_Closing]) -> Sequence[Nanos]:
    paid = together.settle(tx, closings)
    usage_rows.insert_together(tx, [_usage(one, each) for one, each in zip(closings, paid, strict=True)])
    accounts.settle_budgets(tx, closings, paid)
    return paid


def _settle_alone(tx: Tx, closing: _Closing, also: Also | None = None) -> Nanos:
    try:
        paid = _close(tx, closing)
    except HoldVoided:
        # Somebody took us for dead and gave it back: the answer is listed as lost, and stays so.
        assert closing.amount is not None, "a hold that is voided twice is voided once"
        _log.warning("answer_given_uncharged", order=closing.order_id, amount=dollars(closing.amount))
        return ZERO
    if usage_rows.insert(tx, _usage(closing, paid)):
        # Only once, should the word of the first commit have been lost.
        accounts.settle_budget(tx, key_id=closing.key_id, held=closing.held, spent=paid, now=closing.now)
    if also is not None:
        also(tx, paid)
    return paid


def _ended(closings: Sequence[_Closing]) -> None:
    for closing in closings:
        closing.world.answering.discard(closing.order_id)


_SETTLE: Group[_Closing, Nanos] = Group(SETTLE, _settle_together, _settle_alone)
_LATER = Later(_SETTLE, _ended)


def _close(tx: Tx, closing: _Closing) -> Nanos:
    ids, now = closing.world.ids, closing.now
    if closing.amount is None:
        ledger.void(tx, hold_id=closing.hold_id, ids=ids, now=now)
        return ZERO
    return ledger.post(tx, hold_id=closing.hold_id, amount=closing.amount, ids=ids, now=now).charged


def _tokens(quantities: Mapping[str, int]) -> int:
    tokens = 0
    for name, count in quantities.items():
        if name in _TOKENS:
            tokens += count
    return tokens


def _closing(world: World, ask: Ask, held: Held, end: End) -> _Closing:
    amount = _price(held.prices.tariff, ask, end) if end.quantities else None
    row = end.attempt.row if end.attempt else None
    cost: Nanos | None = None
    if amount is not None and row is not None and row.cost:
        # What callers pay is often just that.
        cost = amount if row.cost == held.prices.meters else _price(row.cost_tariff, ask, end)
    return _Closing(
        hold_id=held.id,
        ledger_account_id=held.ledger_account_id,
        order_id=held.order_id,
        held=held.amount,
        amount=amount,
        vendor_cost=cost,
        now=world.clock.now(),
        key_id=held.key_id,
        world=world,
        ask=ask,
        hold=held,
        end=end,
    )


def _usage(closing: _Closing, paid: Nanos) -> Usage:
    """Give the row of a call that its caller paid so much for."""
    ask, held, end = closing.ask, closing.hold, closing.end
    caller, attempt = ask.caller, end.attempt
    return Usage(
        id=held.order_id.replace(ORDER_PREFIX, "use_", 1),
        account_id=caller.account_id,
        project_id=caller.project_id,
        key_id=caller.key_id,
        livemode=caller.livemode,
        order_kind=ORDER_KIND,
        order_id=held.order_id,
        model=ask.model,
        channel_id=attempt.channel.id if attempt else None,
        outcome=end.outcome,
        meters=dict(end.quantities),
        price_nanos=paid,
        vendor_cost_nanos=closing.vendor_cost,
        exposure_nanos=end.exposure,
        attempts=end.tries,
        first_byte_us=end.first_byte_us,
        total_us=closing.now - held.now,
        created_at=closing.now,
    )


def _price(tariff: Tariff, ask: Ask, end: End) -> Nanos:
    facts = meter.facts(ask, end.told, tariff.facts) if tariff.facts else NOTHING_TOLD
    return tariff.price(end.quantities, facts)
