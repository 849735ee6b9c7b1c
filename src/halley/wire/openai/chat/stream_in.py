"""Reads a vendor's stream of chat completions. One mapper per field of a piece, in a table."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from halley.kernel.chat import (
    Began,
    BlobPiece,
    CallBegan,
    CallPiece,
    Cited,
    Counted,
    Delta,
    RefusalPiece,
    Stopped,
    TextPiece,
    ThinkingPiece,
)
from halley.kernel.codec import decode
from halley.kernel.loose import as_list, as_object, as_text
from halley.kernel.sse import DONE, Frame
from halley.wire.contract import StreamFault
from halley.wire.openai.chat.calls import arguments_text, signature_of, thoughts_of
from halley.wire.openai.chat.reply import call_id, content_text, content_thoughts, pictures_of
from halley.wire.openai.errors import read_error
from halley.wire.openai.notes import read_notes, sources_of
from halley.wire.openai.stops import read_stop
from halley.wire.openai.usage import usage_of

CHOICES_MAX = 128
CALLS_MAX = 1_024


class ReadChatStream:
    """Reads one stream."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._choices: dict[int, _Choice] = {}
        self._sources: list[Any] = []
        self._done = False

    @property
    def complete(self) -> bool:
        """Whether `[DONE]` came, which some vendors leave out, or else an end of each answer."""
        return self._done or (bool(self._choices) and all(choice.stopped for choice in self._choices.values()))

    def feed(self, frame: Frame) -> Iterator[Delta]:
        """Read one frame. Raises `StreamFault`, `ValueError`."""
        if frame.data.strip() == DONE:
            self._done = True
            for choice in self._choices.values():
                yield from choice.ended(None, self._sources)
            return
        chunk = decode(frame.data)
        if not isinstance(chunk, dict):
            raise ValueError("a frame of the stream is no object")  # noqa: TRY004  (what cannot be read, not a type of ours)
        yield from self._read(as_object(chunk), frame.event)

    def _read(self, chunk: dict[str, Any], event: str) -> Iterator[Delta]:
        error = chunk.get("error") or (chunk if event == "error" or chunk.get("object") == "error" else None)
        if error:
            raise StreamFault(read_error(error))
        choices = as_list(chunk.get("choices"))
        yield from self._began(chunk, begin=bool(choices))
        self._sources = sources_of(chunk) or self._sources
        for position, item in enumerate(choices):
            yield from self._choice(as_object(item), position).read(as_object(item), self._sources)
        usage = chunk.get("usage") or as_object(chunk.get("x_groq")).get("usage")
        if usage and (counted := usage_of(as_object(usage))):
            yield Counted(usage=counted)

    def _began(self, chunk: dict[str, Any], *, begin: bool) -> Iterator[Delta]:
        """A first chunk may be there for the vendor's filters alone, without an id."""
        identity = as_text(chunk.get("id"))
        if self._id is None and (identity or begin):
            self._id = identity
            created = chunk.get("created")
            yield Began(
                id=identity,
                model=as_text(chunk.get("model")),
                created_s=int(created) if isinstance(created, int | float) and created > 0 else None,
            )

    def _choice(self, item: dict[str, Any], position: int) -> "_Choice":
        index = item.get("index")
        place = index if isinstance(index, int) else position
        if place not in self._choices:
            if len(self._choices) >= CHOICES_MAX:
                raise ValueError(f"the stream has more than {CHOICES_MAX} answers")
            self._choices[place] = _Choice(place, self._id or "")
        return self._choices[place]


class _Call:
    """A tool call that is coming."""

    def __init__(self, slot: int, identity: str) -> None:
        self.slot = slot
        self.identity = identity
        self.held = ""
        """Arguments that came before the function's name."""
        self.began = False
        self.filled = False

    def is_another(self, name: str, identity: str, *, indexed: bool) -> bool:
        """Whether a piece that seems to go on with this call begins another."""
        if not self.began or not name:
            return False
        return identity != self.identity if identity else not indexed


