"""Content parts of an order, read into ours."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from halley.kernel.chat import Blob, BlobKind, Part, Text, Thinking, ToolCall, ToolResult
from halley.kernel.codec import encode
from halley.wire.gemini.names import made_id, standard_base64, standard_signature
from halley.wire.shape import Fields, missing

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
        self._readers: Mapping[str, Callable[[Fields, str | None], Iterator[Part]]] = {
            "text": _text,
            "inlineData": _inline,
            "fileData": _linked,
            "functionCall": self._call,
            "functionResponse": self._result,
        }

    def read(self, part: Fields) -> Iterator[Part]:
        """Give none for a part that no word of ours stands for: it is kept with the extras. Raises `BadRequest`."""
        name = next((name for name in self._readers if part.peek(name) is not None), None)
        if name is None:
            part.leave()
            return
        signature = _signature(part)
        yield from self._readers[name](part, signature)
        part.drop(("thought",))
        part.done()

    def _call(self, part: Fields, signature: str | None) -> Iterator[Part]:
        call = part.needed_child("functionCall")
        name = call.needed_text("name")
        call_id = call.text("id") or made_id(self._calls, name)
        self._calls += 1
        self._unanswered[name].append(call_id)
        arguments = encode(call.free("args") or {}).decode()
        call.done()
        yield ToolCall(id=call_id, name=name, arguments=arguments, signature=signature)

    def _result(self, part: Fields, _signature: str | None) -> Iterator[Part]:
        result = part.needed_child("functionResponse")
        name = result.needed_text("name")
        told_id = result.text("id")
        response = result.free("response")
        if response is None:
            raise missing(result.place("response"), "an object")
        blobs = [blob for each in result.children("parts") for blob in _result_blobs(each)]
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


def several(fields: Fields, name: str) -> list[Fields]:
    """Give the objects of a list; the vendor takes a single one for a list of one, and its own examples write it so."""
    if isinstance(fields.peek(name), dict):
        return [fields.needed_child(name)]
    return fields.children(name)


def _signature(part: Fields) -> str | None:
    signature = part.text("thoughtSignature")
    return None if signature is None or signature == NO_PROOF else standard_signature(signature)


def _text(part: Fields, signature: str | None) -> Iterator[Part]:
    text = part.needed_text("text")
    if part.flag("thought"):
        yield Thinking(text=text, signature=signature)
        return
    if text or signature is None:
        yield Text(text=text)
    if signature is not None:
        # The proof of a text stands right behind it.
        yield Thinking(signature=signature)


def _inline(part: Fields, signature: str | None) -> Iterator[Part]:
    yield _blob(part.needed_child("inlineData"))
    if signature is not None:
        yield Thinking(signature=signature)


def _linked(part: Fields, _signature: str | None) -> Iterator[Part]:
    yield _link(part.needed_child("fileData"))


def _result_blobs(part: Fields) -> Iterator[Blob]:
    if part.peek("inlineData") is not None:
        yield _blob(part.needed_child("inlineData"))
    elif part.peek("fileData") is not None:
        yield _link(part.needed_child("fileData"))
    else:
        part.leave()
    part.done()


def _blob(inline: Fields) -> Blob:
    media_type = inline.needed_text("mimeType")
    blob = Blob(
        kind=kind_of(media_type),
        media_type=media_type,
        data=standard_base64(inline.needed_text("data")),
        name=inline.text("displayName"),
    )
    inline.done()
    return blob


def _link(link: Fields) -> Blob:
    media_type = link.text("mimeType")
    blob = linked(link.needed_text("fileUri"), media_type, link.text("displayName"))
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
