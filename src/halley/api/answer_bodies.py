"""What calls that are answered at once take and give, for the API reference: what is needed, and in which form. Pure.

A field that is not named here is taken too: it goes to the vendor as it came.
"""

from collections.abc import Mapping
from typing import Any

from halley.kernel.operation import Operation

JSON, FORM, EVENTS, TEXT = "application/json", "multipart/form-data", "text/event-stream", "text/plain"
_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean", "default": False, "description": "Answer as events, while it is made"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1}
_OBJECTS: dict[str, Any] = {"type": "array", "items": {"type": "object"}, "minItems": 1}
_ANY: dict[str, Any] = {}
_FILE: dict[str, Any] = {"type": "string", "format": "binary"}

_MODEL = {"model": {"type": "string", "minLength": 1, "maxLength": 300, "description": "`GET /v1/models` lists them"}}
_SOUND = {"file": _FILE, **_MODEL, "language": _TEXT, "prompt": _TEXT, "response_format": _TEXT, "stream": _FLAG}
_FIELDS: Mapping[Operation, tuple[tuple[str, ...], dict[str, Any]]] = {
    Operation.CHAT: (("model", "messages"), {"messages": _OBJECTS, "max_completion_tokens": _COUNT, "stream": _FLAG}),
    Operation.COMPLETION: (("model", "prompt"), {"prompt": _ANY, "max_tokens": _COUNT, "stream": _FLAG}),
    Operation.RESPONSES: (("model", "input"), {"input": _ANY, "max_output_tokens": _COUNT, "stream": _FLAG}),
    Operation.EMBEDDINGS: (
        ("model", "input"),
        {"input": _ANY, "dimensions": _COUNT, "encoding_format": {"enum": ["float", "base64"]}},
    ),
    Operation.IMAGES: (("prompt",), {"prompt": _TEXT, "n": _COUNT, "size": _TEXT, "stream": _FLAG}),
    Operation.IMAGE_EDITS: (
        ("image", "prompt"),
        {"image": _FILE, "mask": _FILE, "prompt": _TEXT, "n": _COUNT, "size": _TEXT, "stream": _FLAG},
    ),
    Operation.IMAGE_VARIATIONS: (("image",), {"image": _FILE, "n": _COUNT, "size": _TEXT}),
    Operation.SPEECH: (
        ("input", "voice"),
        {"input": _TEXT, "voice": _ANY, "response_format": _TEXT, "stream_format": {"enum": ["audio", "sse"]}},
    ),
    Operation.TRANSCRIPTION: (("file",), _SOUND),
    Operation.TRANSLATION: (("file",), _SOUND),
    Operation.MODERATION: (("input",), {"input": _ANY}),
    Operation.RERANK: (
        ("model", "query", "documents"),
        {"query": _TEXT, "documents": {"type": "array", "minItems": 1}, "top_n": _COUNT},
    ),
    Operation.MESSAGES: (
        ("model", "max_tokens", "messages"),
        {"max_tokens": _COUNT, "messages": _OBJECTS, "system": _ANY, "stream": _FLAG},
    ),
    Operation.MESSAGES_COUNT: (("model", "messages"), {"messages": _OBJECTS, "system": _ANY}),
}
_FORMS = frozenset((Operation.IMAGE_EDITS, Operation.IMAGE_VARIATIONS, Operation.TRANSCRIPTION, Operation.TRANSLATION))
_STREAMED = frozenset(
    (
        Operation.CHAT,
        Operation.COMPLETION,
        Operation.RESPONSES,
        Operation.MESSAGES,
        Operation.IMAGES,
        Operation.IMAGE_EDITS,
        Operation.SPEECH,
        Operation.TRANSCRIPTION,
    )
)
_CONTENT: dict[str, Any] = {
    "type": "object",
    "description": "`contents` to chat and to count, `content` to embed, `requests` to embed many",
    "properties": {"contents": {}, "content": {}, "requests": {}, "generationConfig": {}, "systemInstruction": {}},
}


def body_of(operation: Operation | None) -> dict[str, Any]:
    """Describe a body by content type; None is Google's route, whose operation stands in its path."""
    if operation is None:
        return {JSON: {"schema": _CONTENT}}
    required, fields = _FIELDS[operation]
    schema = {"type": "object", "required": list(required), "properties": {**_MODEL, **fields}}
    return {FORM if operation in _FORMS else JSON: {"schema": schema}}


def success_of(operation: Operation | None) -> dict[str, Any]:
    """Describe a reply by content type: as it was asked for, whole or as events, as JSON or as a file."""
    binary: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
    if operation is Operation.SPEECH:
        return {"audio/*": binary, "application/octet-stream": binary, EVENTS: {"schema": _TEXT}}
    found: dict[str, Any] = {JSON: {"schema": {"type": "object"}}}
    if operation is None:
        # Without `alt=sse` its stream is one JSON array.
        found = {JSON: {"schema": {"type": ["object", "array"]}}}
    if operation is None or operation in _STREAMED:
        found[EVENTS] = {"schema": _TEXT}
    if operation in (Operation.TRANSCRIPTION, Operation.TRANSLATION):
        found |= {TEXT: {"schema": _TEXT}, "text/vtt": {"schema": _TEXT}, "application/x-subrip": {"schema": _TEXT}}
    return found
