"""What error replies have alike in all formats: how a fault finds its status, how a vendor's words are read. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from halley.kernel.codec import decode
from halley.kernel.faults import Fault, Refused
from halley.kernel.loose import as_list, as_object, as_text
from halley.wire.halves import without
from halley.wire.words import masked

BODY_BYTES_MAX = 64 * 1024
WORDS_CHARACTERS_MAX = 300
BUSY = "The vendor has more to do than it takes at once"
NO_KEY = "The vendor does not accept the operator's credentials"
NO_KEY_OR_MODEL = f"{NO_KEY}, or not for this model"
NO_CREDIT = "The operator's credit or quota with the vendor is used up"
NO_MODEL = "The vendor does not offer this model to the operator"

_SAYING = ("message", "detail", "title", "error")
_TITLE = re.compile(r"<title[^>]{0,100}>([^<]{1,1000})", re.IGNORECASE)

Told = tuple[int, str]
"""A status, and the format's word for what went wrong."""


def told(fault: Fault, table: Mapping[type[Fault], Told], *, invalid: str, otherwise: str) -> Told:
    """Give what a format says of a fault: by its kind, or by the nearest kind above it that the table has.

    For formats whose owners have no 422: all else that is wrong with a request is 400.
    """
    found = next((table[kind] for kind in type(fault).__mro__ if kind in table), None)
    if found is not None:
        return found
    return (400, invalid) if fault.type == "invalid_request_error" else (fault.status, otherwise)


def read_object(body: bytes) -> dict[str, Any]:
    """Read an error reply, which some vendors wrap into an array; HTML and the like say nothing to a caller."""
    if len(body) > BODY_BYTES_MAX:
        return {}
    try:
        value = decode(without(body))
    except (ValueError, RecursionError):
        return {}
    return as_object(next(iter(as_list(value)), None) if isinstance(value, list) else value)


def words_of(body: bytes) -> str:
    """Give what an error reply says, for whoever mends it: its message; of a page the title, of a text the first line.

    The rest of it may say again what was sent.
    """
    value = read_object(body)
    error = as_object(value.get("error"))
    told = next((text for each in (error, value) for name in _SAYING if (text := as_text(each.get(name)))), "")
    if not value and not body.lstrip().startswith((b"{", b"[")):
        text = body[:BODY_BYTES_MAX].decode("utf-8", "replace").strip()
        title = _TITLE.search(text)
        told = title[1] if title else "" if text.startswith("<") else text.partition("\n")[0]
    words = masked(told)
    return words if len(words) <= WORDS_CHARACTERS_MAX else words[: WORDS_CHARACTERS_MAX - 1] + "…"


def refused(error: dict[str, Any], kind: type[Refused] = Refused, *, param: str | None = None) -> Refused:
    """Tell a vendor's own words for what is wrong with an order."""
    return kind(masked(as_text(error.get("message"))) or "The vendor refused the order as it stands", param=param)


def broken(status: int) -> str:
    """Say that the vendor failed."""
    return f"The vendor answered HTTP {status}"
