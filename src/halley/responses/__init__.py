"""Responses that are kept, so that they can be looked up and gone on from, whichever vendor made them."""

from halley.responses.model import KEPT_US, Stored, Turn

__all__ = ["KEPT_US", "Stored", "Turn"]
