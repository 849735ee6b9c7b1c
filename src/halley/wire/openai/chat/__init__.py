"""Chat completions: `POST /v1/chat/completions`."""

from halley.wire.contract import ChatFormat
from halley.wire.openai.chat.order import read_order, write_order, write_order_with_thoughts
from halley.wire.openai.chat.reply import read_reply, write_reply
from halley.wire.openai.chat.stream_in import ReadChatStream
from halley.wire.openai.chat.stream_out import WriteChatStream
from halley.wire.openai.usage import read_usage

CHAT = ChatFormat(
    name="openai.chat",
    read_order=read_order,
    write_order=write_order,
    read_reply=read_reply,
    write_reply=write_reply,
    read_stream=ReadChatStream,
    write_stream=WriteChatStream,
    read_usage=read_usage,
)

__all__ = ["CHAT", "write_order_with_thoughts"]
