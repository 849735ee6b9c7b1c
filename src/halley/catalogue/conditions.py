"""Prices under a condition: `meter@condition`, where the size of the input or a fact of the order decides. Pure.

    input_token                            2.50
    input_token@272000+                    5.00    of requests with more than 272,000 input tokens in all
    input_token@service_tier=priority      5.00    where the reply's `service_tier` is `priority`
    image@quality=hd,size=1792x1024        0.12    both

The conditions are part of a price's key, so that a set of prices stays a map from key to price wherever it travels.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from halley.catalogue.units import METERS, charged_as

CONDITIONS_MAX = 4
KEYS_REMEMBERED_MAX = 4_096
_TIER = re.compile(r"[1-9][0-9]{0,11}\+")
_FACT = re.compile(r"([a-z][a-z0-9_]{0,31})=([A-Za-z0-9][A-Za-z0-9_.x-]{0,31})")
_INPUT_TOKENS = frozenset(
    {
        "input_token",
        "cached_input_token",
        "cache_write_token",
        "cache_write_1h_token",
        "audio_input_token",
        "cached_audio_input_token",
        "image_input_token",
        "cached_image_input_token",
    }
)
ORDER_FACTS = ("quality", "size")
"""Fields of an order that a price may be conditional on; replies tell more."""
ASKED_FACTS = ("speed",)
"""Facts of a reply that are never otherwise than usual where the order does not say so itself."""
_NO_FACTS: Mapping[str, str] = {}


class PriceKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a price's key says."""

    meter: str
    above: int | None = None
    """It holds for requests with more input tokens in all than this."""
    facts: tuple[tuple[str, str], ...] = ()
    """It holds where each of these is so."""

    @property
    def rank(self) -> tuple[int, int]:
        """How narrow the conditions are: the narrowest that hold decide."""
        return (len(self.facts) + (self.above is not None), self.above or 0)

    def holds(self, input_tokens: int, facts: Mapping[str, str]) -> bool:
        """Tell whether the conditions are met."""
        return (self.above is None or input_tokens > self.above) and all(
            facts.get(name) == value for name, value in self.facts
        )


@lru_cache(maxsize=KEYS_REMEMBERED_MAX)
def parse_key(key: str) -> PriceKey:
    """Read the key of a price. Raises `ValueError` naming what is wrong with it."""
    meter, marked, text = key.partition("@")
    if meter not in METERS:
        message = f"`{meter}` is not a meter; known are {', '.join(sorted(METERS))}"
        raise ValueError(message)
    conditions = text.split(",") if marked else []
    if len(conditions) > CONDITIONS_MAX:
        message = f"`{key}` has more than {CONDITIONS_MAX} conditions"
        raise ValueError(message)
    tiers = [each for each in conditions if _TIER.fullmatch(each)]
    facts = [found.groups() for each in conditions if (found := _FACT.fullmatch(each))]
    names = {name for name, _ in facts}
    if len(tiers) > 1 or len(names) < len(facts) or len(tiers) + len(facts) < len(conditions):
        message = f"`{key}`: conditions are written `{meter}@200000+`, `{meter}@quality=hd`, or both with a comma"
        raise ValueError(message)
    above = int(tiers[0][:-1]) if tiers else None
    return PriceKey(meter=meter, above=above, facts=tuple((name, value) for name, value in facts))


def at_size(
    meters: Mapping[str, int], input_tokens_total: int, facts: Mapping[str, str] = _NO_FACTS
) -> Mapping[str, int]:
    """Give the prices that hold for a request: one a meter, without conditions.

    Of several that hold, the one with the most conditions decides, then the highest size, then the dearest. Where none
    holds for a meter, nor for what it counts as, its dearest does: no set is made like that, but old ones may be.
    """
    if not any("@" in key for key in meters):
        return meters
    chosen: dict[str, tuple[tuple[int, int], int]] = {}
    for key, price in meters.items():
        parsed = parse_key(key)
        if parsed.holds(input_tokens_total, facts):
            chosen[parsed.meter] = max(chosen.get(parsed.meter, ((-1, -1), 0)), (parsed.rank, price))
    holding = {meter: price for meter, (_, price) in chosen.items()}
    return {meter: price for meter, price in dearest(meters).items() if charged_as(meter, holding) is None} | holding


def dearest(meters: Mapping[str, int]) -> dict[str, int]:
    """Give the highest price of each meter, whatever its conditions: what a hold may need before they are known."""
    highest: dict[str, int] = {}
    for key, price in meters.items():
        meter = key.partition("@")[0]
        highest[meter] = max(highest.get(meter, 0), price)
    return highest


def input_tokens(quantities: Mapping[str, int]) -> int:
    """Count all that was sent, cached or not: what decides over prices by size."""
    return sum(count for meter, count in quantities.items() if meter in _INPUT_TOKENS)
