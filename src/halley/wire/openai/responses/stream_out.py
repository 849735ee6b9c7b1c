"""Writes a stream of responses to a caller. One mapper per kind of piece, in a table.

The protocol tells the beginning and the end of every item and every part of it, so each open one is kept here until
its end: texts and thoughts are closed by whatever comes next, calls (which may be interleaved) by the end of all.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

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
    ToolCall,
)
from halley.kernel.codec import decode_reply, encode
from halley.kernel.faults import Fault
from halley.kernel.loose import as_object
from halley.kernel.sse import Frame, frame
from halley.wire.contract import AnswerFacts
from halley.wire.openai.errors import render_fault
from halley.wire.openai.responses.envelope import FAILED, IN_PROGRESS, Ending, envelope, usage_field
from halley.wire.openai.responses.ids import item_id
from halley.wire.openai.responses.open_items import OpenCall, OpenItem, OpenMessage, OpenThought
from halley.wire.openai.responses.output import picture_item, picture_text

_FAILURES: Mapping[str, str] = {"rate_limit_error": "rate_limit_exceeded"}
"""The few codes that a failed response may have; all else is `server_error`."""


class WriteResponsesStream:
    """Writes one stream."""

    def __init__(self, facts: AnswerFacts) -> None:
        self._facts = facts
        self._sequence = 0
        self._output: dict[int, dict[str, Any]] = {}
        self._places = 0
        self._open: OpenItem | None = None
        self._calls: dict[int, OpenCall] = {}
        self._usage: ChatUsage | None = None
        self._stopped: Stopped | None = None
        self._refused = False
        self._length = 0
        """Of all texts so far."""
        self._told: dict[str, Any] = {}
        """The response as its vendor told it, where the vendor's own events came before ours."""

    @classmethod
    def behind(cls, facts: AnswerFacts, frames: Iterable[Frame]) -> Self:
        """Go on with the response that a vendor began, under its id and its numbers."""
        writer = cls(facts)
        for each in frames:
            writer._goes_on(each)
        return writer

    def write(self, delta: Delta) -> bytes:
        """Give the frames for one piece. Raises `ValueError` for a second answer, which this format cannot hold."""
        if not isinstance(delta, Began | Counted) and delta.choice:
            raise ValueError("a response holds one answer")
        return self._begin() + _WRITERS[type(delta)](self, delta)

    def end(self) -> bytes:
        """Close what is open and give the whole response."""
        start = self._begin() + self._close_all()
        ending = Ending(self._stopped.reason if self._stopped else StopReason.END, refused=self._refused)
        output = self._in_order()
        fields = {"incomplete_details": ending.details, "usage": usage_field(self._usage)}
        return start + self._event(
            f"response.{ending.status}", {"response": envelope(self._facts, ending.status, output, **fields)}
        )

    def fault(self, fault: Fault, request_id: str) -> bytes:
        """Give `response.failed`, which agents read, and then `error`, which SDKs raise.

        The fields of the latter stand where its type has them and, as OpenAI sends them, in an object of their own.
        """
        _, body = render_fault(fault, request_id)
        error = body["error"]
        code = _FAILURES.get(fault.type, "server_error")
        failure = {"code": code, "message": fault.message}
        fields = {"error": failure, "usage": usage_field(self._usage)}
        response = {**envelope(self._facts, FAILED, self._in_order(), **fields), **self._told}
        response |= {"status": FAILED, **fields}
        start = self._begin() + self._event("response.failed", {"response": response})
        words = {"code": error["code"], "message": error["message"], "param": error["param"], "error": error}
        return start + self._event("error", words)

    # --- one per kind of piece --------------------------------------------------------------------------------

    def began(self, piece: Began) -> bytes:
        self._usage = piece.usage or self._usage
        return b""

    def text(self, piece: TextPiece) -> bytes:
        said = self._say("output_text", piece.text)
        self._length += len(piece.text)
        return said

    def refusal(self, piece: RefusalPiece) -> bytes:
        self._refused = True
        return self._say("refusal", piece.text)

    def thinking(self, piece: ThinkingPiece) -> bytes:
        # A thought that is sealed is over; one that nobody may read is one of its own.
        closed = self._close() if piece.redacted is not None or not isinstance(self._open, OpenThought) else b""
        if isinstance(self._open, OpenThought):
            thought, opened = self._open, b""
        else:
            place = self._place()
            thought = OpenThought(item_id("rs", self._facts, place), place)
            opened = self._events(thought.opened())
        self._open = thought
        said = self._events(thought.said(piece.text)) if piece.text else b""
        if not piece.signature and piece.redacted is None:
            return closed + opened + said
        thought.signature, thought.redacted = piece.signature, piece.redacted
        return closed + opened + said + self._close()

    def call_began(self, piece: CallBegan) -> bytes:
        closed, place = self._close(), self._place()
        call = ToolCall(id=piece.id, name=piece.name, arguments="", signature=piece.signature)
        opened = OpenCall(item_id("fc", self._facts, place), place, call)
        self._calls[piece.slot] = opened
        return closed + self._events(opened.opened())

    def call(self, piece: CallPiece) -> bytes:
        call = self._calls.get(piece.slot)
        if call is None:
            raise ValueError(f"more of a tool call came before its beginning (slot {piece.slot})")
        return self._events(call.said(piece.arguments))

    def blob(self, piece: BlobPiece) -> bytes:
        if (link := picture_text(piece.blob)) is not None:
            return self._say("output_text", link)
        closed, place = self._close(), self._place()
        item = picture_item(item_id("ig", self._facts, place), piece.blob)
        self._output[place] = item
        begun = {**item, "status": IN_PROGRESS, "result": None}
        return (
            closed
            + self._event("response.output_item.added", {"output_index": place, "item": begun})
            + self._event("response.output_item.done", {"output_index": place, "item": item})
        )

    def cited(self, piece: Cited) -> bytes:
        """Say it of the open text, or of an empty one: those before are closed."""
        opened = b"" if isinstance(self._open, OpenMessage) and self._open.is_text else self._say("output_text", "")
        assert isinstance(self._open, OpenMessage)
        return opened + self._events(self._open.cited(piece.citation, self._length))

    def stopped(self, piece: Stopped) -> bytes:
        self._stopped = piece
        return self._close_all()

    def counted(self, piece: Counted) -> bytes:
        self._usage = piece.usage
        return b""

    # --- a vendor's own events --------------------------------------------------------------------------------------

    def _goes_on(self, event: Frame) -> None:
        try:
            fields = as_object(decode_reply(event.data))
        except (ValueError, RecursionError):
            return  # `[DONE]`, or what nobody here could number
        self._told = self._told or as_object(fields.get("response"))
        number = fields.get("sequence_number")
        self._sequence = (number if isinstance(number, int) else self._sequence) + 1

    # --- items --------------------------------------------------------------------------------------------------

    def _say(self, kind: str, text: str) -> bytes:
        if isinstance(self._open, OpenMessage):
            return self._events(self._open.said(kind, text))
        closed, place = self._close(), self._place()
        message = OpenMessage(item_id("msg", self._facts, place), place)
        self._open = message
        return closed + self._events(message.opened()) + self._events(message.said(kind, text))

    def _place(self) -> int:
        self._places += 1
        return self._places - 1

    def _close(self) -> bytes:
        """Close the open message or thought."""
        item, self._open = self._open, None
        return b"" if item is None else self._closed(item)

    def _close_all(self) -> bytes:
        written = self._close()
        for slot in sorted(self._calls):
            written += self._closed(self._calls[slot])
        self._calls = {}
        return written

    def _closed(self, item: OpenItem) -> bytes:
        written = self._events(item.closed())
        self._output[item.place] = item.whole()
        return written

    def _in_order(self) -> list[dict[str, Any]]:
        return [item for _, item in sorted(self._output.items())]

    # --- frames -------------------------------------------------------------------------------------------------

    def _begin(self) -> bytes:
        if self._sequence:
            return b""
        response = {"response": envelope(self._facts, IN_PROGRESS, [])}
        return self._event("response.created", response) + self._event("response.in_progress", response)

    def _events(self, events: list[tuple[str, dict[str, Any]]]) -> bytes:
        return b"".join(self._event(kind, fields) for kind, fields in events)

    def _event(self, kind: str, fields: dict[str, Any]) -> bytes:
        data = encode({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return frame(data, kind)


# Each is only called with the kind of piece that it stands for.
_WRITERS: Mapping[type[Delta], Callable[[WriteResponsesStream, Any], bytes]] = {
    Began: WriteResponsesStream.began,
    TextPiece: WriteResponsesStream.text,
    RefusalPiece: WriteResponsesStream.refusal,
    ThinkingPiece: WriteResponsesStream.thinking,
    CallBegan: WriteResponsesStream.call_began,
    CallPiece: WriteResponsesStream.call,
    BlobPiece: WriteResponsesStream.blob,
    Cited: WriteResponsesStream.cited,
    Stopped: WriteResponsesStream.stopped,
    Counted: WriteResponsesStream.counted,
}
