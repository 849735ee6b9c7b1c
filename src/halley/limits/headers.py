"""Verdicts in the headers that most SDKs for chat know: `x-ratelimit-limit-requests` and its kin."""

import math

from halley.limits.model import Verdict

_SECOND_MS = 1_000


def rate_headers(verdict: Verdict) -> tuple[tuple[str, str], ...]:
    """Give the headers of each side that has a limit."""
    return (
        *_side("requests", verdict.limit_requests, verdict.remaining_requests, verdict.reset_requests_s),
        *_side("tokens", verdict.limit_tokens, verdict.remaining_tokens, verdict.reset_tokens_s),
    )


def rate_lines(verdict: Verdict) -> str:
    """Give the same as lines of a message."""
    requests, tokens = "", ""
    # Of one side all three are told or none.
    if verdict.limit_requests is not None:
        requests = (
            f"x-ratelimit-limit-requests: {verdict.limit_requests}\r\n"
            f"x-ratelimit-remaining-requests: {verdict.remaining_requests}\r\n"
            f"x-ratelimit-reset-requests: {duration(verdict.reset_requests_s or 0.0)}\r\n"
        )
    if verdict.limit_tokens is not None:
        tokens = (
            f"x-ratelimit-limit-tokens: {verdict.limit_tokens}\r\n"
            f"x-ratelimit-remaining-tokens: {verdict.remaining_tokens}\r\n"
            f"x-ratelimit-reset-tokens: {duration(verdict.reset_tokens_s or 0.0)}\r\n"
        )
    return requests + tokens


def duration(seconds: float) -> str:
    """Spell a span of time as those headers do: `12ms`, `1.5s`, `6m0s`, `1h0m0s`; rounded up to a millisecond."""
    milliseconds = math.ceil(round(seconds * _SECOND_MS, 6))
    if 0 < milliseconds < _SECOND_MS:
        return f"{milliseconds}ms"
    whole, rest = divmod(milliseconds, _SECOND_MS)
    minutes, secs = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    larger = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{larger}{secs}{fraction}s"


def _side(name: str, limit: int | None, remaining: int | None, reset_s: float | None) -> tuple[tuple[str, str], ...]:
    if limit is None or remaining is None or reset_s is None:
        return ()
    return (
        (f"x-ratelimit-limit-{name}", str(limit)),
        (f"x-ratelimit-remaining-{name}", str(remaining)),
        (f"x-ratelimit-reset-{name}", duration(reset_s)),
    )
