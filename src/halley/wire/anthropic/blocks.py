"""Content blocks of a message order, read into parts."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from halley.kernel.chat import Blob, BlobKind, Part, Text, Thinking, ToolCall, ToolResult
from halley.kernel.codec import encode
from halley.wire.shape import Fields, missing, wrong

PDF = "application/pdf"
PLAIN = "text/plain"
_CACHE = frozenset(("cache_control",))


def read_content(message: Fields) -> tuple[Part, ...]:
    """Give the parts of a message: a string is one block of text. Raises `BadRequest`."""
    value = message.peek("content")
    if value is None:
        raise missing(message.place("content"), "a string or an array of content blocks")
    if isinstance(value, str):
        return (Text(text=message.needed_text("content")),)
    return _parts(message, "content", _BLOCKS)


def read_texts(owner: Fields, name: str) -> tuple[Text, ...]:
    """Give the texts of a system prompt: a string or an array of text blocks."""
    value = owner.peek(name)
    if isinstance(value, str):
        owner.take(name)
        return (Text(text=value),)
    parts = _parts(owner, name, {"text": _text})
    return tuple(part for part in parts if isinstance(part, Text))


def _parts(owner: Fields, name: str, readers: "Mapping[str, _Reader]") -> tuple[Part, ...]:
    value = owner.peek(name)
    if value is not None and not isinstance(value, list):
        raise wrong(owner.place(name), "a string or an array of content blocks", value)
    parts: list[Part] = []
    for block in owner.children(name):
        part = _part(block, readers)
        if part is not None:
            parts.append(part)
    return tuple(parts)


def _part(block: Fields, readers: "Mapping[str, _Reader]") -> Part | None:
    """Give one part; None for a kind of block that no word of ours stands for: it is kept with the extras."""
    kind = block.peek("type")
    if not isinstance(kind, str):
        raise missing(block.place("type"), "a string") if kind is None else wrong(block.place("type"), "a string", kind)
    reader = readers.get(kind)
    if reader is None:
        block.leave()
        return None
    block.take("type")
    part = reader(block)
    block.done(_CACHE)
    return part


def _text(block: Fields) -> Part:
    return Text(text=block.needed_text("text"))


def _image(block: Fields) -> Part | None:
    source = block.needed_child("source")
    return _blob(source, BlobKind.IMAGE, None)


def _document(block: Fields) -> Part | None:
    _drop_idle_citations(block)
    title = block.text("title")
    source = block.needed_child("source")
    return _blob(source, BlobKind.FILE, title)


def _drop_idle_citations(block: Fields) -> None:
    block.default("citations", {}, {"enabled": False}, {"enabled": None})


def _blob(source: Fields, kind: BlobKind, name: str | None) -> Blob | None:
    word = source.needed_text("type")
    blob: Blob | None
    match word:
        case "base64":
            media_type = source.needed_text("media_type")
            blob = Blob(kind=kind, media_type=media_type, data=source.needed_text("data"), name=name)
        case "url":
            blob = Blob(kind=kind, url=source.needed_text("url"), name=name)
        case "file":
            blob = Blob(kind=kind, file_id=source.needed_text("file_id"), name=name)
        case "text" if kind is BlobKind.FILE:
            source.drop(("media_type",))
            blob = _plain(source.needed_text("data"), name)
        case "content" if kind is BlobKind.FILE and isinstance(source.peek("content"), str):
            blob = _plain(source.needed_text("content"), name)
        case "content" if kind is BlobKind.FILE:
            source.leave()
            return None
        case _:
            raise wrong(source.place("type"), "`base64`, `url` or `file`", word)
    source.done()
    return blob


def _plain(text: str, name: str | None) -> Blob:
    data = base64.b64encode(text.encode()).decode()
    return Blob(kind=BlobKind.FILE, media_type=PLAIN, data=data, name=name)


def _tool_use(block: Fields) -> Part:
    block.default("caller", {"type": "direct"})
    arguments = block.free("input")
    if arguments is None:
        raise missing(block.place("input"), "an object")
    return ToolCall(id=block.needed_text("id"), name=block.needed_text("name"), arguments=encode(arguments).decode())


def _tool_result(block: Fields) -> Part:
    return ToolResult(
        call_id=block.needed_text("tool_use_id"),
        parts=_result_parts(block),
        is_error=bool(block.flag("is_error")),
    )


def _result_parts(block: Fields) -> tuple[Text | Blob, ...]:
    value: Any = block.peek("content")
    if isinstance(value, str):
        block.take("content")
        return (Text(text=value),)
    parts = _parts(block, "content", _RESULT_BLOCKS)
    return tuple(part for part in parts if isinstance(part, Text | Blob))


def _thinking(block: Fields) -> Part:
    # A signature of no length stands for none: our own replies carry it where the vendor gave no proof.
    return Thinking(text=block.text("thinking") or "", signature=block.text("signature") or None)


def _redacted(block: Fields) -> Part:
    return Thinking(redacted=block.needed_text("data"))


_Reader = Callable[[Fields], Part | None]
_RESULT_BLOCKS: Mapping[str, _Reader] = {"text": _text, "image": _image, "document": _document}
_BLOCKS: Mapping[str, _Reader] = {
    **_RESULT_BLOCKS,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}
