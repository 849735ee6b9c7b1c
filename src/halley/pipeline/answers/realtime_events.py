"""The events of a realtime session, as far as a relay must understand them: read from frames, and written. Pure.

Of a caller's frame the type is always decoded, since a caller might spell it so that a search
for its letters fails; of a vendor's only where the letters are found.
"""

from typing import Any

import msgspec

from halley.kernel import codec
from halley.kernel.faults import BadRequest, CallerFault, Fault
from halley.kernel.loose import as_object

UPDATES = frozenset(("session.update", "transcription_session.update"))
"""Events that change a session's settings; the second is the beta's."""
_FROM_VENDOR = (
    "response.done",
    "response.created",
    ".delta",
    "transcription.completed",
    "audio_buffer.c",
    "session.",
    '"error"',
)
_TRANSCRIBERS = (("session", "audio", "input", "transcription"), ("session", "input_audio_transcription"))
"""Where an update names what writes down the caller's sound, now and in the beta."""
_SERVER_ERROR = "server_error"
_NULL = msgspec.Raw(b"null")


class Event(msgspec.Struct, frozen=True):
    """What every event has; all else is skipped, not built."""

    type: str = ""
    event_id: Any = None
    response_id: Any = None
    item_id: Any = None
    delta: Any = None
    response: Any = None
    session: Any = None
    usage: Any = None
    transcript: Any = None
    error: Any = None


class _Named(msgspec.Struct, frozen=True):
    """What is looked at of a caller's event. The rest is not built: a caller may write what fills the memory."""

    type: str = ""
    event_id: msgspec.Raw = msgspec.Raw()


class _Part(msgspec.Struct, frozen=True):
    """The same of what lies in it, at any depth."""

    session: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    transcription: msgspec.Raw = msgspec.Raw()
    input_audio_transcription: msgspec.Raw = msgspec.Raw()
    model: msgspec.Raw = msgspec.Raw()


_event = msgspec.json.Decoder(Event)
_named = msgspec.json.Decoder(_Named)
_part = msgspec.json.Decoder(_Part)
_string = msgspec.json.Decoder(str)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_vendor_event(frame: str) -> Event | None:
    """Read an event of the vendor's that matters here; None for any other, and for what is no event."""
    if not any(mark in frame for mark in _FROM_VENDOR):
        return None
    return _decoded(frame)


def read_caller_event(frame: str) -> tuple[str, str | None]:
    """Give type and id of a caller's event; an empty type for what is no event: the vendor will say so."""
    try:
        found = _named.decode(frame)
    except (ValueError, RecursionError):
        return "", None
    return found.type, _text(found.event_id)


def session_model(frame: str) -> str | None:
    """Give the model that a `session.update` names; None for none."""
    return _text_at(frame, "session", "model")


def transcribers(frame: str) -> list[str]:
    """Give the models that an update wants to write down what the caller says."""
    named = [_text_at(frame, *place, "model") for place in _TRANSCRIBERS]
    return [each for each in named if each is not None]


def with_session_model(frame: str, model: str) -> str:
    """Give the same `session.update` with another model; its other fields stay the caller's bytes."""
    event: dict[str, Any] = dict(_fields.decode(frame))
    session: dict[str, Any] = dict(_fields.decode(event["session"]))
    session["model"] = model
    event["session"] = session
    return codec.encode(event).decode()


def with_event_id(frame: str, event_id: str) -> str:
    """Give the same event under another id. Raises `BadRequest` for one whose own is no text."""
    event: dict[str, Any] = dict(_fields.decode(frame))
    if not bytes(event.get("event_id", _NULL)).startswith((b'"', b"null")):
        raise BadRequest("`event_id` must be a string", param="event_id")
    event["event_id"] = event_id
    return codec.encode(event).decode()


def with_error_about(frame: str, about: str | None) -> str:
    """Give the same `error` about the caller's event of that id."""
    event: dict[str, Any] = dict(_fields.decode(frame))
    event["error"] = dict(_fields.decode(event["error"])) | {"event_id": about}
    return codec.encode(event).decode()


def cancel_event(response: Any) -> str:
    """Write that an answer is to be cut short."""
    return codec.encode({"type": "response.cancel", "response_id": as_object(response).get("id")}).decode()


def error_event(fault: Fault, event_id: str, about: str | None = None) -> str:
    """Write a fault as an event; `about` is the caller's event that it answers."""
    error = {
        "type": fault.type if isinstance(fault, CallerFault) else _SERVER_ERROR,
        "code": fault.code,
        "message": fault.message,
        "param": fault.param,
        "event_id": about,
    }
    return codec.encode({"type": "error", "event_id": event_id, "error": error}).decode()


def _text_at(frame: str, *path: str) -> str | None:
    """Give the text at a place in an event; None for anything else, and for an empty one."""
    raw = msgspec.Raw(frame.encode())
    try:
        for name in path:
            raw = getattr(_part.decode(raw), name)
        return _text(raw) or None
    except (ValueError, RecursionError):
        return None


def _text(raw: msgspec.Raw) -> str | None:
    return _string.decode(raw) if bytes(raw).startswith(b'"') else None


def _decoded(frame: str) -> Event | None:
    try:
        return _event.decode(frame)
    except (ValueError, RecursionError):
        return None
