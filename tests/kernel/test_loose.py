"""JSON of unknown shape and size."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object, as_text, fitted, head, tail

JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**63), 2**63) | some.text(max_size=40),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "x", [1], {"a": 1}])
def test_what_is_not_of_the_wanted_kind_counts_as_empty(value: Any):
    assert as_object(value) == (value if isinstance(value, dict) else {})
    assert as_list(value) == (value if isinstance(value, list) else [])
    assert as_text(value) == (value if isinstance(value, str) else "")


def test_an_object_that_fits_is_left_as_it_is():
    value = {"a": 1, "b": ["ü"]}
    size = len(encode(value))
    assert fitted(value, size) == value
    assert fitted(value, size - 1) == {"a": 1}


def test_the_largest_unknown_fields_go_first_and_known_ones_last():
    value = {"id": "x" * 50, "small": 1, "larger": "y" * 30, "large": "z" * 40}
    assert fitted(value, 120, known=("id",)) == {"id": "x" * 50, "small": 1, "larger": "y" * 30}
    assert fitted(value, 80, known=("id",)) == {"id": "x" * 50, "small": 1}
    assert fitted(value, 62, known=("id",)) == {"id": "x" * 50}
    assert fitted(value, 20, known=("id",)) == {}


@given(some.dictionaries(some.text(max_size=8), JSON, max_size=6), some.integers(2, 200))
def test_what_was_fitted_fits_and_keeps_its_order(value: dict[str, Any], bytes_max: int):
    kept = fitted(value, bytes_max)
    assert len(encode(kept)) <= bytes_max
    assert list(kept.items()) == [(name, item) for name, item in value.items() if name in kept]


@given(some.text(max_size=60), some.integers(0, 60))
def test_ends_of_a_text_are_within_their_bytes(text: str, bytes_max: int):
    assert len(head(text, bytes_max).encode()) <= bytes_max
    assert len(tail(text, bytes_max).encode()) <= bytes_max
    assert text.startswith(head(text, bytes_max))
    assert text.endswith(tail(text, bytes_max))


def test_the_end_of_a_text_begins_with_a_whole_word():
    assert tail("see https://vendor.example/secret now", 12) == "now"
    assert tail("x" * 20, 10) == ""
    assert tail("short", 10) == "short"
    assert head("héllo", 2) == "h"
