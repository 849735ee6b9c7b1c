"""Responses: `POST /v1/responses`."""

from halley.wire.contract import ChatFormat
from halley.wire.openai.responses.order import read_order, write_order
from halley.wire.openai.responses.reply import read_reply, write_reply
from halley.wire.openai.responses.stream_in import ReadResponsesStream
from halley.wire.openai.responses.stream_out import WriteResponsesStream
from halley.wire.openai.usage import read_usage

RESPONSES = ChatFormat(
    name="openai.responses",
    read_order=read_order,
    write_order=write_order,
    read_reply=read_reply,
    write_reply=write_reply,
    read_stream=ReadResponsesStream,
    write_stream=WriteResponsesStream,
    write_behind=WriteResponsesStream.behind,
    read_usage=read_usage,
)

__all__ = ["RESPONSES"]
