"""Content parts of an order, read into ours."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from halley.kernel.chat import Blob, BlobKind, Part, Text, Thinking, ToolCall, ToolResult
from halley.kernel.codec import encode
from halley.wire.gemini.names import made_id, standard_base64, standard_signature
from halley.wire.shape import Cursor

NO_PROOF = "skip_thought_signature_validator"
"""What the vendor takes in place of a signature for calls of other models: https://ai.google.dev/gemini-api/docs/thought-signatures."""

_KINDS = {"image": BlobKind.IMAGE, "audio": BlobKind.AUDIO, "video": BlobKind.VIDEO}
_OWN_FILES = ("https://generativelanguage.googleapis.com/", "gs://", "files/")
"""Beginnings of addresses that only the vendor can open."""


class PartReader:
    """Reads the parts of one conversation, and knows which calls still wait for their results."""

    def __init__(self) -> None:
        self._calls = 0
        self._unanswered: dict[str, deque[str]] = defaultdict(deque)
        self._readers: Mapping[str, Callable[[Cursor, str | None], Iterator[Part]]] = {
            "text": _text,
            "inlineData": _inline,
            "fileData": _linked,
            "functionCall": self._call,
            "functionResponse": self._result,
        }

    def read(self, part: Cursor) -> Iterator[Part]:
        """Give none for a part that no word of ours stands for: it is kept with the extras. Raises `BadRequest`."""
        name = next((name for name in self._readers if part.peek(name) is not None), None)
        if name is None:
            part.keep()
            return
        signature = _signature(part)
        yield from self._readers[name](part, signature)
        part.drop(("thought",))
        part.done()

    def _call(self, part: Cursor, signature: str | None) -> Iterator[Part]:
        call = part.at("functionCall")
        name = call.at("name").text()
        call_id = call.at("id").text_or_none() or made_id(self._calls, name)
        self._calls += 1
        self._unanswered[name].append(call_id)
        arguments = encode(call.at("args").object_or_none() or {}).decode()
        call.done()
        yield ToolCall(id=call_id, name=name, arguments=arguments, signature=signature)

    def _result(self, part: Cursor, _signature: str | None) -> Iterator[Part]:
        result = part.at("functionResponse")
        name = result.at("name").text()
        told_id = result.at("id").text_or_none()
        response = result.at("response").object()
        blobs = [blob for each in result.at("parts").each() for blob in _result_blobs(each)]
        result.default("scheduling", "SCHEDULING_UNSPECIFIED")
        result.done()
        text, is_error = _said(response)
        yield ToolResult(
            call_id=self._answered(name, told_id),
            name=name,
            parts=(*((Text(text=text),) if text is not None else ()), *blobs),
            is_error=is_error,
        )

    def _answered(self, name: str, told_id: str | None) -> str:
        """Give the id of the call that a result answers: without one, the earliest of its name."""
        waiting = self._unanswered[name]
        if told_id is not None:
            if told_id in waiting:
                waiting.remove(told_id)
            return told_id
        return waiting.popleft() if waiting else made_id(0, name)


def several(fields: Cursor, name: str) -> list[Cursor]:
    """Give the objects of a list; the vendor takes a single one for a list of one, and its own examples write it so."""
    if isinstance(fields.peek(name), dict):
        return [fields.at(name)]
    return fields.at(name).each()


def _signature(part: Cursor) -> str | None:
    signature = part.at("thoughtSignature").text_or_none()
    return None if signature is None or signature == NO_PROOF else standard_signature(signature)


def _text(part: Cursor, signature: str | None) -> Iterator[Part]:
    text = part.at("text").text()
    if part.at("thought").flag_or_none():
        yield Thinking(text=text, signature=signature)
        return
    if text or signature is None:
        yield Text(text=text)
    if signature is not None:
        # The proof of a text stands right behind it.
        yield Thinking(signature=signature)


def _inline(part: Cursor, signature: str | None) -> Iterator[Part]:
    yield _blob(part.at("inlineData"))
    if signature is not None:
        yield Thinking(signature=signature)


def _linked(part: Cursor, _signature: str | None) -> Iterator[Part]:
    yield _link(part.at("fileData"))


def _result_blobs(part: Cursor) -> Iterator[Blob]:
    if part.peek("inlineData") is not None:
        yield _blob(part.at("inlineData"))
    elif part.peek("fileData") is not None:
        yield _link(part.at("fileData"))
    else:
        part.keep()
        return
    part.done()


def _blob(inline: Cursor) -> Blob:
    media_type = inline.at("mimeType").text()
    blob = Blob(
        kind=kind_of(media_type),
        media_type=media_type,
        data=standard_base64(inline.at("data").text()),
        name=inline.at("displayName").text_or_none(),
    )
    inline.done()
    return blob


def _link(link: Cursor) -> Blob:
    media_type = link.at("mimeType").text_or_none()
    blob = linked(link.at("fileUri").text(), media_type, link.at("displayName").text_or_none())
    link.done()
    return blob


def linked(uri: str, media_type: str | None, name: str | None) -> Blob:
    """A file by its address, or by the vendor's own name of it."""
    kind = kind_of(media_type or "")
    if uri.startswith(_OWN_FILES):
        return Blob(kind=kind, media_type=media_type, file_id=uri, name=name)
    return Blob(kind=kind, media_type=media_type, url=uri, name=name)


def kind_of(media_type: str) -> BlobKind:
    return _KINDS.get(media_type.partition("/")[0].lower(), BlobKind.FILE)


def _said(response: dict[str, Any]) -> tuple[str | None, bool]:
    """Give what a function said, as text, and whether it failed: `output` and `error` are the format's own words."""
    match response:
        case {"output": str(text)} if len(response) == 1:
            return text, False
        case {"error": str(text)} if len(response) == 1:
            return text, True
        case _ if response:
            return encode(response).decode(), False
        case _:
            return None, False
