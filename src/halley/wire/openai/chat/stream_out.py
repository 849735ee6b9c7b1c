"""Writes a stream of chat completions to a caller. One mapper per kind of piece, in a table."""

from collections.abc import Callable, Mapping
from typing import Any

from halley.kernel.chat import (
    Began,
    BlobPiece,
    CallBegan,
    CallPiece,
    ChatUsage,
    Cited,
    Counted,
    Delta,
    RefusalPiece,
    Stopped,
    TextPiece,
    Thinking,
    ThinkingPiece,
)
from halley.kernel.codec import encode
from halley.kernel.faults import Fault
from halley.kernel.sse import DONE, frame
from halley.wire.contract import AnswerFacts
from halley.wire.openai.chat.calls import write_detail, write_signature
from halley.wire.openai.chat.reply import write_picture
from halley.wire.openai.errors import render_fault
from halley.wire.openai.notes import chat_note
from halley.wire.openai.stops import write_stop
from halley.wire.openai.usage import write_chat_usage


class WriteChatStream:
    """Writes one stream. The usage comes last, in a chunk of its own, if the caller wants it."""

    def __init__(self, facts: AnswerFacts) -> None:
        self._facts = facts
        self._begun: set[int] = set()
        self._refused: set[int] = set()
        self._thoughts: dict[int, int] = {}
        """The index of each answer's thought that is coming or comes next."""
        self._unsealed: set[int] = set()
        self._usage: ChatUsage | None = None

    def write(self, delta: Delta) -> bytes:
        """Give the frames for one piece."""
        return _WRITERS[type(delta)](self, delta)

    def end(self) -> bytes:
        """Give the usage and `[DONE]`."""
        last = frame(DONE)
        if self._usage is None or not self._facts.include_usage:
            return last
        return self._frame([], usage=write_chat_usage(self._usage)) + last

    def fault(self, fault: Fault, request_id: str) -> bytes:
        """Give the error as a frame, which SDKs raise, and no `[DONE]`."""
        _, body = render_fault(fault, request_id)
        return frame(encode(body))

    # --- one per kind of piece --------------------------------------------------------------------------------

    def began(self, piece: Began) -> bytes:
        self._usage = piece.usage or self._usage
        return self._begin(0)

    def text(self, piece: TextPiece) -> bytes:
        return self._piece(piece.choice, {"content": piece.text})

    def refusal(self, piece: RefusalPiece) -> bytes:
        self._refused.add(piece.choice)
        return self._piece(piece.choice, {"refusal": piece.text})

    def thinking(self, piece: ThinkingPiece) -> bytes:
        """Give words twice, as `reasoning_content` and as details.

        Most clients show the former. Of the latter SDKs put those of one index together, seal and all, so that a
        caller hands back the thought whole.
        """
        thought = Thinking(text=piece.text, signature=piece.signature, redacted=piece.redacted)
        if thought == Thinking():
            return b""
        words: dict[str, Any] = {"reasoning_content": piece.text} if piece.text else {}
        details = [write_detail(self._place_of(piece), thought)]
        return self._piece(piece.choice, {**words, "reasoning_details": details})

    def _place_of(self, piece: ThinkingPiece) -> int:
        """Give the index of the thought that a piece belongs to: a sealed one is over, a hidden one is whole."""
        index = self._thoughts.get(piece.choice, 0)
        if piece.redacted is not None:
            index += piece.choice in self._unsealed
        self._unsealed.add(piece.choice)
        self._thoughts[piece.choice] = index
        if piece.redacted is not None or piece.signature is not None:
            self._unsealed.discard(piece.choice)
            self._thoughts[piece.choice] = index + 1
        return index

    def call_began(self, piece: CallBegan) -> bytes:
        call = {
            "index": piece.slot,
            "id": piece.id,
            "type": "function",
            "function": {"name": piece.name, "arguments": ""},
            **write_signature(piece.signature),
        }
        return self._piece(piece.choice, {"tool_calls": [call]})

    def call(self, piece: CallPiece) -> bytes:
        call = {"index": piece.slot, "function": {"arguments": piece.arguments}}
        return self._piece(piece.choice, {"tool_calls": [call]})

    def blob(self, piece: BlobPiece) -> bytes:
        return self._piece(piece.choice, {"images": [write_picture(piece.blob)]})

    def cited(self, piece: Cited) -> bytes:
        return self._piece(piece.choice, {"annotations": [chat_note(piece.citation)]})

    def stopped(self, piece: Stopped) -> bytes:
        word = write_stop(piece.reason, refused=piece.choice in self._refused)
        return self._begin(piece.choice) + self._frame([_choice(piece.choice, {}, word)])

    def counted(self, piece: Counted) -> bytes:
        self._usage = piece.usage
        return b""

    # --- frames -------------------------------------------------------------------------------------------------

    def _begin(self, choice: int) -> bytes:
        """Give the first chunk of an answer, which names the role."""
        if choice in self._begun:
            return b""
        self._begun.add(choice)
        return self._frame([_choice(choice, {"role": "assistant", "content": "", "refusal": None})])

    def _piece(self, choice: int, delta: dict[str, Any]) -> bytes:
        return self._begin(choice) + self._frame([_choice(choice, delta)])

    def _frame(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        chunk: dict[str, Any] = {
            "id": f"chatcmpl-{self._facts.id}",
            "object": "chat.completion.chunk",
            "created": self._facts.created_s,
            "model": self._facts.model,
            "service_tier": "default",
            "system_fingerprint": None,
            "choices": choices,
        }
        if self._facts.include_usage:
            chunk["usage"] = usage
        return frame(encode(chunk))


def _choice(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


# Each is only called with the kind of piece that it stands for.
_WRITERS: Mapping[type[Delta], Callable[[WriteChatStream, Any], bytes]] = {
    Began: WriteChatStream.began,
    TextPiece: WriteChatStream.text,
    RefusalPiece: WriteChatStream.refusal,
    ThinkingPiece: WriteChatStream.thinking,
    CallBegan: WriteChatStream.call_began,
    CallPiece: WriteChatStream.call,
    BlobPiece: WriteChatStream.blob,
    Cited: WriteChatStream.cited,
    Stopped: WriteChatStream.stopped,
    Counted: WriteChatStream.counted,
}
