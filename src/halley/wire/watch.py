"""Looks at a stream that passes through unchanged: is each frame sound, did it end properly, what does it count."""

from collections.abc import Callable, Mapping

import msgspec

from halley.kernel.operation import Operation
from halley.kernel.sse import DONE, Frame

_ENDS_OF_RESPONSE = frozenset(("response.completed", "response.incomplete", "response.failed"))


class _Sound(msgspec.Struct):
    """Decoding into this skips every field, and so sees that all of it is JSON."""


_sound = msgspec.json.Decoder(_Sound)


def check(frame: Frame) -> None:
    """Raises `ValueError` for a frame that is not JSON."""
    if frame.data != DONE:
        _sound.decode(frame.data)


def may_be_fault(frame: Frame) -> bool:
    """Whether the frame may say that the vendor failed, so that a closer look is worth its time."""
    return frame.event == "error" or b'"error"' in frame.data


def may_count(frame: Frame) -> bool:
    """Whether the frame may carry usage."""
    return b'"usage' in frame.data


def ends(operation: Operation, frame: Frame) -> bool:
    """Whether this frame is the proper end of a stream of this format, or the last one that matters."""
    sees = _ENDS.get(operation)
    return sees is not None and sees(frame)


def has_end(operation: Operation) -> bool:
    """Whether the format has an end of its own; of the others the end of the body must do."""
    return operation in _ENDS


def _chat_ends(frame: Frame) -> bool:
    data = frame.data
    return data == DONE or b'"finish_reason":"' in data or b'"finish_reason": "' in data


_ENDS: Mapping[Operation, Callable[[Frame], bool]] = {
    Operation.CHAT: _chat_ends,
    Operation.COMPLETION: _chat_ends,
    Operation.RESPONSES: lambda frame: frame.event in _ENDS_OF_RESPONSE,
    Operation.MESSAGES: lambda frame: frame.event == "message_stop",
    # A prompt that is blocked gets no candidate that could finish.
    Operation.CONTENT: lambda frame: b'"finishReason"' in frame.data or b'"blockReason"' in frame.data,
}
