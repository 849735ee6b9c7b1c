"""What a limit is, what is said of one call under it, and the seam behind which the counts are kept."""

from typing import Literal, Protocol

import msgspec

Counted = Literal["requests", "tokens"]


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may use per minute; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a call may go, and where the key stands now. The fields of a side without a limit are None."""

    allowed: bool
    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    """When all of it will be there again, if nothing more is asked."""
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float | None = None
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
