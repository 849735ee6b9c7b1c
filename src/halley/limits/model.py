"""What a limit is, what is said of one call under it, and the seam behind which the counts are kept."""

from typing import Literal, Protocol

import msgspec

Counted = Literal["requests", "tokens"]


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may use per minute; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class Standing(msgspec.Struct, frozen=True, gc=False):
    """Where a key stands on one side that has a limit."""

    limit: int
    """Per minute."""
    remaining: int
    reset_us: int
    """In how long all of it will be there again, if nothing more is asked."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a call may go, and where the key stands now; None on a side without a limit."""

    allowed: bool
    requests: Standing | None = None
    tokens: Standing | None = None
    exceeded: Counted | None = None
    """What stands in the way; None when it is allowed."""
    retry_after_s: float | None = None
    """When the same call would go; None when it is allowed, or asks for more than any minute has."""


class Limiter(Protocol):
    """Counts what keys use. What shares its counts between replicas must still answer from memory, at once."""

    def take(self, key_id: str, limit: RateLimit, *, tokens: int, now_s: float) -> Verdict:
        """Count one request and its tokens if both have room; else count nothing."""
        ...

    def correct(self, key_id: str, limit: RateLimit, *, tokens: int, now_s: float) -> None:
        """Count the tokens that a call used beyond what was taken for it, or give back when negative."""
        ...
