"""What a stream passes through on its way to the caller: unchanged and watched, or translated; bytes in, bytes out."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from halley.kernel import codec
from halley.kernel.chat import (
    Began,
    BlobPiece,
    CallPiece,
    ChatUsage,
    Counted,
    Delta,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
)
from halley.kernel.faults import Fault
from halley.kernel.loose import as_list, as_object, as_text
from halley.kernel.operation import Operation
from halley.kernel.sse import DONE, Frame, Splitter, parse
from halley.pipeline.answers.sound import KEPT_BYTES_MAX as KEPT_SOUND_BYTES_MAX
from halley.wire import watch
from halley.wire.contract import AnswerFacts, ChatFormat, ReadStream, StreamFault, WriteStream
from halley.wire.formats import CHAT_FORMATS
from halley.wire.halves import Halves
from halley.wire.openai.usage import read_usage
from halley.wire.usage import larger

KEPT_BYTES_MAX = 1024 * 1024
"""Of a stream that passes through: kept to count its tokens, should the vendor not tell them; the rest goes by it."""

_BLANKS = b" \t"
_END_ALONE = frozenset((Operation.MESSAGES,))
"""Formats whose end is an event of its own, in which nothing else is said."""
_END_BY_CLOSING = frozenset((Operation.CONTENT,))
"""Formats that say that this was all by closing the body, and in no other way."""


class Pipe(Protocol):
    """One stream on its way."""

    usage: ChatUsage | None
    """What the vendor has told so far."""
    usage_is_last: bool
    """Whether it was told when all had come: then it is the vendor's last word, else more may have come since."""

    def take(self, data: bytes) -> bytes:
        """Give what of these bytes goes to the caller now. Raises `StreamFault`, or `ValueError` for a broken frame."""
        ...

    told: dict[str, str]
    """Facts of the vendor's reply that a price may depend on."""
    kept: bytearray
    """What is to be measured: of sound what went through, of pictures a mark for each that was on its way."""

    @property
    def ended(self) -> bool:
        """Whether the format's own end has come: what breaks behind it breaks nothing."""
        ...

    def end(self) -> bytes:
        """The vendor's stream ended: give what closes ours. Raises `ValueError` when it ended before its end."""
        ...

    def fault(self, fault: Fault, request_id: str) -> bytes:
        """Give what says that the stream broke."""
        ...

    def texts(self) -> Iterable[str]:
        """Give what was generated, to be counted."""
        ...


