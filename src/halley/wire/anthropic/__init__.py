"""The format of `POST /v1/messages`, to and from our own words."""

from halley.wire.anthropic.encode import write_order
from halley.wire.anthropic.hints import HINTS
from halley.wire.anthropic.listening import MessageStream
from halley.wire.anthropic.orders import read_order
from halley.wire.anthropic.replies import read_reply, write_reply
from halley.wire.anthropic.telling import MessageWriter
from halley.wire.anthropic.usage import read_usage
from halley.wire.contract import ChatFormat

__all__ = ["HINTS", "MESSAGES"]

MESSAGES = ChatFormat(
    name="anthropic.messages",
    read_order=read_order,
    write_order=write_order,
    read_reply=read_reply,
    write_reply=write_reply,
    read_stream=MessageStream,
    write_stream=MessageWriter,
    read_usage=read_usage,
)
