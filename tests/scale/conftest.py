"""Fixtures of the tests at scale."""

from tests.app.rigs import folder, journal_may_block

__all__ = ["folder", "journal_may_block"]
