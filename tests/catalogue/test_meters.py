from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.catalogue.meters import METERS, estimate, measured_outputs, nanos_per_million
from halley.kernel.money import dollars, total
from halley.kernel.order import ImageInput, ImageOrder, ImageRole


def order(**changed: Any) -> ImageOrder:
    return ImageOrder(dialect="flux", model="m", body={}, **changed)


def images(number: int) -> tuple[ImageInput, ...]:
    return tuple(ImageInput(role=ImageRole.INPUT, source="x", pointer=f"/{n}") for n in range(number))


@pytest.mark.parametrize("meter", METERS)
def test_a_price_per_unit_is_charged_per_unit(meter: str) -> None:
    prices = {meter: nanos_per_million(meter, "0.04")}
    assert dollars(total({meter: METERS[meter]}, prices)) == "0.04"
    assert dollars(total({meter: 3 * METERS[meter]}, prices)) == "0.12"


def test_an_unknown_meter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"`parsec` is not a meter; known are .*image"):
        nanos_per_million("parsec", "1")


@pytest.mark.parametrize("price", ["-1", "x", "NaN", "0.0000000001", "Infinity"])
def test_a_price_that_is_no_amount_is_refused(price: str) -> None:
    with pytest.raises(ValueError):
        nanos_per_million("image", price)


def test_an_order_is_held_for_each_of_its_images() -> None:
    assert estimate(order(count=3))["image"] == 3
    assert estimate(order(count=3))["first_output_megapixel"] == 3


def test_the_first_megapixel_is_whole_and_further_pixels_are_counted() -> None:
    assert estimate(order(width=256, height=256))["further_output_megapixel"] == 0
    assert estimate(order(width=2_000, height=1_000))["further_output_megapixel"] == 1_000_000
    assert estimate(order(width=2_000, height=1_000, count=2))["further_output_megapixel"] == 2_000_000


@pytest.mark.parametrize("size", [{}, {"width": 512}, {"width": 0, "height": 0}], ids=["none", "one", "zero"])
def test_an_output_of_unknown_size_is_held_at_four_megapixels(size: dict[str, int]) -> None:
    assert estimate(order(**size))["further_output_megapixel"] == 3_000_000


def test_each_unmeasured_input_is_held_at_four_megapixels() -> None:
    assert estimate(order(images=images(3)))["input_megapixel"] == 12_000_000


@given(st.lists(st.tuples(st.integers(1, 5_000), st.integers(1, 5_000)), min_size=1, max_size=4))
def test_what_was_delivered_as_ordered_never_costs_more_than_was_held(sizes: list[tuple[int, int]]) -> None:
    width, height = max(side for side, _ in sizes), max(side for _, side in sizes)
    held = estimate(order(width=width, height=height, count=len(sizes)))
    assert all(counted <= held[meter] for meter, counted in measured_outputs(sizes).items())


def test_prices_as_decimal_and_as_text_are_the_same() -> None:
    assert nanos_per_million("input_megapixel", Decimal("0.015")) == nanos_per_million("input_megapixel", "0.015")
