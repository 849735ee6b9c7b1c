"""Ids that sort by time: one UUIDv7 (RFC 9562) inside, spelled as a UUID, as 26 base32 characters, or with a prefix."""

import os
import secrets
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import NewType, Protocol
from uuid import UUID

from halley.kernel.clock import Clock
from halley.kernel.forks import after_fork

TaskId = NewType("TaskId", str)
"""A task's id in its stored spelling: 26 characters of base32."""

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32 in lower case; it sorts as the number does."""

BASE32_LENGTH = 26
_VALUE = {character: index for index, character in enumerate(ALPHABET)}

# Bit by bit an id costs ten times as much as from pieces: base32 cuts a UUIDv7 so that its 48 bits of time are the
# first ten characters, and each of the others but three is five random bits and nothing else.
_HEAD_PIECES = ((40, 0xFF), (30, 0x3FF), (20, 0x3FF), (10, 0x3FF), (0, 0x3FF))
"""Where the pairs of the time are: how far down, and which bits."""
_PIECE = 17
"""The sixteen characters after them, and a blank."""
_TAILS_AT_ONCE = 128
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)
_NEXT = dict(pairwise(_PAIRS))
"""The pair after each pair but the last."""
_ANY = bytes(ord(ALPHABET[byte & 31]) for byte in range(256))
_VERSION = bytes(ord(ALPHABET[0x7 << 1 | byte & 1]) for byte in range(256))
"""A tail's first character: the version and one random bit."""
_VARIANT = bytes(ord(ALPHABET[byte & 16 | 0b10 << 2 | byte & 3]) for byte in range(256))
"""A tail's fourth: a random bit, the variant, two random bits."""
_VARIANT_AT = 3


class Ids(Protocol):
    """Where new ids and secrets come from."""

    def new(self) -> str:
        """Give 26 base32 characters that sort after all given before by this process."""
        ...

    def secret(self, length: int) -> str:
        """Give that many unguessable alphanumeric characters."""
        ...


class SystemIds:
    """Ids from the clock and the machine's randomness. Any thread may ask; a forked child shares none of it."""

    def __init__(self, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._entropy = entropy
        self._last = ""
        self._millisecond = -1
        self._head = ""
        self._begin()
        after_fork(self._begin)

    def new(self) -> str:
        """Give a UUIDv7 in base32; within one process each is greater than the one before."""
        self._acquire()  # half of what `with` costs
        try:
            millisecond = self._clock.now() // 1_000
            if millisecond != self._millisecond:
                self._head = _head(millisecond)
                self._millisecond = millisecond
            tails = self._tails
            if not tails:
                tails = self._tails = _tails(self._entropy(_TAILS_AT_ONCE * _PIECE))
            identity = self._head + tails.pop()
            if identity <= self._last:
                identity = _after(self._last)
            self._last = identity
            return identity
        finally:
            self._release()

    def secret(self, length: int) -> str:
        """Give unguessable alphanumeric characters."""
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        return "".join(secrets.choice(letters) for _ in range(length))

    def _begin(self) -> None:
        # What was drawn before a fork is in both processes, and the lock may be held by a thread that only one has.
        lock = threading.Lock()
        self._acquire, self._release = lock.acquire, lock.release
        self._tails: list[str] = []


def uuid7(milliseconds: int, random: int) -> int:
    """Lay out a version 7 UUID: 48 bits of Unix milliseconds, then 74 random bits around version and variant."""
    high, low = divmod(random, 1 << 62)
    return (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | (high & 0xFFF) << 64 | 0b10 << 62 | low


def base32(value: int) -> str:
    """Spell 128 bits as 26 characters."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


def as_uuid(identity: str) -> str:
    """Spell a 26-character id as a UUID with dashes."""
    return str(UUID(int=_number(identity)))


def parse_task_id(text: str) -> TaskId | None:
    """Read any of a task's three spellings: UUID, base32, `task_` + base32. None when it is none of them."""
    text = text.removeprefix("task_")
    if len(text) == BASE32_LENGTH:
        return TaskId(text) if text[0] in "01234567" and all(character in _VALUE for character in text) else None
    try:
        value = UUID(text)
    except ValueError:
        return None
    return TaskId(base32(value.int)) if str(value) == text.lower() else None


def _number(identity: str) -> int:
    value = 0
    for character in identity:
        value = value << 5 | _VALUE[character]
    return value


def _head(millisecond: int) -> str:
    """Spell 48 bits of time: the first ten characters of `base32`."""
    return "".join([_PAIRS[millisecond >> shift & mask] for shift, mask in _HEAD_PIECES])


def _tails(random: bytes) -> list[str]:
    """Make of each so many bytes what follows the time in an id: the version, the variant and 74 random bits."""
    spelled = bytearray(random.translate(_ANY))
    spelled[::_PIECE] = random[::_PIECE].translate(_VERSION)
    spelled[_VARIANT_AT::_PIECE] = random[_VARIANT_AT::_PIECE].translate(_VARIANT)
    spelled[_PIECE - 1 :: _PIECE] = b" " * (len(random) // _PIECE)
    return spelled.decode("ascii").split()


def _after(identity: str) -> str:
    """Give the id whose number is one more."""
    following = _NEXT.get(identity[-2:])
    return base32(_number(identity) + 1) if following is None else identity[:-2] + following
