"""The chat formats, and what reads the usage of replies, by the operation that speaks each."""

from collections.abc import Callable, Mapping

from halley.kernel.chat import ChatUsage
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
USAGE_READERS: Mapping[Operation, Callable[[bytes], ChatUsage | None]] = {
    Operation.MESSAGES: MESSAGES.read_usage,
    Operation.CONTENT: CONTENT.read_usage,
    Operation.EMBED_CONTENT: CONTENT.read_usage,
    Operation.EMBED_CONTENTS: CONTENT.read_usage,
}
"""Of whole replies. All others count in OpenAI's words, which are found in the outline of a reply."""
