"""JSON of unknown shape, read with a benefit of doubt: what is not of the wanted kind counts as empty."""

from typing import Any, cast


def as_object(value: Any) -> dict[str, Any]:
    """An object, or an empty one for anything else."""
    # JSON has only strings as keys.
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """An array, or an empty one for anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []  # the elements stay unknown


def as_text(value: Any) -> str:
    """A string, or an empty one for anything else."""
    return value if isinstance(value, str) else ""
