"""The calls that are answered at once, by the wire format in which they are made, and which of them mean the same."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property


class Operation(StrEnum):
    """One call in one wire format."""

    CHAT = "openai.chat"
    COMPLETION = "openai.completion"
    RESPONSES = "openai.responses"
    EMBEDDINGS = "openai.embeddings"
    IMAGES = "openai.images"
    IMAGE_EDITS = "openai.image_edits"
    IMAGE_VARIATIONS = "openai.image_variations"
    SPEECH = "openai.speech"
    TRANSCRIPTION = "openai.transcription"
    TRANSLATION = "openai.translation"
    MODERATION = "openai.moderation"
    RERANK = "openai.rerank"
    REALTIME = "openai.realtime"
    MESSAGES = "anthropic.messages"
    MESSAGES_COUNT = "anthropic.count_tokens"
    CONTENT = "gemini.content"
    CONTENT_COUNT = "gemini.count_tokens"
    EMBED_CONTENT = "gemini.embed"
    EMBED_CONTENTS = "gemini.embed_batch"

    @cached_property
    def dialect(self) -> str:
        """The family of formats that it belongs to."""
        return self.value.partition(".")[0]


class Kind(StrEnum):
    """What a model is for; of the calls of one kind each may stand for another where both can be translated."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"
    IMAGE = "image"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    MODERATION = "moderation"
    RERANK = "rerank"
    REALTIME = "realtime"


KINDS: Mapping[Operation, Kind] = {
    Operation.CHAT: Kind.CHAT,
    Operation.COMPLETION: Kind.COMPLETION,
    Operation.RESPONSES: Kind.CHAT,
    Operation.EMBEDDINGS: Kind.EMBEDDING,
    Operation.IMAGES: Kind.IMAGE,
    Operation.IMAGE_EDITS: Kind.IMAGE,
    Operation.IMAGE_VARIATIONS: Kind.IMAGE,
    Operation.SPEECH: Kind.SPEECH,
    Operation.TRANSCRIPTION: Kind.TRANSCRIPTION,
    Operation.TRANSLATION: Kind.TRANSCRIPTION,
    Operation.MODERATION: Kind.MODERATION,
    Operation.RERANK: Kind.RERANK,
    Operation.REALTIME: Kind.REALTIME,
    Operation.MESSAGES: Kind.CHAT,
    Operation.MESSAGES_COUNT: Kind.CHAT,
    Operation.CONTENT: Kind.CHAT,
    Operation.CONTENT_COUNT: Kind.CHAT,
    Operation.EMBED_CONTENT: Kind.EMBEDDING,
    Operation.EMBED_CONTENTS: Kind.EMBEDDING,
}
COUNTING = frozenset((Operation.MESSAGES_COUNT, Operation.CONTENT_COUNT))
"""Calls that only count tokens: they are free, and answered by ourselves where the vendor cannot."""
