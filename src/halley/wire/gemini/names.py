"""Spellings in this format: of fields, of bytes, and of ids for calls that have none. Pure."""

import re

MADE_ID = re.compile(r"call_\d+_([A-Za-z0-9_-]*)")
_UNUSUAL = re.compile(r"[^A-Za-z0-9_-]")
_URL_SAFE = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_STANDARD = str.maketrans("-_", "+/")
_NAME_CHARACTERS = 32
"""Of a function's name in an id: other formats allow 64 characters in all."""
_REPLY_CHARACTERS = 8
"""Of a reply's id in a call's, so that the calls of two replies differ."""


def camel(name: str) -> str:
    """Give the spelling of a field that this format writes; readers take `snake_case` too."""
    if "_" not in name:
        return name
    first, *others = name.split("_")
    return first + "".join(other[:1].upper() + other[1:] for other in others)


def standard_base64(text: str) -> str:
    """Give bytes in the alphabet of all other formats: this one allows the URL-safe one too, and no padding.

    `google-genai` writes the URL-safe one. What is no base64 stays as it is: who is asked says so.
    """
    text = text.translate(_STANDARD) if "-" in text or "_" in text else text
    return text if len(text) % 4 == 0 else text + "=" * (-len(text) % 4)


def standard_signature(text: str) -> str:
    """Give a proof as its vendor wrote it, if this is URL-safe base64; all else is left alone: proofs are opaque."""
    return text.translate(_STANDARD) if len(text) % 4 == 0 and _URL_SAFE.fullmatch(text) else text


def made_id(number: int, name: str, reply_id: str = "") -> str:
    """Give the id of a call that came without: the same each time that it is read."""
    tail = f"_{_usual(reply_id)[-_REPLY_CHARACTERS:]}" if reply_id else ""
    return f"call_{number}_{_usual(name)[:_NAME_CHARACTERS]}{tail}"


def is_made(call_id: str, name: str) -> bool:
    """Whether an id was made here, so that the vendor knows nothing of it."""
    found = MADE_ID.fullmatch(call_id)
    return found is not None and found[1].startswith(_usual(name)[:_NAME_CHARACTERS])


def _usual(text: str) -> str:
    return _UNUSUAL.sub("_", text)