class Unchanged:
    """Forwards frames as they are. Of OpenAI's chats a frame that only tells the usage may be unwanted."""

    def __init__(self, operation: Operation, facts: AnswerFacts, *, as_array: bool = False, choices: int = 1) -> None:
        self.usage: ChatUsage | None = None
        self.kept = bytearray()
        self.told: dict[str, str] = {}
        self._format: ChatFormat | None = CHAT_FORMATS.get(operation)
        self._read_usage = self._format.read_usage if self._format else read_usage
        self._hides_usage = not facts.include_usage
        self._operation = operation
        self._facts = facts
        self._splitter = Splitter()
        self._halves = Halves()
        self._array = _Array() if as_array else None
        self._ends = watch.ends_of(operation)
        self._complete = self._ends is None
        self.usage_is_last = self._complete
        self._choices = choices
        self._begun: set[int] | None = set() if operation in _END_BY_CLOSING and choices > 1 else None
        """The answers that something came of; None where all that were asked for must end."""
        self._ended: set[int] = set()
        self._frames: list[Frame] = []
        self._kept_bytes = 0
        self._seen = 0
        """Frames so far, kept or not."""
        self._counted_at = -1
        """Which of them last told what was put out."""
        self._last: Frame | None = None
        self._before = b""
        self._error: StreamFault | ValueError | None = None

    def take(self, data: bytes) -> bytes:
        if self._error is not None:
            raise self._error
        alone = self._splitter.alone(data)
        if alone is not None:
            return self._see(data, alone)
        out: list[bytes] = []
        try:
            for raw, frame in self._splitter.feed(data):
                out.append(self._see(raw, frame))
        except (StreamFault, ValueError) as error:
            if not any(out):
                raise
            # What came before it is sound and goes out first.
            self._error = error
        return out[0] if len(out) == 1 else b"".join(out)

    @property
    def ended(self) -> bool:
        return len(self._ended) >= self._choices

    def end(self) -> bytes:
        if self._error is not None:
            raise self._error
        out = _last_of(self._splitter, self._see, ended=self.ended)
        if self._begun and not self._complete:
            # Fewer than were asked for may be all.
            self._choices = len(self._begun)
            self._note_ends((), alone=True)
        if not self._complete:
            raise ValueError("the stream ended before its end")
        return out + (self._array.end() if self._array else b"")

    def fault(self, fault: Fault, request_id: str) -> bytes:
        said = self._writer().fault(fault, request_id)
        frame = parse(said) if self._array else None
        if self._array is None or frame is None:
            return said
        # The error is one more item, and the array is closed: what came can be read.
        return self._array.item(frame.data) + self._array.end()

    def texts(self) -> Iterator[str]:
        kept = list(self._texts_kept())
        yield from kept
        if self._seen > len(self._frames):
            yield _as_much_again("".join(kept), len(self._frames), self._seen - len(self._frames))

    def _texts_kept(self) -> Iterator[str]:
        if self._operation is Operation.TRANSCRIPTION:
            yield from texts_of_transcript(self._frames)
            return
        if self._format is None:
            for frame in self._frames:
                with suppress(ValueError):  # what is broken has no text
                    yield from texts_of_completion(frame.data)
            return
        reader = self._format.read_stream()
        for frame in self._frames:
            with suppress(StreamFault, ValueError):  # what is broken has no text
                yield from filter(None, map(text_of, reader.feed(frame)))

    def _see(self, raw: bytes, frame: Frame | None) -> bytes:
        if frame is None:
            return self._comment(raw)
        data = frame.data
        try:
            marks = watch.marks(frame)
        except ValueError:
            frame = _meant(frame, self._halves)
            if frame is None:
                return self._comment(raw)
            marks = watch.marks(frame)
        is_hidden = self._look(frame, marks) if marks else False
        if self._ends is not None and (ended := self._ends(frame)):
            self._note_ends(ended, alone=self._operation in _END_ALONE)
        if self._begun is not None:
            self._begun.update(watch.candidates(frame))
        if self._before:
            raw, self._before = self._before + raw, b""
        self._last = frame
        self._seen += 1
        kept_bytes = self._kept_bytes + len(data)
        if kept_bytes <= KEPT_BYTES_MAX:
            self._kept_bytes = kept_bytes
            self._frames.append(frame)
        if is_hidden:
            return b""
        if self._array is None:
            return raw
        # Some vendors say `[DONE]` all the same; of an array its bracket says so.
        return b"" if frame.data == DONE else self._array.item(data)

    def _look(self, frame: Frame, marks: int) -> bool:
        """Look closer at a frame; whether it is to be hidden from the caller."""
        if marks & watch.COUNTS:
            # Also of an answer that failed: it is charged.
            told = self._read_usage(frame.data)
            if told is not None:
                self.usage = larger(self.usage, told)
                if told.output:
                    self._counted_at = self._seen
                    self.usage_is_last = self._complete
            self.told |= watch.facts(frame)
        if marks & watch.FAULT:
            self._raise_fault(frame)
        if marks & watch.ENDS_ALL:
            self._note_ends(range(self._choices), alone=True)
        return marks & watch.COUNTS != 0 and self._hides_usage and _only_counts(frame)

    def _note_ends(self, answers: Iterable[int], *, alone: bool) -> None:
        """Note which answers a frame ends, and whether it says nothing else."""
        self._ended.update(answers)
        if not self._complete and self.ended:
            self._complete = True
            self.usage_is_last = self._counted_at >= self._seen - alone

    def _comment(self, raw: bytes) -> bytes:
        """Comments before the first data are no answer yet: until it comes, another channel may be asked."""
        if self._array:
            return b""
        if self._seen:
            return raw
        self._before += raw
        return b""

    def _writer(self) -> WriteStream:
        """Give what says that the stream broke, behind what the caller has of it."""
        behind = None if self._format is None else self._format.write_behind
        if behind is None or self._last is None:
            return writer_of(self._operation, self._facts, as_array=False)
        return behind(self._facts, (*self._frames, self._last))

    def _raise_fault(self, frame: Frame) -> None:
        reader = (self._format or CHAT_FORMATS[Operation.CHAT]).read_stream()
        with suppress(ValueError):  # a frame out of its context; that it is JSON was seen
            for _ in reader.feed(frame):
                pass


