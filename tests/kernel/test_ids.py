"""Ids sort by time, and a task's id is read in each of its spellings."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.ids import (
    ALPHABET,
    BASE32_LENGTH,
    SystemIds,
    as_uuid,
    base32,
    parse_task_id,
    uuid7,
)
from halley.testing.clock import FakeClock

NUMBERS = st.integers(0, 2**128 - 1)
MILLISECONDS = st.integers(0, 2**48 - 1)
RANDOM = st.integers(0, 2**74 - 1)


@given(NUMBERS)
def test_each_spelling_of_an_id_is_read_back(value: int):
    text = base32(value)
    assert len(text) == BASE32_LENGTH
    for spelling in (text, f"task_{text}", as_uuid(text), as_uuid(text).upper(), f"task_{as_uuid(text)}"):
        assert parse_task_id(spelling) == text
    assert UUID(as_uuid(text)).int == value


@given(NUMBERS, NUMBERS)
def test_spelled_ids_sort_as_their_numbers(first: int, second: int):
    assert (base32(first) < base32(second)) == (first < second)


@given(MILLISECONDS, RANDOM)
def test_new_ids_are_version_7_and_tell_their_time(milliseconds: int, random: int):
    value = UUID(int=uuid7(milliseconds, random))
    assert (value.version, value.variant) == (7, "specified in RFC 4122")
    assert value.int >> 80 == milliseconds


@given(MILLISECONDS, RANDOM, RANDOM)
def test_all_randomness_is_kept(milliseconds: int, first: int, second: int):
    assert (uuid7(milliseconds, first) == uuid7(milliseconds, second)) == (first == second)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "task_",
        "8" + "0" * 25,
        "z" * 26,
        "0" * 25 + "u",
        "0" * 25 + "U",
        "0" * 27,
        "0" * 26 + "\n",
        "task_task_" + "0" * 26,
        "{12345678-1234-5678-1234-567812345678}",
        "12345678123456781234567812345678",
        "urn:uuid:12345678-1234-5678-1234-567812345678",
        "12345678-1234-5678-1234-56781234567g",
        "' OR 1=1 --",
    ],
)
def test_what_is_no_id_is_none(text: str):
    assert parse_task_id(text) is None


@given(st.text(max_size=60))
def test_no_text_whatever_raises_and_what_is_read_is_canonical(text: str):
    task_id = parse_task_id(text)
    assert task_id is None or parse_task_id(task_id) == task_id


def _milliseconds(identity: str) -> int:
    return UUID(as_uuid(identity)).int >> 80


def test_ids_of_one_process_rise_even_when_time_stands_still_or_goes_back():
    clock = FakeClock("2026-11-22T12:00:00Z")
    ids = SystemIds(clock)
    made = [ids.new() for _ in range(500)]
    assert made == sorted(set(made))
    assert _milliseconds(made[0]) == clock.now() // 1_000


def test_ids_rise_with_the_clock():
    clock = FakeClock()
    ids = SystemIds(clock)
    first = ids.new()
    clock.advance(3_600)
    second = ids.new()
    assert _milliseconds(second) - _milliseconds(first) == 3_600_000


def test_secrets_are_alphanumeric_as_long_as_asked_and_differ():
    ids = SystemIds(FakeClock())
    first, second = ids.secret(40), ids.secret(40)
    assert len(first) == 40
    assert first.isascii()
    assert first.isalnum()
    assert first != second


def test_alphabet_has_no_letters_that_look_alike():
    assert len(set(ALPHABET)) == 32
    assert not set("ilou") & set(ALPHABET)
