"""Money is exact, and rounded in one place, upwards."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.money import MILLION, NANOS_MAX, NANOS_PER_DOLLAR, ZERO, charge, dollars, nanos_from_dollars, total

METERS = st.dictionaries(st.sampled_from(["call", "image", "output_megapixel", "input_token"]), st.integers(0, 10**12))


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0", 0),
        ("0e999999999", 0),
        ("0.04", 40_000_000),
        ("1000", 10**12),
        ("0.000000001", 1),
        ("1e-9", 1),
        (" 2.50 ", 2_500_000_000),
    ],
)
def test_dollars_are_read_exactly(text: str, nanos: int):
    assert nanos_from_dollars(text) == nanos


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("four", "not an amount"),
        ("", "not an amount"),
        ("NaN", "not an amount"),
        ("sNaN", "not an amount"),
        ("Infinity", "between 0"),
        ("-0.01", "between 0"),
        ("9223372036.854775808", "between 0"),
        ("1e30", "between 0"),
        ("1e999999", "not an amount|between 0"),
        (10**40, "between 0"),
        ("0.0000000001", "nine decimals"),
        ("0.04" + "0" * 40 + "1", "nine decimals"),
        ("1e-999999999", "nine decimals"),
        ("0." + "0" * 5_000, r"`0\.0{38}…` has more than nine decimals"),
        ("1" * 5_000, r"`1{40}…` is not an amount in US dollars between 0"),
        ("four" * 5_000, r"`(four){10}…` is not an amount"),
    ],
)
def test_what_is_no_amount_is_refused(amount: str | int, message: str):
    with pytest.raises(ValueError, match=message):
        nanos_from_dollars(amount)


@given(st.integers(0, NANOS_MAX))
def test_dollars_are_spelled_so_that_they_read_back(nanos: int):
    assert nanos_from_dollars(dollars(nanos)) == nanos
    assert Decimal(dollars(nanos)) * NANOS_PER_DOLLAR == nanos


@pytest.mark.parametrize(
    ("nanos", "text"), [(0, "0"), (40_000_000, "0.04"), (10**12, "1000"), (-1, "-0.000000001"), (-15 * 10**8, "-1.5")]
)
def test_dollars_have_no_trailing_zeros(nanos: int, text: str):
    assert dollars(nanos) == text


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_charge_is_the_least_whole_number_of_nanos_that_covers_the_price(quantity: int, price: int):
    exact = Fraction(quantity * price, MILLION)
    assert exact <= charge(quantity, price) < exact + 1


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_charge_never_falls_when_more_is_used_and_splitting_never_saves(first: int, second: int, price: int):
    assert charge(first, price) <= charge(first + second, price) <= charge(first, price) + charge(second, price)


@given(METERS, METERS)
def test_total_is_the_sum_over_priced_meters(quantities: dict[str, int], prices: dict[str, int]):
    expected = sum(charge(quantities[meter], prices[meter]) for meter in quantities.keys() & prices.keys())
    assert total(quantities, prices) == expected


def test_total_without_prices_is_nothing():
    assert total({"image": 5}, {}) == ZERO


@pytest.mark.parametrize(("quantity", "price"), [(-1, 1), (1, -1)])
def test_negative_use_or_price_is_our_own_mistake(quantity: int, price: int):
    with pytest.raises(AssertionError):
        charge(quantity, price)


def test_a_number_that_is_not_text_is_read_as_it_is():
    assert nanos_from_dollars(3) == 3 * NANOS_PER_DOLLAR
    assert nanos_from_dollars(Decimal("0.1")) == 100_000_000
