"""Cursors of lists: the id of the last thing seen, and in which direction to go on. Pure."""

import re

from halley.kernel.faults import BadRequest

_CURSOR = re.compile(r"(?P<direction>before|after)\.(?P<id>[A-Za-z0-9_-]{1,64})", re.ASCII)


def write_cursor(direction: str, identity: str | None) -> str | None:
    """Spell a cursor."""
    return None if identity is None else f"{direction}.{identity}"


def read_cursor(text: str | None) -> tuple[str | None, str | None]:
    """Read a cursor: (before, after), at most one of them set. Raises `BadRequest`."""
    if not text:
        return None, None
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise BadRequest("`cursor` is none of ours; take it from the page before", param="cursor")
    return (match["id"], None) if match["direction"] == "before" else (None, match["id"])
