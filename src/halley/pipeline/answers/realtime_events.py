"""The events of a realtime session, as far as a relay must understand them: read from frames, and written. Pure.

Of a caller's frame the type is always decoded, since a caller might spell it so that a search
for its letters fails; of a vendor's only where the letters are found.
"""

from typing import Any

import msgspec

from halley.kernel import codec
from halley.kernel.faults import BadRequest, CallerFault, Fault

_FROM_VENDOR = ("response.done", "response.created", ".delta", "transcription.completed", "session.", '"error"')
_SERVER_ERROR = "server_error"
_NULL = msgspec.Raw(b"null")


class Event(msgspec.Struct, frozen=True):
    """What every event has; all else is skipped, not built."""

    type: str = ""
    event_id: Any = None
    response_id: Any = None
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
    session: msgspec.Raw = msgspec.Raw()


class _Session(msgspec.Struct, frozen=True):
    model: msgspec.Raw = msgspec.Raw()


_event = msgspec.json.Decoder(Event)
_named = msgspec.json.Decoder(_Named)
_session = msgspec.json.Decoder(_Session)
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
    try:
        return _text(_session.decode(_named.decode(frame).session).model) or None
    except (ValueError, RecursionError):
        return None


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


def _text(raw: msgspec.Raw) -> str | None:
    return _string.decode(raw) if bytes(raw).startswith(b'"') else None


def _decoded(frame: str) -> Event | None:
    try:
        return _event.decode(frame)
    except (ValueError, RecursionError):
        return None
