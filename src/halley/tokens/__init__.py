"""Counting tokens without asking a vendor: exact for text where the encoding is published, by rule for the rest.

Nothing here touches the network; the ranks ship with the package and are read at the first count.
"""

from halley.tokens.media import audio_tokens, image_tokens
from halley.tokens.text import MESSAGE_TOKENS, count_text, estimate_bytes

__all__ = ["MESSAGE_TOKENS", "audio_tokens", "count_text", "estimate_bytes", "image_tokens"]
