"""The meters that prices are rows of: how each is counted, and what an order may use at most. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from halley.kernel.money import MILLION, Nanos, nanos_from_dollars
from halley.kernel.order import ImageOrder

EACH = 1
"""Base units in one unit of a price: one call, one image."""

METERS: Mapping[str, int] = {
    "call": EACH,
    "image": EACH,
    "first_output_megapixel": EACH,
    "further_output_megapixel": MILLION,
    "input_megapixel": MILLION,
    "input_token": MILLION,
    "output_token": MILLION,
    "video_second": EACH,
}
"""Meter → base units per priced unit. Megapixel meters count pixels, so that fractions are exact; tokens are priced
per million."""

IN_PIXELS = frozenset({"further_output_megapixel", "input_megapixel"})
INPUT_PIXELS_UNMEASURED = 4 * MILLION
"""Held for each input image that nobody has measured yet."""
OUTPUT_PIXELS_UNKNOWN = 4 * MILLION
"""Held for an output whose size the order leaves to the vendor."""


def nanos_per_million(meter: str, price: str | Decimal) -> Nanos:
    """Turn a price in dollars per unit of the meter into nano-dollars per million base units. Raises `ValueError`."""
    if meter not in METERS:
        message = f"`{meter}` is not a meter; known are {', '.join(sorted(METERS))}"
        raise ValueError(message)
    return Nanos(nanos_from_dollars(price) * MILLION // METERS[meter])


def estimate(order: ImageOrder) -> dict[str, int]:
    """Count what an order may use at most, by meter in base units, before anything was sent."""
    pixels = order.width * order.height if order.width and order.height else OUTPUT_PIXELS_UNKNOWN
    return {
        "call": 1,
        "image": order.count,
        "first_output_megapixel": order.count,
        "further_output_megapixel": order.count * max(0, pixels - MILLION),
        "input_megapixel": len(order.images) * INPUT_PIXELS_UNMEASURED,
    }


def measured_outputs(sizes: list[tuple[int, int]]) -> dict[str, int]:
    """Count what was delivered, from the stored pictures' own sizes."""
    return {
        "image": len(sizes),
        "first_output_megapixel": len(sizes),
        "further_output_megapixel": sum(max(0, width * height - MILLION) for width, height in sizes),
    }
