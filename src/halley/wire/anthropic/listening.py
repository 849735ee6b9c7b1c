"""Reads a vendor's stream of messages, event by event."""

from collections.abc import Callable, Iterator, Mapping

from halley.kernel.chat import (
    Began,
    CallBegan,
    CallPiece,
    ChatUsage,
    Cited,
    Counted,
    Delta,
    RefusalPiece,
    Stopped,
    TextPiece,
    ThinkingPiece,
)
from halley.kernel.codec import decode, encode
from halley.kernel.loose import as_object, as_text
from halley.kernel.sse import DONE, Frame
from halley.wire.anthropic.citations import CITATIONS_MAX, read_citations
from halley.wire.anthropic.errors import read_error
from halley.wire.anthropic.replies import Json, explained, stop_of
from halley.wire.anthropic.usage import usage_of
from halley.wire.contract import StreamFault
from halley.wire.usage import larger


class MessageStream:
    """The state of one stream: which blocks are open, and what was counted."""

    def __init__(self) -> None:
        self._usage: ChatUsage | None = None
        self._slots: dict[int, int] = {}
        self._slots_begun = 0
        self._silent: set[int] = set()
        """Slots of calls whose arguments have not begun."""
        self._text_start = 0
        """How much text of the answer came before the open block."""
        self._length = 0
        """Of all texts so far."""
        self._citations: list[Json] = []
        """Of the open block: it is all of its text that they are about."""
        self._ended = False
        self._readers: Mapping[str, Callable[[Json], Iterator[Delta]]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
            "error": self._error,
        }

    @property
    def complete(self) -> bool:
        return self._ended

    def feed(self, frame: Frame) -> Iterator[Delta]:
        """Raises `StreamFault` for an error event, `ValueError` for what cannot be read; unknown events are let be."""
        if frame.data == DONE:
            return iter(())
        event = as_object(decode(frame.data))
        reader = self._readers.get(as_text(event.get("type")) or frame.event)
        # The vendor's policy is that new events may come at any time; `ping` is one that says nothing.
        return reader(event) if reader else iter(())

    def _message_start(self, event: Json) -> Iterator[Delta]:
        message = as_object(event.get("message"))
        self._count(message)
        yield Began(id=as_text(message.get("id")), model=as_text(message.get("model")), usage=self._usage)

    def _block_start(self, event: Json) -> Iterator[Delta]:
        block = as_object(event.get("content_block"))
        match block.get("type"):
            case "text":
                self._text_start = self._length
                yield from self._text(as_text(block.get("text")))
            case "thinking":
                if text := as_text(block.get("thinking")):
                    yield ThinkingPiece(text=text)
            case "redacted_thinking":
                yield ThinkingPiece(redacted=as_text(block.get("data")))
            case "tool_use":
                yield from self._call_start(_index(event), block)
            case kind:
                raise ValueError(f"the stream holds a block of type {kind!r:.60}")

    def _call_start(self, index: int, block: Json) -> Iterator[Delta]:
        slot = self._slots_begun
        self._slots_begun += 1
        self._slots[index] = slot
        yield CallBegan(slot=slot, id=as_text(block.get("id")), name=as_text(block.get("name")))
        whole = as_object(block.get("input"))
        if whole:
            # Some vendors of this format give all arguments at once.
            yield CallPiece(slot=slot, arguments=encode(whole).decode())
        else:
            self._silent.add(slot)

    def _block_delta(self, event: Json) -> Iterator[Delta]:
        delta = as_object(event.get("delta"))
        match delta.get("type"):
            case "text_delta":
                yield from self._text(as_text(delta.get("text")))
            case "input_json_delta":
                yield from self._arguments(_index(event), as_text(delta.get("partial_json")))
            case "thinking_delta":
                yield ThinkingPiece(text=as_text(delta.get("thinking")))
            case "signature_delta":
                if signature := as_text(delta.get("signature")):
                    yield ThinkingPiece(signature=signature)
            case "citations_delta":
                if len(self._citations) < CITATIONS_MAX:
                    self._citations.append(as_object(delta.get("citation")))
            case kind:
                raise ValueError(f"the stream holds a delta of type {kind!r:.60}")

    def _text(self, text: str) -> Iterator[Delta]:
        if text:
            self._length += len(text)
            yield TextPiece(text=text)

    def _arguments(self, index: int, text: str) -> Iterator[Delta]:
        slot = self._slots.get(index)
        if slot is None:
            raise ValueError(f"arguments came for block {index}, which is no tool call")
        if text:
            self._silent.discard(slot)
            yield CallPiece(slot=slot, arguments=text)

    def _block_stop(self, event: Json) -> Iterator[Delta]:
        slot = self._slots.get(_index(event))
        if slot in self._silent:
            self._silent.discard(slot)
            yield CallPiece(slot=slot, arguments="{}")
        citations, self._citations = self._citations, []
        for citation in read_citations(citations, self._text_start, self._length):
            yield Cited(citation=citation)

    def _message_delta(self, event: Json) -> Iterator[Delta]:
        delta = as_object(event.get("delta"))
        word = delta.get("stop_reason")
        if word is not None:
            if words := explained(delta):
                yield RefusalPiece(text=words)
            yield Stopped(reason=stop_of(word), stop_sequence=as_text(delta.get("stop_sequence")) or None)
        if self._count(event) and self._usage:
            yield Counted(usage=self._usage)

    def _message_stop(self, _event: Json) -> Iterator[Delta]:
        self._ended = True
        return iter(())

    def _error(self, event: Json) -> Iterator[Delta]:
        raise StreamFault(read_error(as_object(event.get("error"))))

    def _count(self, holder: Json) -> bool:
        usage = usage_of(holder.get("usage"))
        if usage is not None:
            self._usage = larger(self._usage, usage)
        return usage is not None


def _index(event: Json) -> int:
    index = event.get("index")
    if not isinstance(index, int):
        raise ValueError("an event of a block has no `index`")  # noqa: TRY004  what a vendor sends is a value to us
    return index