class Spoken(Unchanged):
    """Does the same with speech in events, and keeps them to be measured."""

    def take(self, data: bytes) -> bytes:
        if len(self.kept) < KEPT_SOUND_BYTES_MAX:
            self.kept += data
        return super().take(data)


class Drawn(Unchanged):
    """Does the same with pictures in events, and counts those on their way: they are too large to be kept."""

    def __init__(self, operation: Operation, facts: AnswerFacts, *, as_array: bool = False, choices: int = 1) -> None:
        super().__init__(operation, facts, as_array=as_array, choices=choices)
        self._begun = self._ended

    def _note_ends(self, answers: Iterable[int], *, alone: bool) -> None:
        # An event that ends one of several does not say which.
        super()._note_ends(answers if alone else (len(self._ended),), alone=alone)

    def _see(self, raw: bytes, frame: Frame | None) -> bytes:
        out = super()._see(raw, frame)
        if frame is not None and watch.PARTIAL_PICTURE in frame.data and len(self.kept) < KEPT_BYTES_MAX:
            self.kept += watch.PARTIAL_PICTURE
        return out


class Translated:
    """Reads the vendor's frames and writes the caller's."""

    def __init__(self, reader: ReadStream, writer: WriteStream) -> None:
        self.usage: ChatUsage | None = None
        self.kept = bytearray()
        self.told: dict[str, str] = {}
        self._reader = reader
        self._writer = writer
        self._splitter = Splitter()
        self._halves = Halves()
        self.usage_is_last = False
        self._texts: list[str] = []
        self._error: StreamFault | ValueError | Fault | None = None

    def take(self, data: bytes) -> bytes:
        if self._error is not None:
            raise self._error
        out: list[bytes] = []
        deltas: Iterator[Delta] = iter(())
        try:
            for _, frame in self._splitter.feed(data):
                if frame is not None:
                    deltas = iter(self._deltas(frame))
                    # What was told before a piece that cannot be is in `out` by then.
                    out.extend(map(self._delta, deltas))
        except (StreamFault, ValueError, Fault) as error:
            with suppress(StreamFault, ValueError):  # what breaks is known; what the frame counts holds all the same
                self._count(deltas)
            if not any(out):
                raise
            self._error = error
        return b"".join(out)

    @property
    def ended(self) -> bool:
        return self._reader.complete

    def end(self) -> bytes:
        if self._error is not None:
            raise self._error
        out = _last_of(self._splitter, self._frame, ended=self.ended)
        if not self._reader.complete:
            raise ValueError("the stream ended before its end")
        return out + self._writer.end()

    def fault(self, fault: Fault, request_id: str) -> bytes:
        return self._writer.fault(fault, request_id)

    def texts(self) -> Iterable[str]:
        return self._texts

    def _frame(self, _raw: bytes, frame: Frame) -> bytes:
        return b"".join(self._delta(delta) for delta in self._deltas(frame))

    def _deltas(self, frame: Frame) -> Iterable[Delta]:
        data, meant = frame.data, frame
        if data[-1:] in _BLANKS or b"\\ud" in data or b"\\uD" in data:
            meant = _meant(frame, self._halves)
        if meant is None:
            return ()
        if b'"usage' in data:
            self.told |= watch.facts(meant)
        return self._reader.feed(meant)

    def _count(self, deltas: Iterator[Delta]) -> None:
        for delta in deltas:
            if isinstance(delta, Counted):
                self.usage = larger(self.usage, delta.usage)

    def _delta(self, delta: Delta) -> bytes:
        match delta:
            case Counted():
                self.usage = larger(self.usage, delta.usage)
                self.usage_is_last = delta.usage.output > 0
            case Began(usage=ChatUsage() as usage):
                self.usage = usage
            case _:
                text = text_of(delta)
                if text:
                    self._texts.append(text)
                    self.usage_is_last = False
        return self._writer.write(delta)


