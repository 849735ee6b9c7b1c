"""Content blocks of a message order, read into parts."""

import base64
from collections.abc import Callable, Mapping

from halley.kernel.chat import Blob, BlobKind, Part, Text, Thinking, ToolCall, ToolResult
from halley.kernel.codec import encode
from halley.wire.shape import Cursor

PDF = "application/pdf"
PLAIN = "text/plain"
_CONTENT = "a string or an array of content blocks"
_CACHE = frozenset(("cache_control",))


def read_content(message: Cursor) -> tuple[Part, ...]:
    """Give the parts of a message: a string is one block of text. Raises `BadRequest`."""
    content = message.at("content")
    if content.value is None:
        raise content.wrong(_CONTENT)
    return _read(content, _BLOCKS)


def read_texts(owner: Cursor, name: str) -> tuple[Text, ...]:
    """Give the texts of a system prompt: a string or an array of text blocks."""
    return tuple(part for part in _read(owner.at(name), {"text": _text}) if isinstance(part, Text))


def _read(content: Cursor, readers: "Mapping[str, _Reader]") -> tuple[Part, ...]:
    if isinstance(content.value, str):
        return (Text(text=content.value),)
    if content.value is not None and not isinstance(content.value, list):
        raise content.wrong(_CONTENT)
    return tuple(part for block in content.each() if (part := _part(block, readers)) is not None)


def _part(block: Cursor, readers: "Mapping[str, _Reader]") -> Part | None:
    """Give one part; None for a kind of block that no word of ours stands for: it is kept with the extras."""
    reader = readers.get(block.at("type").text())
    if reader is None:
        block.keep()
        return None
    part = reader(block)
    block.done(_CACHE)
    return part


def _text(block: Cursor) -> Part:
    block.drop(("citations",))
    return Text(text=block.at("text").text())


def _image(block: Cursor) -> Part | None:
    source = block.at("source")
    return _blob(source, BlobKind.IMAGE, None)


def _document(block: Cursor) -> Part | None:
    _drop_idle_citations(block)
    title = block.at("title").text_or_none()
    source = block.at("source")
    return _blob(source, BlobKind.FILE, title)


def _drop_idle_citations(block: Cursor) -> None:
    block.default("citations", {}, {"enabled": False}, {"enabled": None})


def _blob(source: Cursor, kind: BlobKind, name: str | None) -> Blob | None:
    word = source.at("type").text()
    blob: Blob | None
    match word:
        case "base64":
            media_type = source.at("media_type").text()
            blob = Blob(kind=kind, media_type=media_type, data=source.at("data").text(), name=name)
        case "url":
            blob = Blob(kind=kind, url=source.at("url").text(), name=name)
        case "file":
            blob = Blob(kind=kind, file_id=source.at("file_id").text(), name=name)
        case "text" if kind is BlobKind.FILE:
            source.drop(("media_type",))
            blob = _plain(source.at("data").text(), name)
        case "content" if kind is BlobKind.FILE and isinstance(source.peek("content"), str):
            blob = _plain(source.at("content").text(), name)
        case "content" if kind is BlobKind.FILE:
            source.keep()
            return None
        case _:
            raise source.at("type").wrong("`base64`, `url` or `file`")
    source.done()
    return blob


def _plain(text: str, name: str | None) -> Blob:
    data = base64.b64encode(text.encode()).decode()
    return Blob(kind=BlobKind.FILE, media_type=PLAIN, data=data, name=name)


def _tool_use(block: Cursor) -> Part:
    block.default("caller", {"type": "direct"})
    arguments = block.at("input").object()
    return ToolCall(id=block.at("id").text(), name=block.at("name").text(), arguments=encode(arguments).decode())


def _tool_result(block: Cursor) -> Part:
    return ToolResult(
        call_id=block.at("tool_use_id").text(),
        parts=_result_parts(block),
        is_error=bool(block.at("is_error").flag_or_none()),
    )


def _result_parts(block: Cursor) -> tuple[Text | Blob, ...]:
    return tuple(part for part in _read(block.at("content"), _RESULT_BLOCKS) if isinstance(part, Text | Blob))


def _thinking(block: Cursor) -> Part:
    # A signature of no length stands for none: our own replies carry it where the vendor gave no proof.
    return Thinking(
        text=block.at("thinking").text_or_none() or "", signature=block.at("signature").text_or_none() or None
    )


def _redacted(block: Cursor) -> Part:
    return Thinking(redacted=block.at("data").text())


_Reader = Callable[[Cursor], Part | None]
_RESULT_BLOCKS: Mapping[str, _Reader] = {"text": _text, "image": _image, "document": _document}
_BLOCKS: Mapping[str, _Reader] = {
    **_RESULT_BLOCKS,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}
