"""Reads a vendor's stream of responses. One mapper per type of event, in a table.

Events that only repeat what others said in pieces (`…_text.done`, `content_part.added`) are read where pieces did not
come; those of the vendor's own tools are passed over, for no order of ours asks for such tools.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from halley.kernel.chat import (
    Began,
    Blob,
    BlobPiece,
    CallBegan,
    CallPiece,
    Cited,
    Counted,
    Delta,
    Part,
    Refusal,
    RefusalPiece,
    Stopped,
    Text,
    TextPiece,
    Thinking,
    ThinkingPiece,
    ToolCall,
)
from halley.kernel.codec import decode
from halley.kernel.loose import as_object, as_text
from halley.kernel.sse import DONE, Frame
from halley.wire.contract import StreamFault
from halley.wire.openai.chat.calls import signature_of
from halley.wire.openai.errors import read_error
from halley.wire.openai.responses.items import SUMMARY_GAP
from halley.wire.openai.responses.reply import read_citations, read_item, stop_of
from halley.wire.openai.usage import usage_of

ITEMS_MAX = 4_096


class _Item:
    """What came of one item."""

    def __init__(self, slot: int | None = None) -> None:
        self.slot = slot
        """The number of the call, for calls."""
        self.pieces = 0
        self.start: int | None = None
        """How much text of the answer came before its own."""
        self.summaries = 0


class ReadResponsesStream:
    """Reads one stream."""

    def __init__(self) -> None:
        self._began = False
        self._items: dict[int, _Item] = {}
        self._calls = 0
        self._refused = False
        self._length = 0
        """Of all texts so far."""
        self.complete = False

    def feed(self, frame: Frame) -> Iterator[Delta]:
        """Read one frame. Raises `StreamFault`, `ValueError`."""
        if frame.data.strip() == DONE:
            return
        event = decode(frame.data)
        if not isinstance(event, dict):
            raise ValueError("a frame of the stream is no object")  # noqa: TRY004  (what cannot be read)
        value = as_object(event)
        read = _EVENTS.get(as_text(value.get("type")) or frame.event)
        if read is not None:
            yield from read(self, value)
        elif value.get("error"):
            raise StreamFault(read_error(value["error"]))

    # --- one per type of event --------------------------------------------------------------------------------

    def began(self, event: dict[str, Any]) -> Iterator[Delta]:
        if self._began:
            return
        self._began = True
        response = as_object(event.get("response"))
        created = response.get("created_at")
        yield Began(
            id=as_text(response.get("id")),
            model=as_text(response.get("model")),
            created_s=int(created) if isinstance(created, int | float) and created > 0 else None,
        )

    def text(self, event: dict[str, Any]) -> Iterator[Delta]:
        item = self._item(event)
        item.pieces += 1
        if delta := as_text(event.get("delta")):
            yield self._text(item, delta)

    def refusal(self, event: dict[str, Any]) -> Iterator[Delta]:
        self._item(event).pieces += 1
        self._refused = True
        if delta := as_text(event.get("delta")):
            yield RefusalPiece(text=delta)

    def summary_began(self, event: dict[str, Any]) -> Iterator[Delta]:
        item = self._item(event)
        if item.summaries and item.pieces:
            yield ThinkingPiece(text=SUMMARY_GAP)
        item.summaries += 1

    def thought(self, event: dict[str, Any]) -> Iterator[Delta]:
        """Read more of a summary, or of the thoughts themselves where there is no summary."""
        item = self._item(event)
        whole = event.get("type") == "response.reasoning_text.delta"
        delta = as_text(event.get("delta"))
        if delta and not (whole and item.summaries):
            item.pieces += 1
            yield ThinkingPiece(text=delta)

    def item_added(self, event: dict[str, Any]) -> Iterator[Delta]:
        item = as_object(event.get("item"))
        if item.get("type") == "function_call":
            yield from self._call_began(event, item)

    def arguments(self, event: dict[str, Any]) -> Iterator[Delta]:
        item = self._item(event)
        if item.slot is None:
            raise ValueError("arguments in the stream belong to no call")
        if delta := as_text(event.get("delta")):
            item.pieces += 1
            yield CallPiece(slot=item.slot, arguments=delta)

    def item_done(self, event: dict[str, Any]) -> Iterator[Delta]:
        """Read what did not come in pieces, the seal of a thought, and what a message cites."""
        value, item = as_object(event.get("item")), self._item(event)
        for part in read_item(value):
            yield from self._rest(part, item, event)
        for citation in read_citations(value, item.start or 0):
            yield Cited(citation=citation)

    def ended(self, event: dict[str, Any]) -> Iterator[Delta]:
        yield from self.began(event)
        self.complete = True
        response = as_object(event.get("response"))
        seen: tuple[Part, ...] = (Refusal(text=""),) if self._refused else ()
        if self._calls:
            seen = (ToolCall(id="", name="", arguments=""),)
        if usage := usage_of(as_object(response.get("usage"))):
            yield Counted(usage=usage)
        yield Stopped(reason=stop_of(response, seen))

    def failed(self, event: dict[str, Any]) -> Iterator[Delta]:
        self.complete = True
        response = as_object(event.get("response"))
        raise StreamFault(read_error(response.get("error") or event.get("error") or event))

    # --- helpers ------------------------------------------------------------------------------------------------

    def _item(self, event: dict[str, Any]) -> _Item:
        index = event.get("output_index")
        place = index if isinstance(index, int) else max(self._items, default=0)
        if place not in self._items:
            if len(self._items) >= ITEMS_MAX:
                raise ValueError(f"the stream has more than {ITEMS_MAX} items")
            self._items[place] = _Item()
        return self._items[place]

    def _text(self, item: _Item, text: str) -> TextPiece:
        item.start = self._length if item.start is None else item.start
        self._length += len(text)
        return TextPiece(text=text)

    def _call_began(self, event: dict[str, Any], value: dict[str, Any]) -> Iterator[Delta]:
        item = self._item(event)
        item.slot = self._calls
        self._calls += 1
        identity = as_text(value.get("call_id")) or as_text(value.get("id"))
        yield CallBegan(slot=item.slot, id=identity, name=as_text(value.get("name")), signature=signature_of(value))

    def _rest(self, part: Part, item: _Item, event: dict[str, Any]) -> Iterator[Delta]:
        match part:
            case Thinking():
                text = "" if item.pieces else part.text
                if text or part.signature or part.redacted:
                    yield ThinkingPiece(text=text, signature=part.signature, redacted=part.redacted)
            case ToolCall():
                if item.slot is None:
                    yield from self._call_began(event, as_object(event.get("item")))
                if not item.pieces:
                    yield CallPiece(slot=item.slot or 0, arguments=part.arguments)
            case Blob():
                yield BlobPiece(blob=part)
            case Text() if not item.pieces:
                yield self._text(item, part.text)
            case Refusal() if not item.pieces:
                self._refused = True
                yield RefusalPiece(text=part.text)
            case _:
                pass


_EVENTS: Mapping[str, Callable[[ReadResponsesStream, dict[str, Any]], Iterator[Delta]]] = {
    "response.created": ReadResponsesStream.began,
    "response.queued": ReadResponsesStream.began,
    "response.in_progress": ReadResponsesStream.began,
    "response.output_item.added": ReadResponsesStream.item_added,
    "response.output_text.delta": ReadResponsesStream.text,
    "response.refusal.delta": ReadResponsesStream.refusal,
    "response.reasoning_summary_part.added": ReadResponsesStream.summary_began,
    "response.reasoning_summary_text.delta": ReadResponsesStream.thought,
    "response.reasoning_text.delta": ReadResponsesStream.thought,
    "response.function_call_arguments.delta": ReadResponsesStream.arguments,
    "response.output_item.done": ReadResponsesStream.item_done,
    "response.completed": ReadResponsesStream.ended,
    "response.incomplete": ReadResponsesStream.ended,
    "response.failed": ReadResponsesStream.failed,
    "error": ReadResponsesStream.failed,
}
