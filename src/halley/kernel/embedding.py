"""Embeddings in our own words: what is asked and what is answered."""

from typing import Any

import msgspec


class EmbedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Texts (or the numbers of their tokens) to be turned into vectors. None means: left to the vendor."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    extras: dict[str, Any] = {}
    """What no word above stands for, by the caller's own name."""


class EmbedReply(msgspec.Struct, frozen=True, kw_only=True):
    """One vector per input, in their order."""

    vectors: tuple[tuple[float, ...], ...]
    usage_input: int | None = None
    """Tokens, where the vendor tells them."""
    model: str = ""
    """The model's name as the vendor tells it."""
