"""OpenAI's formats of chat, chat completions and responses, to and from our own words."""

from halley.wire.openai.chat import CHAT
from halley.wire.openai.responses import RESPONSES

__all__ = ["CHAT", "RESPONSES"]