class Binary:
    """Forwards bytes that are no events: sound."""

    def __init__(self) -> None:
        self.usage: ChatUsage | None = None
        self.usage_is_last = True
        self.kept = bytearray()
        self.told: dict[str, str] = {}

    def take(self, data: bytes) -> bytes:
        if len(self.kept) < KEPT_SOUND_BYTES_MAX:
            self.kept += data
        return data

    @property
    def ended(self) -> bool:
        return False

    def end(self) -> bytes:
        return b""

    def fault(self, fault: Fault, request_id: str) -> bytes:
        raise Broken(fault, request_id)

    def texts(self) -> Iterable[str]:
        return ()


class Broken(Exception):
    """A stream without words broke: the connection must be cut, so that nobody takes it for whole."""

    def __init__(self, fault: Fault, request_id: str) -> None:
        super().__init__(f"{fault.message} (request id {request_id})")


def writer_of(operation: Operation, facts: AnswerFacts, *, as_array: bool) -> WriteStream:
    """Give what writes streams of this format; formats without a writer of their own break as OpenAI's chat does."""
    if as_array:
        from halley.wire.gemini import write_array_stream

        return write_array_stream(facts)
    return CHAT_FORMATS.get(operation, CHAT_FORMATS[Operation.CHAT]).write_stream(facts)


def text_of(delta: Delta) -> str:
    """Give what a piece adds to the text of the answer."""
    match delta:
        case TextPiece() | RefusalPiece() | ThinkingPiece():
            return delta.text
        case CallPiece():
            return delta.arguments
        case BlobPiece():
            return ""
        case _:
            return ""


def texts_of_completion(data: bytes) -> Iterator[str]:
    """Give the text of a completion, whole or in pieces. Raises `ValueError`."""
    for choice in as_list(as_object(codec.decode_reply(data)).get("choices")):
        yield as_text(as_object(choice).get("text"))


def texts_of_transcript(frames: Iterable[Frame]) -> list[str]:
    """Give the text of a transcript that was streamed: its pieces, or what was told at its end alone."""
    pieces, whole = list[str](), list[str]()
    for frame in frames:
        with suppress(ValueError):  # what is broken has no text
            event = as_object(codec.decode_reply(frame.data))
            match as_text(event.get("type")) or frame.event:
                case "transcript.text.delta":
                    pieces.append(as_text(event.get("delta")))
                case "transcription.text.delta":
                    pieces.append(as_text(event.get("text")))
                case "transcript.text.done" | "transcription.done":
                    whole.append(as_text(event.get("text")))
                case _:
                    pass
    return pieces or whole


class _Array:
    """Writes items of one JSON array, one after another."""

    def __init__(self) -> None:
        self._items = 0

    def item(self, data: bytes) -> bytes:
        self._items += 1
        return (b"[" if self._items == 1 else b",\r\n") + data

    def end(self) -> bytes:
        return b"]" if self._items else b"[]"


def _as_much_again(text: str, kept: int, unkept: int) -> str:
    """Give what stands for frames that were not kept: as much of the same as so many of the kept ones said.

    By their number and not their bytes, which may be a picture's.
    """
    share = max(kept, 1)
    return (text * -(-unkept // share))[: len(text) * unkept // share]


def _meant(frame: Frame, halves: Halves) -> Frame | None:
    """Give a frame as its vendor meant it: without blanks around it and halves of characters; None for an empty one."""
    data = frame.data.strip()
    return halves.joined(Frame(data, frame.event)) if data else None


def _last_of(splitter: Splitter, see: Callable[[bytes, Frame], bytes], *, ended: bool) -> bytes:
    """Give what comes of a last frame without its empty line. Behind the format's end nobody misses half a frame."""
    rest = splitter.rest
    frame = parse(rest) if rest.strip() else None
    try:
        return b"" if frame is None else see(rest, frame)
    except ValueError:
        if not ended:
            raise
        return b""


def _only_counts(frame: Frame) -> bool:
    """Whether a chunk of OpenAI's chat tells the usage and nothing else; one of Azure's filters counts nothing yet."""
    if frame.data == DONE or b'"choices"' not in frame.data:
        return False
    chunk = as_object(codec.decode(frame.data))
    return chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)
