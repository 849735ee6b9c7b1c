"""When two requests are the same, and what an idempotency key may look like."""

import hashlib
from typing import Any, cast

import msgspec

from halley.kernel.faults import BadRequest

HEADER = "Idempotency-Key"
VALUE_LENGTH_MAX = 255
BODY_BYTES_MAX = 1_000_000
"""The largest answer that is kept."""
KEPT_US = 24 * 3_600_000_000

_INTEGERS = 2.0**63
_sorted = msgspec.json.Encoder(order="sorted")


def checked_value(text: str) -> str:
    """Give the key back when its syntax is right. Raises `BadRequest`."""
    if not 1 <= len(text) <= VALUE_LENGTH_MAX:
        message = f"`{HEADER}` has {len(text)} characters; send 1 to {VALUE_LENGTH_MAX}, e.g. a UUID"
        raise BadRequest(message, param=HEADER)
    if not (text.isascii() and text.isprintable()):
        raise BadRequest(f"`{HEADER}` may hold printable ASCII characters only; send e.g. a UUID", param=HEADER)
    return text


def fingerprint(method: str, path: str, body: Any) -> str:
    """Tell requests apart: SHA-256 over method, path and the parsed JSON, or the bytes of a body that is not JSON.

    The order of an object's fields does not count, nor how a number is spelled: `1`, `1.0` and `1e0` are one.
    """
    if isinstance(body, bytes):
        parts = [method, path, "bytes", hashlib.sha256(body).hexdigest()]
    else:
        parts = [method, path, "json", _plain(body)]
    return hashlib.sha256(_sorted.encode(parts)).hexdigest()


def topic(key_id: str, value: str) -> str:
    """Name what wakes those who wait for the first request to end."""
    return f"idempotency {key_id} {value}"


def _plain(value: Any) -> Any:
    """Spell whole numbers as integers, at any depth; the codec bounds the depth."""
    if isinstance(value, float) and value.is_integer() and -_INTEGERS <= value < _INTEGERS:
        return int(value)
    match value:
        case list():
            items = cast("list[Any]", value)  # whatever JSON holds
            return [_plain(item) for item in items]
        case dict():
            fields = cast("dict[str, Any]", value)  # JSON's names are strings
            return {name: _plain(item) for name, item in fields.items()}
        case _:
            return value
