"""Halley: a self-hosted gateway to every AI model, with the books kept."""

__version__ = "0.1.0"
