"""Channels: the configured ways to vendors, which of them can take an order, how healthy and how busy they are."""

from halley.routing.bounds import Bounds
from halley.routing.headers import credential_context, open_headers, opens, seal_headers
from halley.routing.health import Health, Rest
from halley.routing.model import Channel
from halley.routing.rules import affinity, candidates

__all__ = [
    "Bounds",
    "Channel",
    "Health",
    "Rest",
    "affinity",
    "candidates",
    "credential_context",
    "open_headers",
    "opens",
    "seal_headers",
]
