"""Looks at a stream that passes through unchanged: is each frame sound, did it end properly, what does it count."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from halley.kernel.loose import as_text
from halley.kernel.operation import Operation
from halley.kernel.sse import DONE, Frame
from halley.wire.gemini.replies import blocked_words, is_stop

PARTIAL_PICTURE = b'.partial_image"'
"""In the frame of a picture that is on its way: how its type ends, whatever the picture is for."""
Ends = Callable[[Frame], Collection[int]]
"""Gives the indices of the answers that a frame ends."""

_NONE: tuple[int, ...] = ()
_ONLY = (0,)
_ENDS_OF_RESPONSE = frozenset(("response.completed", "response.incomplete", "response.failed"))
_ENDS_OF_MESSAGE = frozenset(("message_stop",))
_ENDS_OF_TRANSCRIPT = frozenset(("transcript.text.done", "transcription.done"))
_ENDS_OF_SPEECH = frozenset(("speech.audio.done",))
_ENDS_OF_PICTURE = frozenset(("image_generation.completed", "image_edit.completed"))
_ENDS_TOLD_WITHIN = re.compile(
    rb'"(?:response\.(?:completed|incomplete|failed)|message_stop|transcript\.text\.done|transcription\.done'
    rb'|speech\.audio\.done|image_(?:generation|edit)\.completed)"'
)


class _Sound(msgspec.Struct):
    """Decoding into this skips every field, and so sees that all of it is JSON."""


class _Counted(msgspec.Struct):
    """What a frame counts, and tells within it of how the call was served."""

    service_tier: Any = msgspec.field(default=None, name="serviceTier")
    speed: Any = None
    inference_geo: Any = None


class _Served(msgspec.Struct):
    """What a frame tells of how the call was served: itself, or what it has of the reply."""

    service_tier: Any = None
    usage: _Counted | None = None
    usage_metadata: _Counted | None = msgspec.field(default=None, name="usageMetadata")
    response: "_Served | None" = None
    message: "_Served | None" = None


class _Answer(msgspec.Struct):
    index: Any = None
    finish_reason: Any = None
    finish_reason_of_gemini: Any = msgspec.field(default=None, name="finishReason")


class _Told(msgspec.Struct):
    """What of a frame says whether something ends."""

    type: Any = None
    choices: list[_Answer] | None = None
    candidates: list[_Answer] | None = None
    prompt_feedback: Any = msgspec.field(default=None, name="promptFeedback")


_told = msgspec.json.Decoder(_Told)
_served = msgspec.json.Decoder(_Served)
_NOT_COUNTED = _Counted()
_sound = msgspec.json.Decoder(_Sound)


# Marks: why a frame deserves a closer look, which most do not. An enum's own operators cost more than the looks.
FAULT = 1
"""It may say that the vendor failed."""
COUNTS = 2
"""It may carry usage."""
ENDS_ALL = 4
"""It ends all answers of the stream at once."""


def marks(frame: Frame) -> int:
    """Give the marks of a frame. Raises `ValueError` for one that is not JSON, or too deep to be read."""
    data = frame.data
    if data == DONE:
        return ENDS_ALL
    try:
        _sound.decode(data)
    except RecursionError as error:
        raise ValueError("the frame is nested too deeply") from error
    found = 0
    if b'"error"' in data or frame.event == "error":
        found = FAULT
    if b'"usage' in data:
        found |= COUNTS
    if b'"blockReason"' in data and _is_blocked(data):
        # A prompt that is blocked gets no answer that could finish.
        found |= ENDS_ALL
    return found


def facts(frame: Frame) -> dict[str, str]:
    """Give what the frame tells that a price may depend on."""
    try:
        frame_itself = _served.decode(frame.data)
    except (msgspec.ValidationError, RecursionError):
        return {}
    told = frame_itself.response or frame_itself.message or frame_itself
    counted = told.usage_metadata or told.usage or _NOT_COUNTED
    found: dict[str, str] = {}
    tier, speed, place = told.service_tier or counted.service_tier, counted.speed, counted.inference_geo
    if tier and isinstance(tier, str):
        found["service_tier"] = tier
    if speed and isinstance(speed, str):
        found["speed"] = speed
    if place and isinstance(place, str):
        found["inference_geo"] = place
    return found


def ends_of(operation: Operation) -> Ends | None:
    """Give what sees which answers of a stream a frame ends, beside the ends of all.

    None where the format has no end of its own: the end of the body must do.
    """
    return _ENDS.get(operation)


def candidates(frame: Frame) -> Collection[int]:
    """Give the indices of the answers that a frame of Gemini's has something of."""
    if b'"candidates"' not in frame.data:
        return _NONE
    return [_place(each, position) for position, each in enumerate(_read(frame.data).candidates or ())]


# A mark may also stand in what a model wrote, and some vendors repeat an end, or send an empty one with every chunk: so
# a frame that has the mark is read.


def _chat_ends(frame: Frame) -> Collection[int]:
    data = frame.data
    if b'"finish_reason":"' in data or b'"finish_reason": "' in data:
        choices = enumerate(_read(data).choices or ())
        return [_place(choice, position) for position, choice in choices if choice.finish_reason]
    return _NONE


def _content_ends(frame: Frame) -> Collection[int]:
    if b'"finishReason"' in frame.data:
        candidates = enumerate(_read(frame.data).candidates or ())
        return [_place(each, position) for position, each in candidates if is_stop(each.finish_reason_of_gemini)]
    return _NONE


def _named(ends: Collection[str]) -> Ends:
    """Know an end by its event, which some vendors name within the data alone."""

    def ends_it(frame: Frame) -> Collection[int]:
        event = frame.event
        if not event and _ENDS_TOLD_WITHIN.search(frame.data) is not None:
            event = as_text(_read(frame.data).type)
        return _ONLY if event in ends else _NONE

    return ends_it


def _is_blocked(data: bytes) -> bool:
    told = _read(data)
    return not told.candidates and blocked_words({"promptFeedback": told.prompt_feedback}) is not None


def _place(answer: _Answer, position: int) -> int:
    """Give the index of an answer, which some vendors leave out."""
    return answer.index if isinstance(answer.index, int) else position


def _read(data: bytes) -> _Told:
    """Read a frame; one of another shape says nothing of an end."""
    try:
        return _told.decode(data)
    except (msgspec.ValidationError, RecursionError):
        return _Told()


_ENDS: Mapping[Operation, Ends] = {
    Operation.CHAT: _chat_ends,
    Operation.COMPLETION: _chat_ends,
    Operation.RESPONSES: _named(_ENDS_OF_RESPONSE),
    Operation.MESSAGES: _named(_ENDS_OF_MESSAGE),
    Operation.CONTENT: _content_ends,
    Operation.TRANSCRIPTION: _named(_ENDS_OF_TRANSCRIPT),
    Operation.SPEECH: _named(_ENDS_OF_SPEECH),
    Operation.IMAGES: _named(_ENDS_OF_PICTURE),
    Operation.IMAGE_EDITS: _named(_ENDS_OF_PICTURE),
}
