"""Walks through a caller's JSON: each value knows its path, so what is wrong is named and what has no word kept."""

from collections.abc import Callable, Collection, Container, Iterator
from typing import Any, cast

from halley.kernel.codec import decode
from halley.kernel.faults import BadRequest
from halley.wire.halves import without

ECHO_CHARACTERS_MAX = 60
"""Of a caller's value that a message repeats."""


class Cursor:
    """One value in a body; `null` counts as not sent.

    `extras` is shared by all cursors of one body: what no word of ours stands for is kept there, under its path.
    `spell` gives the one spelling of a name where a format allows several.
    """

    __slots__ = ("_fields", "_seen", "_spell", "extras", "path", "value")

    def __init__(
        self,
        value: Any,
        path: str = "",
        extras: dict[str, Any] | None = None,
        spell: Callable[[str], str] | None = None,
    ) -> None:
        self.value = value
        self.path = path
        self.extras: dict[str, Any] = {} if extras is None else extras
        self._spell = spell
        self._fields: dict[str, Any] | None = None
        self._seen: set[str] | None = None

    # --- down -----------------------------------------------------------------------------------------------

    def at(self, name: str) -> "Cursor":
        """One field, which is seen to from here on; its value is None where it is not sent."""
        if self._seen is None:
            self._seen = set()
        self._seen.add(name)
        return self._below(self.peek(name), self.place(name))

    def peek(self, name: str) -> Any:
        """What a field holds, which stays to be seen to."""
        return self._named().get(name)

    def has(self, name: str) -> bool:
        return self.peek(name) is not None

    def place(self, name: str) -> str:
        """Where a field of this object stands in the body."""
        return f"{self.path}.{name}" if self.path else name

    def items(self) -> Iterator["Cursor"]:
        """All items of an array."""
        for index, item in enumerate(self.array()):
            yield self._below(item, f"{self.path}[{index}]")

    def or_none(self) -> "Cursor | None":
        """None for what is not sent."""
        return None if self.value is None else self

    def or_empty(self) -> "Cursor":
        """An object without fields for one that is not sent."""
        return self._below({}, self.path) if self.value is None else self

    # --- what it is -----------------------------------------------------------------------------------------

    def object(self) -> dict[str, Any]:
        value = self.value
        if not isinstance(value, dict):
            raise self.wrong("an object")
        return cast("dict[str, Any]", value)  # JSON has only strings as keys

    def array(self) -> list[Any]:
        value = self.value
        if not isinstance(value, list):
            raise self.wrong("an array")
        return cast("list[Any]", value)  # nothing is said of the items

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("a string")
        return self.value

    def whole(self) -> int:
        """A whole number; `1.0` is one too, as JSON has it."""
        value = self.value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong("a whole number")
        return value

    def number(self) -> float:
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise self.wrong("a number")
        return float(self.value)

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("`true` or `false`")
        return self.value

    # --- what may be left out -------------------------------------------------------------------------------

    def text_or_none(self) -> str | None:
        return None if self.value is None else self.text()

    def whole_or_none(self) -> int | None:
        return None if self.value is None else self.whole()

    def number_or_none(self) -> float | None:
        return None if self.value is None else self.number()

    def flag_or_none(self) -> bool | None:
        return None if self.value is None else self.flag()

    def object_or_none(self) -> dict[str, Any] | None:
        """An object whose fields are the caller's own, such as a JSON schema."""
        return None if self.value is None else self.object()

    def each(self) -> "list[Cursor]":
        """All items of an array that may be left out."""
        return [] if self.value is None else list(self.items())

    def texts(self) -> tuple[str, ...]:
        """An array of strings that may be left out."""
        return tuple(item.text() for item in self.each())

    # --- what has no word -----------------------------------------------------------------------------------

    def keep(self) -> None:
        """Keep the value among the extras, under its path."""
        self.extras[self.path] = self.value

    def keep_others(self, known: Collection[str]) -> None:
        """Keep the fields that are set and not known."""
        for name, value in self._named().items():
            if value is not None and name not in known:
                self.extras[self.place(name)] = value

    def drop(self, names: Collection[str]) -> None:
        """Let fields be that change nothing."""
        self._seen = {*(self._seen or ()), *names}

    def default(self, name: str, *values: Any) -> None:
        """Let a field be that says what would hold without it."""
        if self.peek(name) in values:
            self.drop((name,))

    def rest(self) -> dict[str, Any]:
        """Give the fields that nobody has seen to."""
        seen = self._seen or ()
        return {name: item for name, item in self._named().items() if item is not None and name not in seen}

    def done(self, hints: Container[str] = ()) -> None:
        """Keep what nobody has seen to, but hints, `false` and empty arrays; an empty object may mean something."""
        for name, item in self.rest().items():
            if name not in hints and item is not False and item != []:
                self.extras[self.place(name)] = item

    # --- what is wrong --------------------------------------------------------------------------------------

    def wrong(self, expected: str) -> BadRequest:
        """Say what the value must be."""
        return wrong(self.path or "body", expected, self.value)

    def _below(self, value: Any, path: str) -> "Cursor":
        return Cursor(value, path, self.extras, self._spell)

    def _named(self) -> dict[str, Any]:
        """The fields by their one spelling, of which there may be two: the one that is set counts."""
        if self._spell is None:
            return self.object()
        if self._fields is None:
            spell = self._spell
            self._fields = {spell(name): item for name, item in self.object().items() if item is not None}
        return self._fields


def object_of(text: str, what: str) -> dict[str, Any]:
    """The JSON object in a text, such as a call's arguments; nothing stands for an empty one. Raises `ValueError`."""
    try:
        value = decode(without((text or "{}").encode()))
    except RecursionError as error:
        raise ValueError(f"{what} are nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"{what} are no JSON object")  # noqa: TRY004  what a model wrote is a value to us
    return cast("dict[str, Any]", value)  # JSON's names are strings


def wrong(place: str, expected: str, value: Any) -> BadRequest:
    """Say what a field must be instead of what it is."""
    if value is None:
        return missing(place, f"it must be {expected}")
    return BadRequest(f"`{place}` must be {expected}, not {shown(value)}", param=place)


def missing(place: str, expected: str) -> BadRequest:
    """Say which field is needed."""
    return BadRequest(f"`{place}` is required: {expected}", param=place)


def shown(value: Any) -> str:
    """A value as a message may show it: long and nested ones by their kind."""
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case str():
            return f"`{value}`" if len(value) <= ECHO_CHARACTERS_MAX else "a longer string"
        case int() | float():
            return f"`{str(value)[:ECHO_CHARACTERS_MAX]}`"
        case dict():
            return "an object"
        case _:
            return "an array"
