"""The public API: which request goes where, who may send it, and how its answer and its errors look. Pure ASGI."""

from halley.api.app import Api

__all__ = ["Api"]
