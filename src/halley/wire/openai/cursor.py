"""Walks through a caller's JSON: each value knows its path, so what is wrong is named and what has no word kept."""

from collections.abc import Collection, Iterator
from typing import Any, cast

from halley.kernel.faults import BadRequest

VALUE_CHARACTERS_MAX = 60


class Cursor:
    """One value in a body. `extras` is shared by all cursors of one body and filled by `keep`."""

    __slots__ = ("extras", "path", "value")

    def __init__(self, value: Any, path: str, extras: dict[str, Any]) -> None:
        self.value = value
        self.path = path
        self.extras = extras

    # --- down -----------------------------------------------------------------------------------------------

    def at(self, name: str) -> "Cursor":
        """One field; its value is None where it is not sent."""
        return Cursor(self.object().get(name), f"{self.path}.{name}" if self.path else name, self.extras)

    def has(self, name: str) -> bool:
        return self.object().get(name) is not None

    def items(self) -> Iterator["Cursor"]:
        """All items of an array."""
        for index, item in enumerate(self.array()):
            yield Cursor(item, f"{self.path}[{index}]", self.extras)

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
        return None if self.value is None else self.object()

    # --- what has no word -----------------------------------------------------------------------------------

    def keep(self) -> None:
        """Keep the value among the extras, under its path."""
        self.extras[self.path] = self.value

    def keep_others(self, known: Collection[str]) -> None:
        """Keep the fields that are set and not known."""
        for name, value in self.object().items():
            if value is not None and name not in known:
                self.at(name).keep()

    # --- what is wrong --------------------------------------------------------------------------------------

    def wrong(self, expected: str) -> BadRequest:
        """Say what the value must be."""
        if self.value is None:
            return BadRequest(f"`{self.path}` is required: it must be {expected}", param=self.path)
        return BadRequest(f"`{self.path}` must be {expected}, not {_shown(self.value)}", param=self.path)


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "a boolean"
        case str() if len(value) <= VALUE_CHARACTERS_MAX:
            return f"`{value}`"
        case str():
            return "a string"
        case int() | float():
            return f"`{value}`"
        case dict():
            return "an object"
        case _:
            return "an array"
