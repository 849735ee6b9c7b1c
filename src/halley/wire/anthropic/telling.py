"""Writes a stream of messages for a caller: one block open at a time, in the order that SDKs put together."""

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
    StopReason,
    TextPiece,
    ThinkingPiece,
)
from halley.kernel.codec import decode, encode
from halley.kernel.faults import Fault
from halley.kernel.sse import frame
from halley.wire.anthropic.citations import write_citation
from halley.wire.anthropic.errors import render_fault
from halley.wire.anthropic.replies import STOP_WORDS, Json, message_id, write_details
from halley.wire.anthropic.usage import write_last_usage, write_usage
from halley.wire.contract import AnswerFacts, StreamFault
from halley.wire.extras import not_conveyed

_Piece = TextPiece | RefusalPiece | ThinkingPiece | CallBegan | CallPiece | BlobPiece | Cited


class MessageWriter:
    """The state of one stream.

    A block cannot be opened again. So while the arguments of an open call are not whole, what belongs to other blocks
    waits; it goes on as soon as they are, at the latest when the answer stops.
    """

    def __init__(self, facts: AnswerFacts) -> None:
        self._facts = facts
        self._out: list[bytes] = []
        self._begun = False
        self._index = -1
        self._open: str | None = None
        """What block is open: `text`, `thinking` or `call`."""
        self._slot = -1
        self._arguments: list[str] = []
        self._waiting: list[_Piece] = []
        self._refusal: list[str] = []
        self._stopped: Stopped | None = None
        self._usage: ChatUsage | None = None

    def write(self, delta: Delta) -> bytes:
        """Raises `StreamFault` for an answer with images or sound, `ValueError` for arguments behind their end."""
        match delta:
            case Began():
                self._begin(delta.usage)
            case Counted(usage=usage):
                self._usage = usage
            case Stopped():
                self._stop(delta)
            case _:
                self._begin(None)
                self._take(delta)
        return self._flush()

    def end(self) -> bytes:
        """The last two events: what stopped the answer with the final usage, and that nothing follows."""
        self._begin(None)
        stopped = self._stopped
        delta: Json = {
            "stop_reason": STOP_WORDS[stopped.reason] if stopped else None,
            "stop_sequence": stopped.stop_sequence if stopped else None,
            **write_details("".join(self._refusal)),
        }
        self._event("message_delta", delta=delta, usage=write_last_usage(self._usage))
        self._event("message_stop")
        return self._flush()

    def fault(self, fault: Fault, request_id: str) -> bytes:
        return frame(encode(render_fault(fault, request_id)[1]), "error")

    # --- message and blocks -------------------------------------------------------------------------------------

    def _begin(self, usage: ChatUsage | None) -> None:
        if self._begun:
            return
        self._begun = True
        self._usage = usage
        message: Json = {
            "id": message_id(self._facts),
            "type": "message",
            "role": "assistant",
            "model": self._facts.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(usage),
        }
        self._event("message_start", message=message)

    def _stop(self, stopped: Stopped) -> None:
        self._begin(None)
        self._stopped = stopped
        self._release(forced=True)
        if stopped.reason is not StopReason.REFUSED and self._refusal:
            # Words for not answering that came without a refusal are words like any other.
            self._text("".join(self._refusal))
            self._refusal.clear()
        self._close()

    def _take(self, piece: _Piece) -> None:
        """Write a piece, or let it wait for the open call."""
        if self._open == "call" and not (isinstance(piece, CallPiece) and piece.slot == self._slot):
            self._waiting.append(piece)
            self._release(forced=False)
            return
        self._put(piece)
        if self._waiting:
            self._release(forced=False)

    def _release(self, *, forced: bool) -> None:
        """Write what waits, as far as the open call allows; `forced` closes calls that are not whole."""
        while self._waiting:
            if self._open == "call":
                self._catch_up()
                if not (forced or self._whole()):
                    return
                self._close()
            else:
                self._put(self._waiting.pop(0))

    def _catch_up(self) -> None:
        """Write what waits of the open call's own arguments."""
        others: list[_Piece] = []
        for piece in self._waiting:
            if isinstance(piece, CallPiece) and piece.slot == self._slot:
                self._put(piece)
            else:
                others.append(piece)
        self._waiting = others

    def _whole(self) -> bool:
        """Whether the open call's arguments are a whole object, to which nothing can be added."""
        text = "".join(self._arguments)
        if not text.rstrip().endswith("}"):
            return False
        try:
            decode(text)
        except (ValueError, RecursionError):
            return False
        return True

    def _put(self, piece: _Piece) -> None:
        match piece:
            case TextPiece(text=text):
                self._text(text)
            case RefusalPiece(text=text):
                self._refusal.append(text)
            case ThinkingPiece():
                self._think(piece)
            case CallBegan():
                self._call(piece)
            case CallPiece(slot=slot, arguments=arguments):
                self._continue(slot, arguments)
            case Cited(citation=citation):
                # Of the open text; an answer that went on has one without words for it.
                self._opened("text", {"type": "text", "text": ""})
                self._delta({"type": "citations_delta", "citation": write_citation(citation)})
            case BlobPiece(blob=blob):
                why = f"its answer holds {blob.kind.value}, which this format has no block for"
                raise StreamFault(not_conveyed("model", why))

    def _text(self, text: str) -> None:
        if text:
            self._opened("text", {"type": "text", "text": ""})
            self._delta({"type": "text_delta", "text": text})

    def _think(self, piece: ThinkingPiece) -> None:
        if piece.redacted is not None:
            self._close()
            self._start("redacted", {"type": "redacted_thinking", "data": piece.redacted})
            self._close()
            return
        if piece.text or piece.signature:
            self._opened("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        if piece.text:
            self._delta({"type": "thinking_delta", "thinking": piece.text})
        if piece.signature:
            self._delta({"type": "signature_delta", "signature": piece.signature})
            self._close()

    def _call(self, piece: CallBegan) -> None:
        self._close()
        self._slot = piece.slot
        self._arguments = []
        self._start("call", {"type": "tool_use", "id": piece.id, "name": piece.name, "input": {}})

    def _continue(self, slot: int, arguments: str) -> None:
        if self._open == "call" and slot == self._slot:
            if arguments:
                self._arguments.append(arguments)
                self._delta({"type": "input_json_delta", "partial_json": arguments})
        elif arguments.strip():
            raise ValueError(f"the arguments of call {slot} go on after their end")

    def _opened(self, kind: str, block: Json) -> None:
        if self._open != kind:
            self._close()
            self._start(kind, block)

    def _start(self, kind: str, block: Json) -> None:
        self._open = kind
        self._index += 1
        self._event("content_block_start", index=self._index, content_block=block)

    def _close(self) -> None:
        if self._open is not None:
            self._open = None
            self._event("content_block_stop", index=self._index)

    def _delta(self, delta: Json) -> None:
        self._event("content_block_delta", index=self._index, delta=delta)

    def _event(self, kind: str, **fields: Json | int) -> None:
        self._out.append(frame(encode({"type": kind, **fields}), kind))

    def _flush(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out
