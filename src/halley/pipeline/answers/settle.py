"""settle: what was used becomes a charge, the rest of the hold is given back, one usage row is written: one unit."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from halley.accounts import store as accounts
from halley.catalogue.conditions import at_size, input_tokens
from halley.catalogue.meters import folded
from halley.db import Tx
from halley.kernel.body import FormBody
from halley.kernel.chat import ChatUsage
from halley.kernel.loose import as_object, as_text
from halley.kernel.money import ZERO, Nanos, total
from halley.kernel.operation import Kind
from halley.ledger import store as ledger
from halley.ledger.model import HoldVoided
from halley.pipeline.admit import correct
from halley.pipeline.answers import meter
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.reserve import ORDER_KIND, Held, price_of
from halley.pipeline.answers.sound import recording, seconds_of
from halley.pipeline.persist import write_surely
from halley.tokens import audio_tokens, count_text
from halley.usage import store as usage_rows
from halley.usage.model import Outcome, Usage
from halley.wire.openai.usage import read_counts
from halley.world import World

QUANTITY_MAX = 10**12
"""Of any meter in one call: what a vendor tells beyond it is no count."""
LAG_MAX = 2
"""A vendor's own count of a part is believed unless more than twice as much has come: some tell it at the end alone."""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended."""

    outcome: Outcome
    attempt: Attempt | None
    tries: int
    quantities: dict[str, int] = {}
    facts: Mapping[str, str] = {}
    """What the price may depend on beside the quantities."""
    exposure: Nanos = ZERO
    first_byte_us: int | None = None


Also = Callable[[Tx, Nanos], None]
"""(tx, what the caller paid): what must become true together with the charge."""


async def settle(world: World, ask: Ask, held: Held, end: End, also: Also | None = None) -> Nanos:
    """Book the end of a call, and give what the caller paid."""
    now = world.clock.now()
    amount = price_of(held.prices, end.quantities, end.facts) if end.quantities else ZERO

    def unit(tx: Tx) -> Nanos:
        try:
            paid = _close(tx, world, held, amount if end.quantities else None, now)
        except HoldVoided:
            # Somebody took us for dead and gave it back: the answer is listed as lost, and stays so.
            return ZERO
        written = usage_rows.insert(tx, _row(world, ask, held, end, paid, now))
        if written:
            # Only once, should the word of the first commit have been lost.
            accounts.settle_budget(tx, key_id=ask.caller.key_id, held=held.amount, spent=paid, now=now)
        if also is not None:
            also(tx, paid)
        return paid

    if ask.caller.tokens_per_minute is not None and end.outcome is not Outcome.CANCELLED:
        correct(world, ask.caller, _tokens(end.quantities) - ask.limited_tokens)
        ask.limited_tokens = 0
    try:
        return await write_surely(world, "settle_answer", unit)
    finally:
        world.answering.discard(held.order_id)


def _close(tx: Tx, world: World, held: Held, amount: Nanos | None, now: int) -> Nanos:
    if amount is None:
        ledger.void(tx, hold_id=held.id, ids=world.ids, now=now)
        return ZERO
    return ledger.post(tx, hold_id=held.id, amount=amount, ids=world.ids, now=now).charged


def _tokens(quantities: Mapping[str, int]) -> int:
    return sum(count for name, count in quantities.items() if name.endswith("_token"))


async def used(ask: Ask, usage: ChatUsage | None, generated: Iterable[str], raw: bytes = b"") -> dict[str, int]:
    """Count what a call used: by the vendor's word where there is one, else from what went both ways."""
    counted = meter.of_usage(usage) if usage else await asyncio.to_thread(_counted, ask, "".join(generated), raw)
    quantities = {"call": 1, **await asyncio.to_thread(_beside, ask, raw), **counted}
    return {name: min(max(count, 0), QUANTITY_MAX) for name, count in quantities.items()}


async def used_so_far(ask: Ask, usage: ChatUsage | None, generated: Iterable[str], raw: bytes = b"") -> dict[str, int]:
    """Count what an answer that broke off had used: what the vendor told may be from before most of it came."""
    came = tuple(generated)
    if usage is not None and came and ask.kind in (Kind.CHAT, Kind.COMPLETION):
        output = await asyncio.to_thread(count_text, ask.model, "".join(came))
        if output > LAG_MAX * usage.output:
            usage = msgspec.structs.replace(usage, output=output)
    return await used(ask, usage, came, raw)


def _counted(ask: Ask, generated: str, raw: bytes) -> dict[str, int]:
    """Count tokens ourselves."""
    match ask.kind:
        case Kind.SPEECH:
            return _spoken(ask, raw)
        case Kind.TRANSCRIPTION:
            return _heard(ask, generated or _transcript(raw))
        case Kind.IMAGE:
            return {"input_token": meter.input_estimate(ask)}
        case _:
            return _written(ask, generated)


