"""The format of `generateContent` and `streamGenerateContent`, to and from our own words."""

from halley.wire.contract import ChatFormat
from halley.wire.gemini.encode import write_order
from halley.wire.gemini.hints import HINTS
from halley.wire.gemini.listening import ContentStream
from halley.wire.gemini.orders import read_order
from halley.wire.gemini.replies import read_reply, write_reply
from halley.wire.gemini.telling import ContentWriter, write_array_stream
from halley.wire.gemini.usage import read_usage

__all__ = ["CONTENT", "HINTS", "write_array_stream"]

CONTENT = ChatFormat(
    name="gemini.content",
    read_order=read_order,
    write_order=write_order,
    read_reply=read_reply,
    write_reply=write_reply,
    read_stream=ContentStream,
    write_stream=ContentWriter,
    read_usage=read_usage,
)
