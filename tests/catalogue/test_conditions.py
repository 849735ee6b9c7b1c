import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.catalogue.conditions import at_size, dearest, input_tokens, parse_key
from halley.kernel.money import total

LONG = {"input_token": 2, "output_token": 10, "input_token@200000+": 4, "output_token@200000+": 15}
TIERS = {"input_token": 1, "input_token@32000+": 2, "input_token@128000+": 3}
SERVED = {
    "input_token": 10,
    "input_token@272000+": 20,
    "input_token@service_tier=flex": 5,
    "input_token@service_tier=priority": 25,
    "input_token@272000+,service_tier=flex": 11,
}
PICTURES = {"image": 4, "image@quality=hd": 8, "image@size=1024x1792": 8, "image@quality=hd,size=1024x1792": 12}


@pytest.mark.parametrize(("size", "price"), [(0, 1), (32_000, 1), (32_001, 2), (128_000, 2), (128_001, 3), (10**9, 3)])
def test_the_highest_size_that_is_exceeded_decides(size: int, price: int) -> None:
    assert at_size(TIERS, size) == {"input_token": price}


def test_a_large_request_is_dearer_as_a_whole() -> None:
    small = {"input_token": 200_000, "output_token": 1_000}
    large = {"input_token": 200_001, "output_token": 1_000}
    prices = {key: price * 1_000_000 for key, price in LONG.items()}
    assert total(small, at_size(prices, input_tokens(small))) == 200_000 * 2 + 1_000 * 10
    assert total(large, at_size(prices, input_tokens(large))) == 200_001 * 4 + 1_000 * 15


@pytest.mark.parametrize(
    ("size", "tier", "price"),
    [
        (1, "default", 10),
        (1, "flex", 5),
        (1, "priority", 25),
        (300_000, "default", 20),
        (300_000, "flex", 11),
        (300_000, "priority", 20),
    ],
)
def test_the_narrowest_conditions_that_hold_decide(size: int, tier: str, price: int) -> None:
    assert at_size(SERVED, size, {"service_tier": tier}) == {"input_token": price}


@pytest.mark.parametrize(
    ("facts", "price"),
    [
        ({}, 4),
        ({"quality": "hd"}, 8),
        ({"size": "1024x1792"}, 8),
        ({"quality": "hd", "size": "1024x1792"}, 12),
        ({"quality": "standard", "size": "512x512"}, 4),
    ],
)
def test_facts_of_the_order_decide(facts: dict[str, str], price: int) -> None:
    assert at_size(PICTURES, 0, facts) == {"image": price}


def test_of_two_that_are_as_narrow_the_dearer_holds() -> None:
    meters = {"image@quality=hd": 3, "image@size=large": 5, "image": 1}
    assert at_size(meters, 0, {"quality": "hd", "size": "large"}) == {"image": 5}


def test_a_price_whose_conditions_do_not_hold_is_not_there() -> None:
    assert at_size({"cached_input_token@200000+": 4, "input_token": 5}, 10) == {"input_token": 5}


def test_where_no_price_of_a_meter_holds_its_dearest_does() -> None:
    tiers = {"input_token@service_tier=flex": 2, "input_token@service_tier=priority": 6, "output_token": 1}
    assert at_size(tiers, 10) == {"input_token": 6, "output_token": 1}
    assert at_size(tiers, 10, {"service_tier": "flex"}) == {"input_token": 2, "output_token": 1}
    assert at_size({"output_token@9+": 4, "audio_output_token@9+": 8}, 1) == {
        "output_token": 4,
        "audio_output_token": 8,
    }


def test_prices_without_conditions_are_given_back_as_they_are() -> None:
    plain = {"input_token": 2}
    assert at_size(plain, 10**9) is plain


def test_the_dearest_is_what_a_hold_may_need() -> None:
    assert dearest(SERVED) == {"input_token": 25}


@given(st.dictionaries(st.sampled_from(sorted(SERVED)), st.integers(0, 100)), st.integers(0, 10**6))
def test_no_price_is_above_the_dearest(meters: dict[str, int], size: int) -> None:
    highest = dearest(meters)
    for tier in ("", "flex", "priority"):
        assert all(price <= highest[meter] for meter, price in at_size(meters, size, {"service_tier": tier}).items())


def test_all_that_was_sent_counts_as_input() -> None:
    counts = {"input_token": 1, "cached_input_token": 2, "cache_write_1h_token": 4, "image_input_token": 8}
    assert input_tokens({**counts, "output_token": 99, "call": 1, "citation_token": 7}) == 15


@pytest.mark.parametrize(
    "key",
    [
        "parsec",
        "parsec@1+",
        "image@",
        "image@hd",
        "image@0+",
        "image@-5+",
        "image@5",
        "image@1+,2+",
        "image@a=1,a=2",
        "image@a=1,",
        "image@a=1;b=2",
        "image@a=1,b=2,c=3,d=4,e=5",
        "image@A=1",
    ],
)
def test_a_key_that_cannot_be_read_is_refused_by_name(key: str) -> None:
    with pytest.raises(ValueError, match=r"`.*"):
        parse_key(key)
