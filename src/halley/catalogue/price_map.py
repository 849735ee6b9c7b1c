"""Reads price maps of LiteLLM's format (`model_prices_and_context_window.json`) into prices of ours. Pure.

One entry a model, prices per token, second, character or picture. What is no price of ours is named, never guessed.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from halley.catalogue.meters import read_prices
from halley.catalogue.units import EACH, FALLBACKS, METERS, charged_as

ENTRIES_MAX = 100_000
EXAMPLE = "sample_spec"
"""A key of the map that describes the format."""

_FIELDS: Mapping[str, str] = {
    "input_cost_per_token": "input_token",
    "output_cost_per_token": "output_token",
    "cache_read_input_token_cost": "cached_input_token",
    "cache_creation_input_token_cost": "cache_write_token",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_token",
    "output_cost_per_reasoning_token": "reasoning_token",
    "citation_cost_per_token": "citation_token",
    "input_cost_per_audio_token": "audio_input_token",
    "cache_read_input_audio_token_cost": "cached_audio_input_token",
    "output_cost_per_audio_token": "audio_output_token",
    "input_cost_per_image_token": "image_input_token",
    "cache_read_input_image_token_cost": "cached_image_input_token",
    "output_cost_per_image_token": "image_output_token",
    "output_cost_per_image": "image",
    "input_cost_per_character": "character",
    "input_cost_per_query": "rerank_unit",
    "input_cost_per_request": "call",
}
_FIELDS_OF_MODE: Mapping[str, Mapping[str, str]] = {
    "audio_transcription": {"input_cost_per_second": "audio_second"},
    "image_generation": {"input_cost_per_image": "image"},
    "video_generation": {"output_cost_per_second": "video_second"},
    "search": {"input_cost_per_query": "web_search"},
}
"""Fields that mean what we say only of models of one mode."""
_IDLE = frozenset({"input_cost_per_token_cache_hit", "output_cost_per_second"})
"""Other spellings of a price that stands there too, but where the mode says otherwise."""
_SUFFIX = re.compile(r"(?:_above_(\d+)k_tokens)?(?:_(priority|flex))?$")
_SIZE = re.compile(r"\d\+")
_MODES_WITHOUT_OUTPUT = frozenset({"embedding", "rerank", "moderation", "image_generation", "audio_transcription"})
_SIDES = ("input_token", "output_token")
_MODES_OF_TEXT = frozenset({"chat", "completion", "responses"})
_BATCH = re.compile(r"_batches$")
"""Nobody can order batches here."""
_PRICE = re.compile(r"cost|pricing")
_VARIANT = re.compile(r"^(?:\w+/)?\d+-x-\d+/")
"""Keys such as `hd/1024-x-1024/NAME` price one size of a model."""
_decoder = msgspec.json.Decoder(dict[str, dict[str, Any]], float_hook=Decimal)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry says."""

    provider: str
    mode: str
    prices: dict[str, int]
    """Price key → nano-dollars per million base units."""
    unknown: tuple[str, ...] = ()
    """Fields that look like prices and are none of ours."""
    problem: str = ""
    """Why it gives no prices."""


def read_map(data: bytes) -> dict[str, dict[str, Any]]:
    """Read the file, numbers as exact decimals. Raises `ValueError` for one of another format."""
    try:
        entries = _decoder.decode(data)
    except (msgspec.MsgspecError, InvalidOperation, UnicodeDecodeError) as error:
        message = f"it is no price map, a JSON object with an object for each model: {error}"
        raise ValueError(message) from error
    if len(entries) > ENTRIES_MAX:
        message = f"it has more than {ENTRIES_MAX} entries"
        raise ValueError(message)
    return {key: entry for key, entry in entries.items() if key != EXAMPLE}


def read_entry(key: str, entry: Mapping[str, Any]) -> Reading:
    """Read the prices of one model."""
    found: dict[str, Decimal] = {}
    unknown: list[str] = []
    mode = str(entry.get("mode") or "")
    for field, value in _flat(entry):
        if value is not None and _is_price(field, mode):
            price_key = _price_key(field, mode)
            if price_key is None:
                unknown.append(field)
            elif (amount := _decimal(value)) is None:
                unknown.append(f"{field} = {value}"[:80])
            else:
                found[price_key] = amount
    prices, problem = _exact(_without_echoes(_without_alternatives(found), mode))
    problem = problem or _lacking(prices, mode)
    if _VARIANT.match(key):
        problem = "it prices one size only; set it under [[prices]] as `image@size=…`"
    return Reading(
        provider=str(entry.get("litellm_provider") or ""),
        mode=mode,
        prices={} if problem else prices,
        unknown=tuple(unknown),
        problem=problem,
    )


