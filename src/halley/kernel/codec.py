"""JSON in and out: bounded in depth, exact for what we only forward. `Any` lives here and in `pointer`."""

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from halley.kernel.faults import BadRequest

JSON_DEPTH_MAX = 64
JSON_MARKS_MAX = 500_000
"""Brackets, commas and quotes in one document: small values cost far more memory than the bytes that spell them."""

_OPEN = b"{["
_OTHERS = bytes(set(range(256)) - set(b'"{}[]'))
_PIECE_BYTES = 1024 * 1024
_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """Write compact JSON."""
    return _encoder.encode(value)


def decode(data: bytes | str) -> Any:
    """Read JSON of any shape. Raises `ValueError` when it is not JSON, is too deep, or is not UTF-8."""
    raw = data.encode() if isinstance(data, str) else data
    # Fewer bytes cannot have as many marks.
    if len(raw) > JSON_MARKS_MAX and _marks(raw) > JSON_MARKS_MAX:
        message = f"JSON has more than {JSON_MARKS_MAX:,} brackets, commas and quotes"
        raise ValueError(message)
    if too_deep(raw):
        message = f"JSON is nested deeper than {JSON_DEPTH_MAX} levels"
        raise ValueError(message)
    return _decoder.decode(raw)


def decode_part(data: bytes) -> Any:
    """Read a part of a document that is known not to be too deep. Raises `ValueError`."""
    return _decoder.decode(data) if len(data) <= JSON_MARKS_MAX else decode(data)


def decode_reply(data: bytes) -> Any:
    """Read a vendor's JSON: a thousand vectors have more marks than any caller's body. Raises `ValueError`."""
    if too_deep(data):
        message = f"JSON is nested deeper than {JSON_DEPTH_MAX} levels"
        raise ValueError(message)
    return _decoder.decode(data)


def decode_object(data: bytes) -> dict[str, Any]:
    """Read a caller's body, which must be a JSON object. Raises `BadRequest`."""
    if not data.strip():
        message = "The body is empty; send a JSON object with `content-type: application/json`"
        raise BadRequest(message)
    try:
        value = decode(data)
    except (ValueError, RecursionError) as error:
        message = f"The body is not valid JSON: {error}"
        raise BadRequest(message) from error
    if not isinstance(value, dict):
        message = f"The body must be a JSON object, not {_kind(value)}"
        raise BadRequest(message)
    return cast("dict[str, Any]", value)  # JSON's names are strings


def too_deep(data: bytes, depth_max: int = JSON_DEPTH_MAX) -> bool:
    """Whether brackets outside strings nest deeper than the limit; nothing is built."""
    if data.count(b"{") + data.count(b"[") <= depth_max:
        return False
    depth = 0
    for bracket in _brackets(data):
        depth += 1 if bracket in _OPEN else -1
        if depth > depth_max:
            return True
    return False


def _brackets(data: bytes) -> Iterator[int]:
    """Give the brackets outside strings.

    Piece by piece: one step over all of a large body would keep other threads from running for as long as it takes.
    """
    start, in_string = 0, False
    while start < len(data):
        piece = data[start : start + _PIECE_BYTES]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            # What the last backslash escapes belongs to it.
            piece = data[start : start + _PIECE_BYTES + 1]
        start += len(piece)
        parts = _unescaped(piece).translate(None, _OTHERS).split(b'"')
        yield from b"".join(parts[in_string::2])
        in_string ^= len(parts) % 2 == 0


def _unescaped(piece: bytes) -> bytes:
    """Drop escaped backslashes and quotes, so that each quote left begins or ends a string."""
    return piece.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in piece else piece


def _marks(data: bytes) -> int:
    return sum(data.count(mark) for mark in (b"{", b"[", b",", b'"'))


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case _:
            return "an array"
