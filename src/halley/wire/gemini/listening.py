"""Reads a vendor's stream of content, chunk by chunk: each is a reply of its own, calls arrive whole."""

from collections import defaultdict
from collections.abc import Iterator

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
    RefusalPiece,
    Stopped,
    StopReason,
    Text,
    TextPiece,
    Thinking,
    ThinkingPiece,
    ToolCall,
)
from halley.kernel.codec import decode
from halley.kernel.loose import as_list, as_object, as_text
from halley.kernel.sse import DONE, Frame
from halley.wire.contract import StreamFault, Unusable
from halley.wire.gemini.errors import read_error
from halley.wire.gemini.grounding import read_grounding
from halley.wire.gemini.replies import Json, blocked_words, is_stop, read_part, stop_of
from halley.wire.gemini.usage import usage_of


class ContentStream:
    """The state of one stream: which choices go on, and how many calls each has."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._calls: dict[int, int] = defaultdict(int)
        self._texts: dict[int, list[str]] = defaultdict(list)
        """What each choice said: citations count its bytes."""
        self._grounding: dict[int, Json] = {}
        self._going: set[int] = set()
        self._stopped: set[int] = set()
        self._unusable: Unusable | None = None

    @property
    def complete(self) -> bool:
        return bool(self._stopped) and not self._going

    def feed(self, frame: Frame) -> Iterator[Delta]:
        """Raises `StreamFault` for an error, `Unusable`, or another `ValueError` for what cannot be read."""
        if frame.data == DONE:
            return
        chunk = as_object(decode(frame.data))
        if chunk.get("error") is not None:
            raise StreamFault(read_error(as_object(chunk["error"])))
        if self._id is None:
            self._id = as_text(chunk.get("responseId"))
            yield Began(id=self._id, model=as_text(chunk.get("modelVersion")))
        for place, each in enumerate(as_list(chunk.get("candidates"))):
            yield from self._candidate(as_object(each), place)
        yield from self._feedback(chunk)
        usage = usage_of(chunk.get("usageMetadata"))
        if usage is not None:
            yield Counted(usage=usage)
        if self._unusable is not None:
            raise self._unusable

    def _feedback(self, chunk: Json) -> Iterator[Delta]:
        words = blocked_words(chunk)
        if words is None or chunk.get("candidates"):
            return
        self._stopped.add(0)
        if words:
            yield RefusalPiece(text=words)
        yield Stopped(reason=StopReason.FILTERED)

    def _candidate(self, candidate: Json, place: int) -> Iterator[Delta]:
        told = candidate.get("index")
        choice = told if isinstance(told, int) else place
        self._going.add(choice)
        for each in as_list(as_object(candidate.get("content")).get("parts")):
            for part in read_part(as_object(each), self._calls[choice], self._id or ""):
                yield from self._pieces(part, choice)
        self._grounding[choice] = as_object(candidate.get("groundingMetadata")) or self._grounding.get(choice, {})
        word = candidate.get("finishReason")
        if not is_stop(word):
            return
        self._going.discard(choice)
        self._stopped.add(choice)
        for citation in read_grounding(self._grounding[choice], {0: "".join(self._texts[choice])}):
            yield Cited(citation=citation, choice=choice)
        try:
            stop = stop_of(word, called=self._calls[choice] > 0)
        except Unusable as error:
            self._unusable = error
        else:
            yield Stopped(reason=stop, choice=choice)

    def _pieces(self, part: Part, choice: int) -> Iterator[Delta]:
        match part:
            case Text(text=text):
                self._texts[choice].append(text)
                yield TextPiece(text=text, choice=choice)
            case Thinking():
                yield ThinkingPiece(text=part.text, signature=part.signature, choice=choice)
            case Blob():
                yield BlobPiece(blob=part, choice=choice)
            case ToolCall():
                slot = self._calls[choice]
                self._calls[choice] += 1
                yield CallBegan(slot=slot, id=part.id, name=part.name, signature=part.signature, choice=choice)
                yield CallPiece(slot=slot, arguments=part.arguments, choice=choice)
            case _:
                raise ValueError("the stream holds a part that no answer has")