def _is_price(field: str, mode: str) -> bool:
    idle = field in _IDLE and field not in _FIELDS_OF_MODE.get(mode, {})
    return _PRICE.search(field) is not None and not _BATCH.search(field) and not idle


def _flat(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give fields and values; those that hold several prices come apart."""
    for field, value in entry.items():
        if field == "tiered_pricing":
            yield from _tiers(value)
        elif field == "search_context_cost_per_query":
            yield from _searches(value)
        else:
            yield field, value


def _tiers(value: Any) -> Iterator[tuple[str, Any]]:
    """Give prices by size; the first range begins at nothing."""
    try:
        tiers = msgspec.convert(value, list[dict[str, Any]])
        sizes = [int(tier["range"][0]) for tier in tiers]
    except (msgspec.ValidationError, KeyError, IndexError, TypeError, ValueError):
        yield "tiered_pricing", value
        return
    for above, tier in zip(sizes, tiers, strict=True):
        for field, amount in tier.items():
            if field in _FIELDS:
                yield (f"{field}@{above}+" if above else field), amount
            elif field != "range":
                yield f"tiered_pricing.{field}", amount


def _searches(value: Any) -> Iterator[tuple[str, Any]]:
    """Give the price of one search, of the usual size or else of the dearest, and those of other sizes."""
    try:
        sizes = msgspec.convert(value, dict[str, Any])
    except msgspec.ValidationError:
        yield "search_context_cost_per_query", value
        return
    amounts = [amount for each in sizes.values() if (amount := _decimal(each)) is not None and amount.is_finite()]
    usual = sizes.get("search_context_size_medium")
    yield "web_search_cost", max(amounts, default=None) if usual is None else usual
    for size in ("low", "high"):
        yield f"web_search_cost@search_context_size={size}", sizes.get(f"search_context_size_{size}")


def _price_key(field: str, mode: str) -> str | None:
    name, marked, conditions = field.partition("@")
    suffix = _SUFFIX.search(name)
    assert suffix is not None, "the pattern matches nothing too"
    base = name[: suffix.start()]
    meter = "web_search" if base == "web_search_cost" else _FIELDS_OF_MODE.get(mode, {}).get(base) or _FIELDS.get(base)
    if meter is None:
        return None
    size, tier = suffix.groups()
    all_conditions = [f"{int(size) * 1_000}+"] if size else []
    all_conditions += [f"service_tier={tier}"] if tier else []
    all_conditions += [conditions] if marked else []
    return f"{meter}@{','.join(all_conditions)}" if all_conditions else meter


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None


def _without_alternatives(found: dict[str, Decimal]) -> dict[str, Decimal]:
    """Drop what is another measure of the same: the map gives some models both, and both would be charged."""
    tokens = any(METERS[key.partition("@")[0]] != EACH and amount for key, amount in found.items() if "_token" in key)
    dropped = {"character", "audio_second", "video_second"} if tokens else set[str]()
    dropped |= {"image"} if found.get("image_output_token") else set[str]()
    return {key: amount for key, amount in found.items() if key.partition("@")[0] not in dropped}


def _without_echoes(found: dict[str, Decimal], mode: str) -> dict[str, Decimal]:
    """Drop what says nothing: a price equal to that of what its meter counts as anyway, output of what has none."""
    kept = dict(found)
    for key, amount in found.items():
        meter, marked, conditions = key.partition("@")
        if marked:
            echo = not _SIZE.search(conditions) and found.get(meter) == amount
        elif meter == "output_token":
            echo = not amount and mode in _MODES_WITHOUT_OUTPUT
        else:
            charged_as = next((each for each in FALLBACKS.get(meter, ()) if each in found), None)
            own = any(other.startswith(f"{meter}@") for other in found)
            echo = charged_as is not None and found[charged_as] == amount and not own
        if echo:
            del kept[key]
    return kept


def _exact(found: Mapping[str, Decimal]) -> tuple[dict[str, int], str]:
    """Give the prices per million base units, or why they cannot be told exactly."""
    if not found:
        return {}, "it has no price of a kind that is counted here"
    if not any(found.values()):
        return {}, "all its prices are 0, which may mean unknown; if it is free, say so under [[prices]]"
    try:
        return read_prices(found, each=True), ""
    except ValueError as error:
        return {}, str(error)


def _lacking(prices: Mapping[str, int], mode: str) -> str:
    """Tell what a model that reads and writes text has no price for; with a fee per call neither side needs one."""
    lacking = [meter for meter in _SIDES if charged_as(meter, prices) is None]
    paid_at_once = len(lacking) == len(_SIDES) and prices.get("call")
    if not lacking or mode not in _MODES_OF_TEXT or paid_at_once:
        return ""
    return f"it has no price for {', '.join(f'`{meter}`' for meter in lacking)}; set all of it under [[prices]]"
