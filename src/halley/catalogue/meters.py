"""The meters that prices are rows of: how each is counted, and what an order may use at most. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from halley.catalogue.conditions import parse_key
from halley.catalogue.units import METERS, charged_as
from halley.kernel.money import MILLION, NANOS_MAX, NANOS_PER_DOLLAR, Nanos, as_written, dollars, nanos_from_dollars
from halley.kernel.order import ImageOrder

IN_PIXELS = frozenset({"further_output_megapixel", "input_megapixel"})
INPUT_PIXELS_UNMEASURED = 4 * MILLION
"""Held for each input image that nobody has measured yet."""
OUTPUT_PIXELS_UNKNOWN = 4 * MILLION
"""Held for an output whose size the order leaves to the vendor."""


def read_prices(prices: Mapping[str, str | Decimal], *, each: bool = False) -> dict[str, int]:
    """Make a set of prices of what is written: see `nanos_per_million`. Raises `ValueError`.

    It does also for a meter with a price under conditions only: wherever they do not hold it would cost nothing.
    """
    found: dict[str, int] = {key: nanos_per_million(key, price, each=each) for key, price in prices.items()}
    for key in found:
        meter = key.partition("@")[0]
        if charged_as(meter, found) is None:
            message = (
                f"`{meter}` has a price under conditions only (`{key}`), which would leave it free otherwise;"
                f" give `{meter}` itself a price too"
            )
            raise ValueError(message)
    return found


def with_tools(prices: Mapping[str, int], tools: Mapping[str, int]) -> dict[str, int]:
    """Add the prices of those tools that have none yet; nothing to no prices, which are not known."""
    if not prices:
        return {}
    return {**prices, **{key: price for key, price in tools.items() if key.partition("@")[0] not in prices}}


def nanos_per_million(key: str, price: str | Decimal, *, each: bool = False) -> Nanos:
    """Turn a price in dollars per unit of the meter into nano-dollars per million base units. Raises `ValueError`.

    The key may carry conditions. What is priced singly may have fifteen decimals, e.g. a second of sound; with `each`
    all is, also a token.
    """
    times = MILLION if each else MILLION // METERS[parse_key(key).meter]
    try:
        return nanos_from_dollars(price, times=times)
    except ValueError as error:
        decimals = 9 if times == 1 else 15
        message = (
            f"`{key}`: `{as_written(price)}` is no price; give US dollars from 0 to {dollars(NANOS_MAX // times)}"
            f" with at most {decimals} decimals"
        )
        raise ValueError(message) from error


def dollars_per_unit(key: str, nanos: int) -> str:
    """Spell a price as it is written in a catalogue: in dollars per unit of the meter, exactly."""
    base = METERS[key.partition("@")[0]]
    whole, rest = divmod(nanos * base, NANOS_PER_DOLLAR * MILLION)
    return f"{whole}.{rest:015d}".rstrip("0").rstrip(".")


def folded(quantities: Mapping[str, int], prices: Mapping[str, int]) -> dict[str, int]:
    """Count what has no price of its own with what it is charged as, so that nothing is free in silence.

    `prices` are without conditions. What has no priced fallback stays as it is: a price per call means all of it.
    """
    counted: dict[str, int] = {}
    for meter, count in quantities.items():
        charged = charged_as(meter, prices) or meter
        counted[charged] = counted.get(charged, 0) + count
    return counted


def estimate(order: ImageOrder) -> dict[str, int]:
    """Count what an order may use at most, by meter in base units, before anything was sent."""
    count = 1 if order.count is None else order.count
    pixels = order.width * order.height if order.width and order.height else OUTPUT_PIXELS_UNKNOWN
    return {
        "call": 1,
        "image": count,
        "first_output_megapixel": count,
        "further_output_megapixel": count * max(0, pixels - MILLION),
        "input_megapixel": len(order.images) * INPUT_PIXELS_UNMEASURED,
    }


def measured_outputs(sizes: Sequence[tuple[int, int] | None], held: Mapping[str, int]) -> dict[str, int]:
    """Count what was delivered, from the stored pictures' own sizes.

    One whose size cannot be read has as many further pixels as were `held` for each.
    """
    unread = held.get("further_output_megapixel", 0) // max(1, held.get("image", 1))
    return {
        "image": len(sizes),
        "first_output_megapixel": len(sizes),
        "further_output_megapixel": sum(max(0, size[0] * size[1] - MILLION) if size else unread for size in sizes),
    }
