"""What the tests of all formats share: an answer's facts, small replies, streams written and read again."""

from collections.abc import Iterable
from typing import Any

from tests.wire.strategies import deltas_of

from halley.kernel.chat import ChatReply, ChatUsage, Choice, Delta, Message, Part, Role, StopReason, Text, Tool
from halley.kernel.codec import decode_object, encode
from halley.kernel.sse import DONE, Frame, Splitter
from halley.wire.contract import AnswerFacts, ChatFormat, ReadStream, WriteStream
from halley.wire.gather import gather

USER = Message(role=Role.USER, parts=(Text(text="Hi"),))
TOOL = Tool(name="f", parameters={"type": "object", "properties": {}})
FACTS = AnswerFacts(id="abc", model="alias", created_s=1, body={})


def said(role: Role, *parts: Part) -> Message:
    return Message(role=role, parts=parts)


def facts_of(reply: ChatReply) -> AnswerFacts:
    return AnswerFacts(id=reply.id, model=reply.model, created_s=1, body={})


def reply_of(*parts: Part, stop: StopReason = StopReason.END, usage: ChatUsage | None = None) -> ChatReply:
    return ChatReply(id="r", model="m", choices=(Choice(parts=parts, stop=stop),), usage=usage)


def frames_of(data: bytes) -> list[Frame]:
    return [frame for _, frame in Splitter().feed(data) if frame is not None]


def events_of(data: bytes) -> list[dict[str, Any]]:
    return [decode_object(frame.data) for frame in frames_of(data) if frame.data != DONE]


def read(reader: ReadStream, data: bytes) -> list[Delta]:
    return [delta for frame in frames_of(data) for delta in reader.feed(frame)]


def write(writer: WriteStream, deltas: Iterable[Delta]) -> bytes:
    return b"".join([*(writer.write(delta) for delta in deltas), writer.end()])


def retold(form: ChatFormat, reply: ChatReply) -> ChatReply:
    """The reply written whole and read again."""
    return form.read_reply(decode_object(encode(form.write_reply(reply, facts_of(reply)))))


def streamed(form: ChatFormat, reply: ChatReply) -> ChatReply:
    """The reply written as a stream, read and put together again."""
    reader = form.read_stream()
    told = gather(read(reader, write(form.write_stream(facts_of(reply)), deltas_of(reply))))
    assert reader.complete
    return told
