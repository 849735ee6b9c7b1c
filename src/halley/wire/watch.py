"""Looks at a stream that passes through unchanged: is each frame sound, did it end properly, what does it count."""

from collections.abc import Callable, Mapping
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


def check(frame: Frame) -> None:
    """Raises `ValueError` for a frame that is not JSON."""
    if frame.data != DONE:
        _sound.decode(frame.data)


def facts(frame: Frame) -> dict[str, str]:
    """Give what the frame tells that a price may depend on."""
    told = _tier.decode(frame.data)
    tier = told.service_tier or (told.response.service_tier if told.response else None)
    return {"service_tier": tier} if isinstance(tier, str) else {}


def may_be_fault(frame: Frame) -> bool:
    """Whether the frame may say that the vendor failed, so that a closer look is worth its time."""
    return frame.event == "error" or b'"error"' in frame.data


def may_count(frame: Frame) -> bool:
    """Whether the frame may carry usage."""
    return b'"usage' in frame.data


def ends(operation: Operation, frame: Frame, choices: int) -> int:
    """Count how many of the answers of a stream this frame ends; the end of all of them counts as many."""
    if frame.data == DONE or b'"blockReason"' in frame.data:
        # The second: a prompt that is blocked gets no answer that could finish.
        return choices
    sees = _ENDS.get(operation)
    return sees(frame) if sees is not None else 0


def has_end(operation: Operation) -> bool:
    """Whether the format has an end of its own; of the others the end of the body must do."""
    return operation in _ENDS


def _chat_ends(frame: Frame) -> int:
    return frame.data.count(b'"finish_reason":"') + frame.data.count(b'"finish_reason": "')


_ENDS: Mapping[Operation, Callable[[Frame], int]] = {
    Operation.CHAT: _chat_ends,
    Operation.COMPLETION: _chat_ends,
    Operation.RESPONSES: lambda frame: frame.event in _ENDS_OF_RESPONSE,
    Operation.MESSAGES: lambda frame: frame.event == "message_stop",
    Operation.CONTENT: lambda frame: frame.data.count(b'"finishReason"'),
}
