"""JSON in and out: exact, bounded, and refused with a clear error."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.codec import (
    JSON_DEPTH_MAX,
    JSON_MARKS_MAX,
    decode,
    decode_object,
    encode,
    too_deep,
)
from halley.kernel.faults import BadRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=30,
)
DEEPEST = b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX


@given(JSON)
def test_what_is_written_reads_back_exactly_here_and_elsewhere(value: Any):
    assert decode(encode(value)) == value
    assert json.loads(encode(value)) == value
    assert decode(encode(value).decode()) == value


def test_large_integers_keep_every_digit():
    assert encode(decode(b'{"seed":12345678901234567890123}')) == b'{"seed":12345678901234567890123}'


@pytest.mark.parametrize(
    "data", [b"", b"{", b"nul", b"NaN", b"{'a':1}", b"[1,]", b"1e999", b'"\xff"', b'"\\ud800"', b"1 2"]
)
def test_what_is_not_json_is_refused(data: bytes):
    with pytest.raises(ValueError):
        decode(data)


def test_nesting_is_allowed_to_the_limit_and_refused_beyond():
    assert decode(DEEPEST) is not None
    with pytest.raises(ValueError, match="deeper than 64"):
        decode(b"[" + DEEPEST + b"]")


def test_bomb_of_brackets_is_refused_before_anything_is_built():
    with pytest.raises(ValueError, match="deeper"):
        decode(b'{"a":' * 100_000)


def test_brackets_in_strings_and_side_by_side_are_not_depth():
    assert not too_deep(b'["' + b"[" * 1_000 + b'\\"[[' + b'"]')
    assert not too_deep(b"[" + b"[],{}," * 1_000 + b"[]]")


def test_document_of_very_many_small_values_is_refused():
    with pytest.raises(ValueError, match="500,000 brackets"):
        decode(b"[" + b"0," * JSON_MARKS_MAX + b"0]")


STRINGS = st.lists(st.sampled_from([b"[", b"}", b'\\"', b"a", b"\\\\", b"\\n"]), max_size=8).map(b"".join)
# A backslash outside a string is no JSON: what follows it is never read.
OUTSIDE = st.sampled_from([b"[", b"]", b"{", b"}", b"a", b"\n"]) | STRINGS.map(lambda text: b'"' + text + b'"')


@given(st.lists(OUTSIDE, max_size=40).map(b"".join), st.none() | STRINGS)
def test_depth_is_judged_as_a_plain_reader_would(data: bytes, unended: bytes | None):
    data = data if unended is None else data + b'"' + unended
    assert too_deep(data, depth_max=3) == _too_deep_plainly(data, 3)


@pytest.mark.parametrize("text", [b'\\"', b"\\\\", b'\\\\\\"', b'","', b"[["])
@pytest.mark.parametrize("shift", range(8))
def test_depth_is_judged_alike_wherever_a_large_body_is_cut_into_pieces(text: bytes, shift: int):
    data = b'["' + b"x" * (1024 * 1024 - 2 - shift) + text * 4 + b'",[[],"' + b"]" * 100 + b'"]]'
    assert too_deep(data, depth_max=2)
    assert not too_deep(data, depth_max=3)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"[" * 70 + b'"' + b'\\"' * 16_000, id="escaped quotes without an end"),
        pytest.param(b"[" * 70 + b'"' + b'\\"' * 16_000 + b"\\", id="escaped quotes and half an escape"),
        pytest.param(b"[" * 70 + b'"' + b"\\a" * 2_000_000 + b'"', id="long string"),
    ],
)
def test_depth_is_judged_in_time_that_grows_with_the_length_only(data: bytes):
    started = time.process_time()
    too_deep(data)
    assert time.process_time() - started < 1


def test_body_that_is_an_object_is_read():
    assert decode_object(b' {"prompt": "a cat"} ') == {"prompt": "a cat"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not valid JSON"),
        (b"[" + DEEPEST + b"]", "deeper"),
        (b"null", "not null"),
        (b"[]", "not an array"),
        (b'"x"', "not a string"),
        (b"true", "not a boolean"),
        (b"1", "not a number"),
        (b"1.5", "not a number"),
    ],
)
def test_body_that_is_no_object_is_a_bad_request_that_says_why(data: bytes, message: str):
    with pytest.raises(BadRequest, match=message):
        decode_object(data)


@given(st.binary(max_size=200))
def test_no_body_whatever_raises_anything_else(data: bytes):
    with suppress(BadRequest):  # the only one that is allowed
        assert isinstance(decode_object(data), dict)


def _too_deep_plainly(data: bytes, depth_max: int) -> bool:
    """Count as it is read; a string that does not end swallows the rest."""
    depth, at, inside = 0, 0, False
    while at < len(data):
        byte = data[at : at + 1]
        if inside:
            at += byte == b"\\"
            inside = byte != b'"'
        elif byte == b'"':
            inside = True
        elif byte in (b"[", b"{"):
            depth += 1
        elif byte in (b"]", b"}"):
            depth -= 1
        if depth > depth_max:
            return True
        at += 1
    return False
