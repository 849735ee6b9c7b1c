"""Messages as the vendor's JSON reader takes them: names in camel or snake case, unknown ones refused. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from halley.kernel.loose import as_list, as_object
from halley.vendors.gemini.simulated_errors import invalid, unknown_name

_UNDERSCORE = re.compile(r"_([a-z0-9])")


class Fields:
    """One message."""

    def __init__(self, given: Any, where: str, known: frozenset[str] | None = None) -> None:
        if given is not None and not isinstance(given, dict):
            raise invalid(f'Invalid value at "{where}": an object was expected.')
        self.where = where
        self._values = {_camel(name): value for name, value in as_object(given).items() if value is not None}
        for name in as_object(given) if known is not None else ():
            if known is not None and _camel(name) not in known:
                raise unknown_name(name, where)

    def __bool__(self) -> bool:
        return bool(self._values)

    @property
    def names(self) -> list[str]:
        """The fields that are set."""
        return list(self._values)

    def value(self, name: str) -> Any:
        """Whatever was given."""
        return self._values.get(name)

    def text(self, name: str) -> str | None:
        """A string."""
        return self._typed(name, str, "a string")

    def flag(self, name: str) -> bool:
        """A boolean; false if it was not given."""
        return self._typed(name, bool, "a boolean") is True

    def whole(self, name: str, low: int, high: int) -> int | None:
        """An integer within bounds."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise invalid(f'Invalid value at "{self._place(name)}" (TYPE_INT32), {str(value)[:80]!r}')
        if not low <= value <= high:
            raise invalid(f"{self._place(name)} must be in the range [{low}, {high}], but got {value}.")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number within bounds."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise invalid(f'Invalid value at "{self._place(name)}" (TYPE_FLOAT), {str(value)[:80]!r}')
        if not low <= value <= high:
            raise invalid(f"{self._place(name)} must be in the range [{low}, {high}], but got {value}.")
        return value

    def inner(self, name: str, known: frozenset[str] | None = None) -> "Fields":
        """A message within; an empty one if it was not given."""
        return Fields(self._values.get(name), self._place(name), known)

    def each(self, name: str, known: frozenset[str] | None = None) -> "list[Fields]":
        """A list of messages; a single one is taken for a list."""
        value = self._values.get(name)
        items = as_list([value] if isinstance(value, dict) else value)
        return [Fields(item, f"{self._place(name)}[{place}]", known) for place, item in enumerate(items)]

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        items = as_list(self._values.get(name))
        if not all(isinstance(item, str) for item in items):
            raise invalid(f'Invalid value at "{self._place(name)}" (TYPE_STRING)')
        return items

    def one_of(self, name: str, allowed: Mapping[str, Any]) -> Any:
        """What a word of a closed set stands for; `None` if it was not given."""
        word = self.text(name)
        if word is None:
            return None
        if word.upper() not in allowed:
            raise invalid(f'Invalid value at "{self._place(name)}" (TYPE_ENUM), "{word[:80]}"')
        return allowed[word.upper()]

    def _typed(self, name: str, kind: type, called: str) -> Any:
        value = self._values.get(name)
        if value is not None and not isinstance(value, kind):
            raise invalid(f'Invalid value at "{self._place(name)}": {called} was expected.')
        return value

    def _place(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name


def _camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)
