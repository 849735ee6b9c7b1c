"""The chat formats, by the operation that speaks each."""

from collections.abc import Mapping

from halley.kernel.operation import Operation
from halley.wire.anthropic import MESSAGES
from halley.wire.contract import ChatFormat
from halley.wire.gemini import CONTENT
from halley.wire.openai import CHAT, RESPONSES

CHAT_FORMATS: Mapping[Operation, ChatFormat] = {
    Operation.CHAT: CHAT,
    Operation.RESPONSES: RESPONSES,
    Operation.MESSAGES: MESSAGES,
    Operation.CONTENT: CONTENT,
}
