"""Channels: the configured ways to vendors, which of them can take an order, and how healthy they are."""

from halley.routing.health import Health
from halley.routing.model import Channel
from halley.routing.rules import candidates

__all__ = ["Channel", "Health", "candidates"]
