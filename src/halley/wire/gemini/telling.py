"""Writes a stream of content for a caller, as events or as one JSON array; calls are told once they are whole."""

from collections import defaultdict
from collections.abc import Callable

from halley.kernel.chat import (
    Began,
    BlobPiece,
    CallBegan,
    CallPiece,
    ChatUsage,
    Citation,
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
from halley.kernel.codec import encode
from halley.kernel.faults import Fault
from halley.kernel.sse import frame
from halley.wire.contract import AnswerFacts
from halley.wire.cut_short import CUTTING, is_cut_short
from halley.wire.gemini.errors import render_fault
from halley.wire.gemini.grounding import write_grounding
from halley.wire.gemini.replies import STOP_WORDS, Json, candidate, write_part
from halley.wire.gemini.usage import write_usage

_Piece = TextPiece | RefusalPiece | ThinkingPiece | CallBegan | CallPiece | BlobPiece


class ContentWriter:
    """The state of one stream: calls that are not whole yet, and how each choice stopped.

    What stopped a choice is told in the last chunk, with the usage, as the vendor does: usage may come after it.
    """

    def __init__(self, facts: AnswerFacts, envelope: Callable[[bytes], bytes] = frame, close: bytes = b"") -> None:
        self._facts = facts
        self._envelope = envelope
        self._close = close
        self._calls: dict[int, dict[int, _Call]] = defaultdict(dict)
        self._stops: dict[int, str] = {}
        self._texts: dict[int, list[str]] = defaultdict(list)
        """What each choice said: citations count its bytes."""
        self._citations: dict[int, list[Citation]] = defaultdict(list)
        self._usage: ChatUsage | None = None

    def write(self, delta: Delta) -> bytes:
        """Raises `ValueError` for arguments that are no object."""
        match delta:
            case Began():
                return b""
            case Counted(usage=usage):
                self._usage = usage
                return b""
            case Cited(choice=choice, citation=citation):
                self._citations[choice].append(citation)
                return b""
            case Stopped(choice=choice, reason=reason):
                self._stops[choice] = STOP_WORDS[reason]
                if reason in CUTTING:
                    calls = self._calls[choice]
                    self._calls[choice] = {slot: call for slot, call in calls.items() if not is_cut_short(call.part())}
                return self._told(choice, self._released(choice, forced=True))
            case _:
                return self._told(delta.choice, self._parts(delta))

    def end(self) -> bytes:
        """The last chunk: what stopped each choice and what it cites, and the usage."""
        chunk: Json = {"candidates": [self._stop(*stop) for stop in sorted(self._stops.items())]}
        if self._usage is not None:
            chunk["usageMetadata"] = write_usage(self._usage)
        return self._chunk(chunk) + self._close

    def _stop(self, choice: int, word: str) -> Json:
        citations, texts = self._citations[choice], {0: "".join(self._texts[choice])}
        grounding = {"groundingMetadata": write_grounding(citations, texts)} if citations else {}
        return {**candidate([{"text": ""}], choice, word), **grounding}

    def fault(self, fault: Fault, request_id: str) -> bytes:
        return self._envelope(encode(render_fault(fault, request_id)[1])) + self._close

    def _parts(self, piece: _Piece) -> list[Json]:
        calls = self._calls[piece.choice]
        if isinstance(piece, TextPiece):
            self._texts[piece.choice].append(piece.text)
        match piece:
            case CallBegan():
                calls[piece.slot] = _Call(piece)
                return []
            case CallPiece():
                if piece.slot not in calls:
                    raise ValueError(f"the arguments of call {piece.slot} came without it or after its end")
                calls[piece.slot].pieces.append(piece.arguments)
                return []
            case _:
                return [*self._released(piece.choice, forced=False), *_written(piece)]

    def _released(self, choice: int, *, forced: bool) -> list[Json]:
        """Give the calls that are whole, in their order; `forced` gives all."""
        written: list[Json] = []
        calls = self._calls[choice]
        for slot, call in sorted(calls.items()):
            if not (forced or call.whole()):
                break
            written += write_part(call.part())
            del calls[slot]
        return written

    def _told(self, choice: int, parts: list[Json]) -> bytes:
        return self._chunk({"candidates": [candidate(parts, choice)]}) if parts else b""

    def _chunk(self, chunk: Json) -> bytes:
        named = {**chunk, "modelVersion": self._facts.model, "responseId": self._facts.id}
        return self._envelope(encode(named))


class _Call:
    """A call whose arguments are still coming."""

    def __init__(self, began: CallBegan) -> None:
        self._began = began
        self.pieces: list[str] = []

    def part(self) -> ToolCall:
        began = self._began
        return ToolCall(id=began.id, name=began.name, arguments="".join(self.pieces), signature=began.signature)

    def whole(self) -> bool:
        call = self.part()
        return call.arguments.rstrip().endswith("}") and not is_cut_short(call)


def _written(piece: TextPiece | RefusalPiece | ThinkingPiece | BlobPiece) -> list[Json]:
    part: Part
    match piece:
        case TextPiece(text=text):
            part = Text(text=text)
        case RefusalPiece(text=text):
            part = Refusal(text=text)
        case ThinkingPiece():
            part = Thinking(text=piece.text, signature=piece.signature, redacted=piece.redacted)
        case BlobPiece(blob=blob):
            part = blob
    return write_part(part)


def write_array_stream(facts: AnswerFacts) -> ContentWriter:
    """Write the stream of a call without `alt=sse`: the chunks are elements of one JSON array."""
    return ContentWriter(facts, _Elements(), b"]")


class _Elements:
    """Puts what stands before each element of an array."""

    def __init__(self) -> None:
        self._before = b"["

    def __call__(self, data: bytes) -> bytes:
        written = self._before + data
        self._before = b",\r\n"
        return written
