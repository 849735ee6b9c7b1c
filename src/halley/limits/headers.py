"""Verdicts in the headers that most SDKs for chat know: `x-ratelimit-limit-requests` and its kin."""

from halley.limits.model import Counted, Standing, Verdict

_MILLISECOND_US = 1_000
_SECOND_MS = 1_000


def rate_headers(verdict: Verdict) -> tuple[tuple[str, str], ...]:
    """Give the headers of each side that has a limit."""
    return (*_side("requests", verdict.requests), *_side("tokens", verdict.tokens))


def rate_lines(verdict: Verdict) -> str:
    """Give the same as lines of a message."""
    lines, requests, tokens = "", verdict.requests, verdict.tokens
    if requests is not None:
        lines = (
            f"x-ratelimit-limit-requests: {requests.limit}\r\n"
            f"x-ratelimit-remaining-requests: {requests.remaining}\r\n"
            f"x-ratelimit-reset-requests: {duration(requests.reset_us)}\r\n"
        )
    if tokens is not None:
        lines = (
            f"{lines}x-ratelimit-limit-tokens: {tokens.limit}\r\n"
            f"x-ratelimit-remaining-tokens: {tokens.remaining}\r\n"
            f"x-ratelimit-reset-tokens: {duration(tokens.reset_us)}\r\n"
        )
    return lines


def duration(microseconds: int) -> str:
    """Spell a span of time as those headers do: `12ms`, `1.5s`, `6m0s`, `1h0m0s`; rounded up to a millisecond."""
    milliseconds = -(-microseconds // _MILLISECOND_US)
    if 0 < milliseconds < _SECOND_MS:
        return f"{milliseconds}ms"
    whole, rest = divmod(milliseconds, _SECOND_MS)
    minutes, secs = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    larger = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{larger}{secs}{fraction}s"


def _side(name: Counted, standing: Standing | None) -> tuple[tuple[str, str], ...]:
    if standing is None:
        return ()
    return (
        (f"x-ratelimit-limit-{name}", str(standing.limit)),
        (f"x-ratelimit-remaining-{name}", str(standing.remaining)),
        (f"x-ratelimit-reset-{name}", duration(standing.reset_us)),
    )
