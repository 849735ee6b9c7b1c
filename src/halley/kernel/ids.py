"""Ids that sort by time: one UUIDv7 (RFC 9562) inside, spelled as a UUID, as 26 base32 characters, or with a prefix."""

import secrets
from typing import NewType, Protocol
from uuid import UUID

from halley.kernel.clock import Clock

TaskId = NewType("TaskId", str)
"""A task's id in its stored spelling: 26 characters of base32."""

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32 in lower case; it sorts as the number does."""

BASE32_LENGTH = 26
_VALUE = {character: index for index, character in enumerate(ALPHABET)}
_RANDOM_BITS = 74


class Ids(Protocol):
    """Where new ids and secrets come from."""

    def new(self) -> str:
        """Give 26 base32 characters that sort after all given before by this process."""
        ...

    def secret(self, length: int) -> str:
        """Give that many unguessable alphanumeric characters."""
        ...


class SystemIds:
    """Ids from the clock and the machine's randomness."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def new(self) -> str:
        """Give a UUIDv7 in base32; within one process each is greater than the one before."""
        value = uuid7(self._clock.now() // 1_000, secrets.randbits(_RANDOM_BITS))
        self._last = value = max(value, self._last + 1)
        return base32(value)

    def secret(self, length: int) -> str:
        """Give unguessable alphanumeric characters."""
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        return "".join(secrets.choice(letters) for _ in range(length))


def uuid7(milliseconds: int, random: int) -> int:
    """Lay out a version 7 UUID: 48 bits of Unix milliseconds, then 74 random bits around version and variant."""
    high, low = divmod(random, 1 << 62)
    return (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | (high & 0xFFF) << 64 | 0b10 << 62 | low


def base32(value: int) -> str:
    """Spell 128 bits as 26 characters."""
    return "".join(ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


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