class _Choice:
    """One of the answers while it comes."""

    def __init__(self, index: int, reply_id: str) -> None:
        self.index = index
        self.stopped = False
        self._reply_id = reply_id
        self._refused = False
        self._length = 0
        """Of the text so far."""
        self._cites = False
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def read(self, item: dict[str, Any], sources: list[Any]) -> Iterator[Delta]:
        """Read one piece; `sources` is what the whole answer rests on, as told so far."""
        delta = as_object(item.get("delta"))
        yield from self.thoughts(delta)
        for name, read in _FIELDS.items():
            if delta.get(name):
                yield from read(self, delta)
        if word := as_text(item.get("finish_reason")):
            yield from self.ended(word, sources)

    def ended(self, word: str | None, sources: list[Any]) -> Iterator[Delta]:
        """Say why it ended, once; some vendors send no word for it before `[DONE]`."""
        if self.stopped:
            return
        self.stopped = True
        yield from self._ends_of_calls()
        if self._length and not self._cites:
            yield from self.notes({"annotations": sources})
        reason = read_stop(word, calls=bool(self._calls), refused=self._refused)
        yield Stopped(reason=reason, choice=self.index)

    def thoughts(self, delta: dict[str, Any]) -> Iterator[Delta]:
        for thought in thoughts_of(delta):
            yield ThinkingPiece(
                text=thought.text, signature=thought.signature, redacted=thought.redacted, choice=self.index
            )

    def content(self, delta: dict[str, Any]) -> Iterator[Delta]:
        content = delta.get("content")
        parts = as_list(content)
        if parts and (thought := content_thoughts(parts)):
            yield ThinkingPiece(text=thought, choice=self.index)
        if text := content_text(content):
            self._length += len(text)
            yield TextPiece(text=text, choice=self.index)
        if parts:
            yield from self.pictures({"content": parts})

    def notes(self, delta: dict[str, Any]) -> Iterator[Delta]:
        for citation in read_notes(delta.get("annotations"), self._length):
            self._cites = True
            yield Cited(citation=citation, choice=self.index)

    def refusal(self, delta: dict[str, Any]) -> Iterator[Delta]:
        self._refused = True
        yield RefusalPiece(text=as_text(delta.get("refusal")), choice=self.index)

    def pictures(self, delta: dict[str, Any]) -> Iterator[Delta]:
        for picture in pictures_of(delta):
            yield BlobPiece(blob=picture, choice=self.index)

    def calls(self, delta: dict[str, Any]) -> Iterator[Delta]:
        for item in as_list(delta.get("tool_calls")):
            yield from self._call(as_object(item))

    def legacy_call(self, delta: dict[str, Any]) -> Iterator[Delta]:
        yield from self._call({"index": -1, "function": delta.get("function_call")})

    def _call(self, item: dict[str, Any]) -> Iterator[Delta]:
        function = as_object(item.get("function"))
        call = self._slot(item, as_text(function.get("name")))
        arguments = arguments_text(function)
        if not call.began:
            call.held += arguments
            if not (name := as_text(function.get("name"))):
                return
            call.began, arguments = True, call.held
            identity = call_id(call.identity, self._reply_id, self.index, call.slot)
            yield CallBegan(slot=call.slot, id=identity, name=name, signature=signature_of(item), choice=self.index)
        if arguments:
            call.filled = True
            yield CallPiece(slot=call.slot, arguments=arguments, choice=self.index)

    def _ends_of_calls(self) -> Iterator[Delta]:
        """A call without arguments is one with none: other formats want an object. Raises `ValueError`."""
        for call in self._calls:
            if not call.began:
                raise ValueError("a tool call in the stream has no name")
            if not call.filled:
                yield CallPiece(slot=call.slot, arguments="{}", choice=self.index)

    def _slot(self, item: dict[str, Any], name: str) -> _Call:
        """Find the call that a piece belongs to.

        Some vendors send whole calls, all with the index 0 or with none: an id and a name of its own begin a new one.
        """
        identity, index = as_text(item.get("id")), item.get("index")
        indexed = isinstance(index, int)
        last = self._calls[-1] if self._calls else None
        known = self._by_index.get(index) if indexed else last
        if known is not None and not known.is_another(name, identity, indexed=indexed):
            known.identity = known.identity or identity
            return known
        if len(self._calls) >= CALLS_MAX:
            raise ValueError(f"the stream has more than {CALLS_MAX} tool calls")
        call = _Call(len(self._calls), identity)
        self._calls.append(call)
        self._by_index[index if indexed else call.slot] = call
        return call


# In the order in which they stand in an answer, behind the thoughts.
_FIELDS: Mapping[str, Callable[[_Choice, dict[str, Any]], Iterator[Delta]]] = {
    "content": _Choice.content,
    "annotations": _Choice.notes,
    "refusal": _Choice.refusal,
    "images": _Choice.pictures,
    "tool_calls": _Choice.calls,
    "function_call": _Choice.legacy_call,
}