def _spoken(ask: Ask, sound: bytes) -> dict[str, int]:
    text = as_text(ask.json.get("input"))
    seconds = seconds_of(sound, pcm=ask.json.get("response_format") == "pcm")
    return {
        "input_token": count_text(ask.model, text),
        "audio_output_token": audio_tokens(seconds, model=ask.model, output=True),
    }


def _heard(ask: Ask, transcript: str) -> dict[str, int]:
    sound = recording(ask.body)
    return {
        "audio_input_token": audio_tokens(seconds_of(sound), model=ask.model),
        "output_token": count_text(ask.model, transcript),
    }


def _written(ask: Ask, generated: str) -> dict[str, int]:
    text, files = _sent(ask)
    sent = count_text(ask.model, text) + files * meter.FILE_TOKENS + meter.token_numbers(ask)
    return {"input_token": sent, "output_token": count_text(ask.model, generated) if generated else 0}


def _sent(ask: Ask) -> tuple[str, int]:
    if isinstance(ask.body, FormBody):
        return "", 0
    body: dict[str, Any] = {name: value for name, value in ask.json.whole().items() if name != "model"}
    found = list(meter.strings(body))
    files = sum(1 for each in found if meter.is_file(each))
    return "\n".join(each for each in found if not meter.is_file(each)), files


def _beside(ask: Ask, raw: bytes) -> dict[str, int]:
    """Count what is billed beside tokens: pictures, characters, seconds."""
    match ask.kind:
        case Kind.IMAGE:
            return {"image": len(_told(raw).data)}
        case Kind.SPEECH:
            return {"character": meter.speech_characters(ask.json)}
        case Kind.TRANSCRIPTION:
            return {"audio_second": _seconds(ask, raw)}
        case Kind.RERANK:
            return {"rerank_unit": _searches(raw) or 1}
        case _:
            return {"web_search": count} if (count := _searches(raw)) else {}


def _seconds(ask: Ask, raw: bytes) -> int:
    """Give the length of a recording, started seconds counted whole: as told, else as estimated from its size."""
    counts = read_counts(raw)
    if counts is not None and counts.sound_ms:
        return -(-counts.sound_ms // 1000)
    reply = _told(raw)
    for told in (as_object(reply.usage).get("seconds"), reply.duration):
        if isinstance(told, int | float) and 0 < told < meter.COUNT_MAX * 3600:
            return -int(-told // 1)
    return math.ceil(seconds_of(recording(ask.body)))


def _transcript(raw: bytes) -> str:
    """Give what was heard: a field of JSON, or the text itself."""
    text = _told(raw).text
    return text if isinstance(text, str) else raw.decode("utf-8", "replace")


def _searches(raw: bytes) -> int:
    counts = read_counts(raw)
    return 0 if counts is None else counts.searches or 0


def reply_facts(raw: bytes) -> dict[str, Any]:
    """Give the few fields of a reply that its price may depend on."""
    reply = _told(raw)
    return {"quality": reply.quality, "size": reply.size, "service_tier": reply.service_tier}


class _Told(msgspec.Struct):
    """What is looked at in a reply; all else is skipped, not built."""

    usage: Any = None
    duration: Any = None
    text: Any = None
    quality: Any = None
    size: Any = None
    service_tier: Any = None
    data: list[msgspec.Raw] = []


_decoder = msgspec.json.Decoder(_Told)


def _told(raw: bytes) -> _Told:
    try:
        return _decoder.decode(raw)
    except (ValueError, RecursionError):
        return _Told()  # sound, text, or another shape


def _row(world: World, ask: Ask, held: Held, end: End, paid: Nanos, now: int) -> Usage:
    caller, attempt = ask.caller, end.attempt
    return Usage(
        id=f"use_{world.ids.new()}",
        account_id=caller.account_id,
        project_id=caller.project_id,
        key_id=caller.key_id,
        livemode=caller.livemode,
        order_kind=ORDER_KIND,
        order_id=held.order_id,
        model=ask.model,
        channel_id=attempt.channel.id if attempt else None,
        outcome=end.outcome,
        meters=end.quantities,
        price_nanos=paid,
        vendor_cost_nanos=_vendor_cost(world, ask, end),
        exposure_nanos=end.exposure,
        attempts=end.tries,
        first_byte_us=end.first_byte_us,
        total_us=now - held.created_at,
        created_at=now,
    )


def _vendor_cost(world: World, ask: Ask, end: End) -> Nanos | None:
    """What the vendor bills by its listed price; None when that is not known."""
    if end.attempt is None or not end.quantities:
        return None
    cost = world.catalogue.cost(ask.model, end.attempt.vendor.name)
    if not cost:
        return None
    meters = at_size(cost, input_tokens(end.quantities), end.facts)
    return total(folded(end.quantities, meters), meters)
