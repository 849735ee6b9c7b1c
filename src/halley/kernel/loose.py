"""JSON of unknown shape and size, read with the benefit of the doubt and cut down to what may be kept. Pure."""

import re
from collections.abc import Collection
from typing import Any, cast

from halley.kernel.codec import encode

REPLY_BYTES_MAX = 64 * 1024
"""Of a reply that is kept."""
TEXT_BYTES_MAX = 16 * 1024
"""Of one text in it, e.g. a log."""
_SPACE = re.compile(r"\s")


def as_object(value: Any) -> dict[str, Any]:
    """An object, or an empty one for anything else."""
    # JSON has only strings as keys.
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """An array, or an empty one for anything else."""
    # Nothing is said of the items.
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """A string, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def head(text: str, bytes_max: int = TEXT_BYTES_MAX) -> str:
    """The beginning of a text, cut between characters."""
    return text.encode()[:bytes_max].decode(errors="ignore")


def tail(text: str, bytes_max: int = TEXT_BYTES_MAX) -> str:
    """The end of a text, cut between words: half of a link would not be known for one."""
    data = text.encode()
    if len(data) <= bytes_max:
        return text
    cut = data[len(data) - bytes_max :].decode(errors="ignore")
    space = _SPACE.search(cut)
    return cut[space.end() :] if space else ""


def fitted(value: dict[str, Any], bytes_max: int = REPLY_BYTES_MAX, *, known: Collection[str] = ()) -> dict[str, Any]:
    """The object without its largest fields, as many as it takes to be small enough in JSON; known ones go last."""
    # Each field costs a colon and a comma, the braces two more, and there is one comma less than fields.
    sizes = {name: len(encode(name)) + len(encode(item)) + 2 for name, item in value.items()}
    excess = sum(sizes.values()) + 1 - bytes_max
    dropped: set[str] = set()
    for name in sorted(sizes, key=lambda name: (name in known, -sizes[name])):
        if excess <= 0:
            break
        dropped.add(name)
        excess -= sizes[name]
    return {name: item for name, item in value.items() if name not in dropped}
