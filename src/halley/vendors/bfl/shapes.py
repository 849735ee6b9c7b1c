"""Looks at JSON of unknown shape: an object or a list where one is expected, and an empty one where there is none."""

from typing import Any, cast


def as_object(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    # Keys of JSON objects are strings.
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    # Nothing is said of the items.
    return cast("list[Any]", value) if isinstance(value, list) else []
