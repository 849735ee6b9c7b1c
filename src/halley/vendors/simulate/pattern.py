"""A text that matches a regular expression, for the common ones that people write into a JSON schema. Pure."""

import re
from collections.abc import Callable

import msgspec

PATTERN_CHARACTERS_MAX = 500
TEXT_CHARACTERS_MAX = 2_000
REPEATS_MAX = 256
NESTING_MAX = 20

_CLASSES = {"d": "0123456789", "w": "abcdefghij", "s": " ", "D": "abc", "W": "-", "S": "abc"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_ANY = "abcdefgh"
_COUNTED = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}")
_GROUP_HEAD = re.compile(r"\?(?::|P?<\w+>)")
_AMBIGUOUS = re.compile(r"\[\^?\[|--|&&|\|\||~~")
"""What Python warns of in a set of characters, as it may mean something else one day; warnings are errors in tests."""
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
_TRIES = 12

Dice = Callable[[int], int]
"""Gives a number below the one given."""


class _Strange(Exception):
    """Something that is not understood."""


def matching(pattern: str, dice: Dice, *, length_min: int = 0, length_max: int | None = None) -> str | None:
    """A text in which the pattern is found, within those lengths; `None` if none was hit upon."""
    compiled = _compiled(pattern)
    if compiled is None:
        return None
    for extra in range(_TRIES):
        try:
            text = _Writer(pattern, dice, extra=extra).written()
        except _Strange:
            return None
        if not pattern.endswith("$"):
            text += "a" * (length_min - len(text))
        if length_min <= len(text) <= (length_max or TEXT_CHARACTERS_MAX) and compiled.search(text):
            return text
    return None


def found_in(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text; a pattern that cannot be read is found in everything."""
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(text[:TEXT_CHARACTERS_MAX]) is not None


def _compiled(pattern: str) -> re.Pattern[str] | None:
    if len(pattern) > PATTERN_CHARACTERS_MAX or _AMBIGUOUS.search(pattern):
        return None
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return None


class _Atom(msgspec.Struct, frozen=True):
    """How to write one thing once."""

    write: Callable[[], str]


class _Writer:
    """Goes through the pattern once and writes as it goes."""

    def __init__(self, pattern: str, dice: Dice, *, extra: int) -> None:
        self._pattern = pattern
        self._dice = dice
        self._extra = extra
        """How many more repeats than needed are written: later tries write longer texts."""
        self._at = 0
        self._nesting = 0

    def written(self) -> str:
        text = self._alternatives().write()
        if self._at < len(self._pattern):
            raise _Strange
        return text

    def _alternatives(self) -> _Atom:
        choices = [self._sequence()]
        while self._take("|"):
            choices.append(self._sequence())
        return choices[self._dice(len(choices))]

    def _sequence(self) -> _Atom:
        parts: list[_Atom] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            atom = self._atom()
            times = self._times()
            parts += [atom] * times
            if len(parts) > TEXT_CHARACTERS_MAX:
                raise _Strange
        return _Atom(lambda: "".join(part.write() for part in parts)[:TEXT_CHARACTERS_MAX])

    def _atom(self) -> _Atom:
        character = self._next()
        match character:
            case "^" | "$":
                return _Atom(lambda: "")
            case ".":
                return self._one_of(_ANY)
            case "[":
                return self._one_of(self._set())
            case "(":
                return self._group()
            case "\\":
                return self._escaped()
            case "*" | "+" | "?":
                raise _Strange
            case _:
                return _Atom(lambda: character)

    def _group(self) -> _Atom:
        self._nesting += 1
        if self._nesting > NESTING_MAX:
            raise _Strange
        head = _GROUP_HEAD.match(self._pattern, self._at)
        if head is not None:
            self._at = head.end()
        elif self._take("?"):
            raise _Strange  # looking ahead or behind, flags
        inner = self._alternatives()
        if not self._take(")"):
            raise _Strange
        self._nesting -= 1
        return inner

    def _escaped(self) -> _Atom:
        character = self._next()
        if character in _CLASSES:
            return self._one_of(_CLASSES[character])
        if character in "bAZz":
            return _Atom(lambda: "")
        if character.isalnum() and character not in _ESCAPES:
            raise _Strange
        return _Atom(lambda: _ESCAPES.get(character, character))

    def _set(self) -> str:
        is_negated = self._take("^")
        members = ""
        while not (members and self._take("]")):
            first = self._member()
            if len(first) == 1 and self._pattern[self._at : self._at + 1] == "-" and self._peek(1) != "]":
                self._at += 1
                last = self._member()
                if len(last) != 1 or last < first:
                    raise _Strange
                # A few of a wide range are as good as all.
                members += "".join(map(chr, range(ord(first), min(ord(last), ord(first) + 60) + 1)))
            else:
                members += first
        if not is_negated:
            return members
        return "".join(each for each in _PRINTABLE if each not in members and each.isalnum()) or "~"

    def _member(self) -> str:
        character = self._next()
        if character != "\\":
            return character
        escaped = self._next()
        return _CLASSES.get(escaped) or _ESCAPES.get(escaped, escaped)

    def _times(self) -> int:
        """How often the thing before is written, as its quantifier allows."""
        counted = _COUNTED.match(self._pattern, self._at)
        if counted is not None:
            self._at = counted.end()
            low = int(counted[1])
            high = low if counted[2] is None else int(counted[3]) if counted[3] else low + self._extra
        elif self._take("*"):
            low, high = 0, 1 + self._extra
        elif self._take("+"):
            low, high = 1, 3 + self._extra
        elif self._take("?"):
            low, high = 0, 1
        else:
            return 1
        self._take("?")
        if low > REPEATS_MAX:
            raise _Strange
        return max(low, min(high, low + self._extra if self._extra else low + self._dice(3)))

    def _one_of(self, members: str) -> _Atom:
        return _Atom(lambda: members[self._dice(len(members))])

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise _Strange
        self._at += 1
        return self._pattern[self._at - 1]

    def _peek(self, ahead: int) -> str:
        return self._pattern[self._at + ahead : self._at + ahead + 1]

    def _take(self, character: str) -> bool:
        if self._peek(0) != character:
            return False
        self._at += 1
        return True
