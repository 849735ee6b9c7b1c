"""Puts a streamed answer together: the pieces in their order become a whole reply. Pure."""

from collections.abc import Iterable, Mapping
from typing import assert_never

import msgspec

from halley.kernel.chat import (
    Began,
    BlobPiece,
    CallBegan,
    CallPiece,
    ChatReply,
    ChatUsage,
    Choice,
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


def gather(deltas: Iterable[Delta]) -> ChatReply:
    """Give the whole reply of a complete stream. Raises `ValueError` for one that never began or has no end."""
    gatherer = Gatherer()
    for delta in deltas:
        gatherer.add(delta)
    return gatherer.reply()


class Gatherer:
    """Takes the pieces as they come."""

    def __init__(self) -> None:
        self._began: Began | None = None
        self._choices: dict[int, _Choice] = {}
        self._usage: ChatUsage | None = None

    def add(self, delta: Delta) -> None:
        """Take the next piece. Raises `ValueError` for more of a call that did not begin."""
        match delta:
            case Began():
                self._began = self._began or delta
                self._usage = delta.usage or self._usage
            case Counted():
                self._usage = delta.usage
            case _:
                self._choices.setdefault(delta.choice, _Choice()).add(delta)

    def reply(self) -> ChatReply:
        """Give what has come. Raises `ValueError` when the stream never began or a choice has no end."""
        if self._began is None or not self._choices:
            raise ValueError("the stream ended before it began")
        return ChatReply(
            id=self._began.id,
            model=self._began.model,
            created_s=self._began.created_s,
            choices=tuple(choice.whole(index) for index, choice in sorted(self._choices.items())),
            usage=self._usage,
        )


class _Choice:
    """One answer while it grows: texts and arguments are joined once, at the end."""

    def __init__(self) -> None:
        self._parts: list[_Growing | Part] = []
        self._calls: dict[int, _Growing] = {}
        self._citations: list[Citation] = []
        self._stopped: Stopped | None = None

    def add(
        self, delta: TextPiece | RefusalPiece | ThinkingPiece | CallBegan | CallPiece | BlobPiece | Cited | Stopped
    ) -> None:
        match delta:
            case TextPiece(text="") | RefusalPiece(text=""):
                pass
            case TextPiece():
                self._open(Text(text="")).pieces.append(delta.text)
            case RefusalPiece():
                self._open(Refusal(text="")).pieces.append(delta.text)
            case ThinkingPiece():
                self._think(delta)
            case CallBegan():
                call = ToolCall(id=delta.id, name=delta.name, arguments="", signature=delta.signature)
                self._calls[delta.slot] = self._new(call)
            case CallPiece():
                self._call(delta.slot).pieces.append(delta.arguments)
            case BlobPiece():
                self._parts.append(delta.blob)
            case Cited():
                self._citations.append(delta.citation)
            case Stopped():
                self._stopped = delta
            case _:
                assert_never(delta)

    def whole(self, index: int) -> Choice:
        if self._stopped is None:
            raise ValueError(f"the stream ended before its answer {index} did")
        return Choice(
            index=index,
            parts=tuple(part.whole() if isinstance(part, _Growing) else part for part in self._parts),
            citations=tuple(self._citations),
            stop=self._stopped.reason,
            stop_sequence=self._stopped.stop_sequence,
        )

    def _think(self, piece: ThinkingPiece) -> None:
        if piece.redacted is not None:
            self._parts.append(Thinking(text=piece.text, signature=piece.signature, redacted=piece.redacted))
            return
        thought = self._open(Thinking())
        thought.pieces.append(piece.text)
        if piece.signature is not None:
            thought.part = Thinking(signature=piece.signature)
            thought.closed = True

    def _open(self, empty: Text | Refusal | Thinking) -> "_Growing":
        """Give the last part if more of the same kind may be added to it, or begin one."""
        last = self._parts[-1] if self._parts else None
        if isinstance(last, _Growing) and type(last.part) is type(empty) and not last.closed:
            return last
        return self._new(empty)

    def _new(self, part: "_Grows") -> "_Growing":
        growing = _Growing(part)
        self._parts.append(growing)
        return growing

    def _call(self, slot: int) -> "_Growing":
        call = self._calls.get(slot)
        if call is None:
            raise ValueError(f"more of a tool call came before its beginning (slot {slot})")
        return call


_Grows = Text | Refusal | Thinking | ToolCall
_FIELDS: Mapping[type[_Grows], str] = {Text: "text", Refusal: "text", Thinking: "text", ToolCall: "arguments"}


class _Growing:
    """A part whose text is still coming."""

    def __init__(self, part: _Grows) -> None:
        self.part = part
        self.pieces: list[str] = []
        self.closed = False

    def whole(self) -> Part:
        return msgspec.structs.replace(self.part, **{_FIELDS[type(self.part)]: "".join(self.pieces)})
