"""Medians, percentiles, ratios of paired rounds, and what the books must hold."""

import pytest
from bench.load.statistics import percentile, spread
from bench.record import decode, encode
from tests.bench.records import books, record, sample


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 5), (99, 10), (100, 10), (10, 1), (0, 1)], ids=["p50", "p99", "p100", "p10", "p0"]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float):
    assert percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], percent) == expected


def test_nothing_has_no_percentile_and_no_spread():
    assert percentile([], 99) == 0
    assert spread([]) is None


def test_a_spread_has_the_median_and_how_far_the_rounds_lie_apart():
    found = spread([10, 8, 12])
    assert found is not None
    assert (found.median, found.low, found.high, found.rounds) == (10, 8, 12, 3)
    assert found.part == pytest.approx(0.4)


def test_a_ratio_is_taken_within_each_round():
    found = record().ratio("chat", "halley-sqlite", "per_second_64", "nginx")
    assert found is not None
    assert found.median == pytest.approx(0.25)
    assert found.part == pytest.approx(0)


def test_added_latency_is_over_that_of_no_gateway():
    found = record().added("chat", "halley-sqlite", "p50_us_1")
    assert found is not None
    assert found.low == pytest.approx(480)


def test_a_round_without_its_base_has_no_ratio():
    lonely = record(sample("nginx", 3, per_second_64=1.0), sample("litellm", 4, per_second_64=1.0))
    assert lonely.ratio("chat", "litellm", "per_second_64", "nginx") is None
    found = lonely.ratio("chat", "halley-sqlite", "per_second_64", "nginx")
    assert found is not None
    assert found.rounds == 2


def test_a_record_is_read_as_it_was_written():
    assert decode(encode(record())) == record()


@pytest.mark.parametrize(
    ("changed", "complete"),
    [
        ({}, True),
        ({"rows": 99}, False),
        ({"rows": 101}, False),
        ({"rows": 101, "cut": 1}, True),
        ({"sound": False}, False),
    ],
    ids=["one row a call", "a call without a row", "a row without a call", "a call that was cut off", "unsound"],
)
def test_books_are_whole_when_each_call_has_its_row(changed: dict[str, object], *, complete: bool):
    assert books(**changed).complete is complete
