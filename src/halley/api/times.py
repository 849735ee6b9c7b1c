"""Times and numbers in queries. Pure."""

import re
from collections.abc import Mapping

from halley.kernel.clock import MICROSECONDS, parse_time
from halley.kernel.faults import BadRequest

_UNIX = re.compile(r"[0-9]{1,11}", re.ASCII)
_RFC3339_SHAPE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[0-9T:.+Z -]{0,24}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,4}", re.ASCII)


def time_of(query: Mapping[str, str], name: str) -> int | None:
    """Read a time: RFC 3339 or Unix seconds. Raises `BadRequest`."""
    # A `+` that was not escaped arrives as a space.
    text = query.get(name, "").strip().replace(" ", "+")
    if not text:
        return None
    if _UNIX.fullmatch(text):
        return int(text) * MICROSECONDS
    wrong = BadRequest(f"`{name}` must be a time such as `2026-11-22T19:00:00Z`, or Unix seconds", param=name)
    if not _RFC3339_SHAPE.fullmatch(text):
        raise wrong
    try:
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        raise wrong from error


def whole_number(query: Mapping[str, str], name: str, default: int, bounds: tuple[int, int]) -> int:
    """Read a number within its bounds. Raises `BadRequest`."""
    text = query.get(name)
    if text is None or text == "":
        return default
    least, most = bounds
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        raise BadRequest(f"`{name}` must be a whole number from {least} to {most}", param=name)
    return int(text)
