"""Reads a caller's JSON field by field, naming the place of what is wrong and keeping what nobody asked for."""

from collections.abc import Callable, Collection, Container
from typing import Any, cast

from halley.kernel.codec import decode
from halley.kernel.faults import BadRequest

ECHO_CHARACTERS_MAX = 60
"""Of a caller's value that a message repeats."""


class Fields:
    """One object of a body. Each field is taken once; `null` counts as not sent.

    `extras` is shared by all objects of a body: `done` puts what was not taken there, under its path.
    `spell` gives the one spelling of a name where a format allows several.
    """

    def __init__(
        self,
        value: Any,
        path: str = "",
        extras: dict[str, Any] | None = None,
        spell: Callable[[str], str] | None = None,
    ) -> None:
        if not isinstance(value, dict):
            raise wrong(path or "body", "an object", value)
        self.path = path
        self.extras: dict[str, Any] = {} if extras is None else extras
        self._spell = spell
        fields = cast("dict[str, Any]", value)  # JSON's names are strings
        self._left = {spell(name) if spell else name: item for name, item in fields.items() if item is not None}

    def place(self, name: str) -> str:
        """Where a field of this object stands in the body."""
        return f"{self.path}.{name}" if self.path else name

    def take(self, name: str) -> Any:
        """Whatever the field holds; None when it was not sent."""
        return self._left.pop(name, None)

    def peek(self, name: str) -> Any:
        return self._left.get(name)

    def text(self, name: str) -> str | None:
        value = self.take(name)
        if value is None or isinstance(value, str):
            return value
        raise wrong(self.place(name), "a string", value)

    def needed_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(self.place(name), "a string")
        return value

    def whole(self, name: str) -> int | None:
        value = self.take(name)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise wrong(self.place(name), "a whole number", value)

    def needed_whole(self, name: str) -> int:
        value = self.whole(name)
        if value is None:
            raise missing(self.place(name), "a whole number")
        return value

    def number(self, name: str) -> float | None:
        value = self.take(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise wrong(self.place(name), "a number", value)

    def flag(self, name: str) -> bool | None:
        value = self.take(name)
        if value is None or isinstance(value, bool):
            return value
        raise wrong(self.place(name), "true or false", value)

    def free(self, name: str) -> dict[str, Any] | None:
        """An object whose fields are the caller's own, such as a JSON schema."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise wrong(self.place(name), "an object", value)
        return cast("dict[str, Any]", value)  # JSON's names are strings

    def child(self, name: str) -> "Fields | None":
        value = self.take(name)
        return None if value is None else self.below(value, self.place(name))

    def needed_child(self, name: str) -> "Fields":
        child = self.child(name)
        if child is None:
            raise missing(self.place(name), "an object")
        return child

    def items(self, name: str) -> list[Any]:
        value = self.take(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise wrong(self.place(name), "an array", value)
        return cast("list[Any]", value)  # whatever JSON holds

    def children(self, name: str) -> "list[Fields]":
        place = self.place(name)
        return [self.below(item, f"{place}[{index}]") for index, item in enumerate(self.items(name))]

    def texts(self, name: str) -> tuple[str, ...]:
        items = self.items(name)
        for index, item in enumerate(items):
            if not isinstance(item, str):
                raise wrong(f"{self.place(name)}[{index}]", "a string", item)
        return tuple(items)

    def below(self, value: Any, path: str) -> "Fields":
        """Another object of the same body."""
        return Fields(value, path, self.extras, self._spell)

    def rest(self) -> dict[str, Any]:
        """Take all that is left."""
        left, self._left = self._left, {}
        return left

    def leave(self) -> None:
        """Keep this whole object as one that nobody here knows."""
        self.extras[self.path] = dict(self._left)
        self._left.clear()

    def drop(self, names: Collection[str]) -> None:
        """Forget fields that change nothing."""
        for name in names:
            self._left.pop(name, None)

    def default(self, name: str, *values: Any) -> None:
        """Forget a field that says what would hold without it."""
        if name in self._left and self._left[name] in values:
            del self._left[name]

    def done(self, hints: Container[str] = ()) -> None:
        """Keep what was not taken, but for hints, `false` and empty arrays; an empty object may well mean something."""
        for name, item in self._left.items():
            if name not in hints and item is not False and item != []:
                self.extras[self.place(name)] = item
        self._left.clear()


def object_of(text: str, what: str) -> dict[str, Any]:
    """The JSON object in a text, such as a call's arguments; nothing stands for an empty one. Raises `ValueError`."""
    try:
        value = decode(text or "{}")
    except RecursionError as error:
        raise ValueError(f"{what} are nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"{what} are no JSON object")  # noqa: TRY004  what a model wrote is a value to us
    return cast("dict[str, Any]", value)  # JSON's names are strings


def wrong(place: str, expected: str, value: Any) -> BadRequest:
    """Say what a field must be instead of what it is."""
    return BadRequest(f"`{place}` must be {expected}, not {shown(value)}", param=place)


def missing(place: str, expected: str) -> BadRequest:
    """Say which field is needed."""
    return BadRequest(f"`{place}` is required: {expected}", param=place)


def shown(value: Any) -> str:
    """A value as a message may show it: long and nested ones by their kind."""
    match value:
        case None:
            return "null"
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
