"""Ids sort by time, and a task's id is read in each of its spellings."""

import os
import subprocess
import sys
import threading
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
BYTES_PER_ID = 17
IDS_PER_DRAW = 128


def number_in(entropy: bytes) -> int:
    """The 74 bits that an id takes from its random bytes."""
    number = entropy[0] & 1
    for place, byte in enumerate(entropy[1:16], start=1):
        number = number << 3 | byte >> 2 & 4 | byte & 3 if place == 3 else number << 5 | byte & 31
    return number


def bit_by_bit(value: int) -> str:
    """Spell 128 bits as 26 characters of five."""
    return "".join(ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


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


@given(NUMBERS)
def test_pieces_spell_what_single_bits_do(value: int):
    assert base32(value) == bit_by_bit(value)


@given(st.binary(min_size=BYTES_PER_ID, max_size=BYTES_PER_ID * 6), st.lists(st.integers(0, 2), max_size=300))
def test_an_id_is_the_number_of_its_time_and_bits_or_one_more_than_the_last(seed: bytes, ticks: list[int]):
    draws = (seed * (BYTES_PER_ID * IDS_PER_DRAW))[: BYTES_PER_ID * IDS_PER_DRAW]
    pieces = [draws[at : at + BYTES_PER_ID] for at in range(0, len(draws), BYTES_PER_ID)]
    clock, last, asked = FakeClock(), 0, 0

    def entropy(length: int) -> bytes:
        assert length == len(draws)
        return draws

    ids = SystemIds(clock, entropy)
    for milliseconds in ticks:
        clock.advance(milliseconds / 1_000)
        # Of each draw the last piece is used first.
        value = uuid7(clock.now() // 1_000, number_in(pieces[-1 - asked % IDS_PER_DRAW]))
        last, asked = max(value, last + 1), asked + 1
        assert ids.new() == bit_by_bit(last)


def test_one_more_than_the_last_carries_as_numbers_do():
    clock = FakeClock()
    ids = SystemIds(clock, lambda length: b"\xff" * (length - BYTES_PER_ID) + (b"\xff" * 15 + b"\x1f\x00"))
    first = ids.new()
    assert first.endswith("zzz")
    number = UUID(as_uuid(first)).int
    assert [ids.new() for _ in range(3)] == [bit_by_bit(number + more) for more in (1, 2, 3)]


def test_each_random_bit_of_an_id_is_drawn():
    made = [UUID(as_uuid(SystemIds(FakeClock()).new())).int for _ in range(100)]
    ever, always = 0, 2**128 - 1
    for value in made:
        ever, always = ever | value, always & value
    assert (ever & ~always).bit_count() == 74


class Turnstile(FakeClock):
    """A clock that lets other threads run while it is read, and notes whether one of them reads it too."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0
        self.met = False

    def now(self) -> int:
        self.inside += 1
        os.sched_yield()
        self.met = self.met or self.inside > 1
        self.inside -= 1
        return super().now()


def test_threads_share_one_rising_row_of_ids():
    clock, made = Turnstile(), [list[str]() for _ in range(4)]
    ids = SystemIds(clock)
    threads = [threading.Thread(target=_make, args=(ids, 1_000, mine)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clock.met
    assert len(set[str]().union(*made)) == 4_000
    assert all(mine == sorted(mine) for mine in made)


def _make(ids: SystemIds, count: int, made: list[str]) -> None:
    for _ in range(count):
        made.append(ids.new())  # noqa: PERF401 - one by one, so that the threads take turns


_FORKING = """
import os, sys
from halley.kernel.ids import SystemIds
from halley.testing.clock import FakeClock
clock = FakeClock()
ids = SystemIds(clock)
ids.new()
clock.advance(1)
child = os.fork()
print(*[ids.new() for _ in range(50)], flush=True)
if child:
    os.waitpid(child, 0)
"""


def test_a_forked_child_makes_other_ids_than_its_parent():
    done = subprocess.run([sys.executable, "-c", _FORKING], capture_output=True, text=True, check=True, env=os.environ)
    one, other = (line.split() for line in done.stdout.splitlines())
    assert not set(one) & set(other)
