from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.catalogue.meters import (
    METERS,
    dollars_per_unit,
    estimate,
    folded,
    measured_outputs,
    nanos_per_million,
    read_prices,
)
from halley.catalogue.units import FALLBACKS
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


@pytest.mark.parametrize(
    "price", ["-1", "x", "NaN", "0.0000000000000001", "Infinity", "10000", "1e999999999", "1e-999999999"]
)
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
    assert all(counted <= held[meter] for meter, counted in measured_outputs(sizes, held).items())


def test_prices_as_decimal_and_as_text_are_the_same() -> None:
    assert nanos_per_million("input_megapixel", Decimal("0.015")) == nanos_per_million("input_megapixel", "0.015")


def test_a_token_is_priced_per_million_to_the_nano_dollar() -> None:
    assert nanos_per_million("cached_input_token", "0.0375") == 37_500_000
    with pytest.raises(ValueError, match=r"`input_token`: `0.0000000001` is no price; .* at most 9 decimals"):
        nanos_per_million("input_token", "0.0000000001")


def test_a_second_of_sound_may_cost_a_fraction_of_a_nano_dollar() -> None:
    price = nanos_per_million("audio_second", "0.000030833333334")
    assert dollars_per_unit("audio_second", price) == "0.000030833333334"
    assert total({"audio_second": 3_600}, {"audio_second": price}) == 111_000_001


@given(st.sampled_from(sorted(METERS)), st.integers(0, 10**15))
def test_a_price_is_spelled_as_it_is_written(meter: str, nanos: int) -> None:
    assert nanos_per_million(meter, dollars_per_unit(meter, nanos)) == nanos


@pytest.mark.parametrize("key", ["input_token@200000+", "image@quality=hd,size=1024x1792"])
def test_a_price_under_a_condition_is_read_like_any_other(key: str) -> None:
    assert nanos_per_million(key, "0.5") == nanos_per_million(key.partition("@")[0], "0.5")


@pytest.mark.parametrize(
    "keys",
    [
        ("input_token", "input_token@200000+"),
        ("input_token", "cached_input_token@200000+"),
        ("audio_output_token", "output_token@service_tier=priority"),
        ("call", "input_token"),
    ],
    ids=["own", "of what it counts as", "either way", "no condition"],
)
def test_a_set_is_whole_where_every_meter_has_a_price_in_all_cases(keys: tuple[str, ...]) -> None:
    assert read_prices(dict.fromkeys(keys, "2")) == {key: nanos_per_million(key, "2") for key in keys}


@pytest.mark.parametrize(
    "keys",
    [
        ("input_token@service_tier=priority",),
        ("input_token@200000+", "input_token@service_tier=flex"),
        ("call", "web_search@search_context_size=low"),
        ("input_token@200000+", "cached_input_token", "output_token"),
    ],
    ids=["alone", "several", "beside others", "what counts as it"],
)
def test_a_price_under_conditions_alone_is_refused_as_all_else_would_be_free(keys: tuple[str, ...]) -> None:
    meter = next(key for key in keys if "@" in key).partition("@")[0]
    with pytest.raises(ValueError, match=rf"`{meter}` has a price under conditions only .*; give `{meter}` itself"):
        read_prices(dict.fromkeys(keys, "2"))


@pytest.mark.parametrize(
    ("meter", "prices", "charged"),
    [
        ("cached_input_token", {"input_token": 2}, "input_token"),
        ("cached_input_token", {"input_token": 2, "cached_input_token": 0}, "cached_input_token"),
        ("cache_write_1h_token", {"input_token": 2, "cache_write_token": 3}, "cache_write_token"),
        ("cache_write_1h_token", {"input_token": 2}, "input_token"),
        ("reasoning_token", {"output_token": 2}, "output_token"),
        ("cached_audio_input_token", {"input_token": 1, "audio_input_token": 9}, "audio_input_token"),
        ("cached_audio_input_token", {"input_token": 1, "cached_input_token": 0}, "cached_input_token"),
        ("image_output_token", {"output_token": 2}, "output_token"),
        ("output_token", {"image_output_token": 2, "input_token": 1}, "image_output_token"),
        ("output_token", {"call": 2}, "output_token"),
    ],
)
def test_what_has_no_price_is_charged_as_what_it_is_part_of(meter: str, prices: dict[str, int], charged: str) -> None:
    assert folded({meter: 7}, prices) == {charged: 7}


def test_folded_counts_are_added() -> None:
    quantities = {"input_token": 10, "cached_input_token": 5, "audio_input_token": 3, "output_token": 2}
    assert folded(quantities, {"input_token": 1, "output_token": 1}) == {"input_token": 18, "output_token": 2}


@given(
    st.dictionaries(st.sampled_from(sorted(METERS)), st.integers(0, 1_000)), st.sets(st.sampled_from(sorted(METERS)))
)
def test_folding_loses_nothing_and_leaves_nothing_free_that_has_a_price(
    counts: dict[str, int], priced: set[str]
) -> None:
    found = folded(counts, dict.fromkeys(priced, 1))
    assert sum(found.values()) == sum(counts.values())
    for meter in found.keys() - priced:
        assert not priced.intersection(FALLBACKS.get(meter, ()))
