"""Looks at a stream that passes through unchanged: is each frame sound, did it end properly, what does it count."""

from collections.abc import Callable, Mapping
from enum import IntFlag
from typing import Any

import msgspec

from halley.kernel.operation import Operation
from halley.kernel.sse import DONE, Frame

_ENDS_OF_RESPONSE = frozenset(("response.completed", "response.incomplete", "response.failed"))


class _Sound(msgspec.Struct):
    """Decoding into this skips every field, and so sees that all of it is JSON."""


class _Tier(msgspec.Struct):
    service_tier: Any = None
    response: "_Tier | None" = None


_tier = msgspec.json.Decoder(_Tier)
_sound = msgspec.json.Decoder(_Sound)


class Mark(IntFlag):
    """Why a frame deserves a closer look. Most deserve none."""

    FAULT = 1
    """It may say that the vendor failed."""
    COUNTS = 2
    """It may carry usage."""
    ENDS_ALL = 4
    """It ends all answers of the stream at once."""


_FAULT, _COUNTS, _ENDS_ALL = (mark.value for mark in Mark)  # an enum's own operators cost more than the looks


def marks(frame: Frame) -> int:
    """Give the `Mark`s of a frame. Raises `ValueError` for one that is not JSON."""
    data = frame.data
    if data == DONE:
        return _ENDS_ALL
    _sound.decode(data)
    found = 0
    if b'"error"' in data or frame.event == "error":
        found = _FAULT
    if b'"usage' in data:
        found |= _COUNTS
    if b'"blockReason"' in data:
        # A prompt that is blocked gets no answer that could finish.
        found |= _ENDS_ALL
    return found


def facts(frame: Frame) -> dict[str, str]:
    """Give what the frame tells that a price may depend on."""
    told = _tier.decode(frame.data)
    tier = told.service_tier or (told.response.service_tier if told.response else None)
    return {"service_tier": tier} if isinstance(tier, str) else {}


def ends_of(operation: Operation) -> Callable[[Frame], int] | None:
    """Give what counts how many answers of a stream a frame ends, beside the ends of all.

    None where the format has no end of its own: the end of the body must do.
    """
    return _ENDS.get(operation)


def _chat_ends(frame: Frame) -> int:
    data = frame.data
    if b'"finish_reason":"' in data or b'"finish_reason": "' in data:
        return data.count(b'"finish_reason":"') + data.count(b'"finish_reason": "')
    return 0


_ENDS: Mapping[Operation, Callable[[Frame], int]] = {
    Operation.CHAT: _chat_ends,
    Operation.COMPLETION: _chat_ends,
    Operation.RESPONSES: lambda frame: frame.event in _ENDS_OF_RESPONSE,
    Operation.MESSAGES: lambda frame: frame.event == "message_stop",
    Operation.CONTENT: lambda frame: frame.data.count(b'"finishReason"'),
}
