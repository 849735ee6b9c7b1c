"""GCRA as a leaky bucket in whole numbers: what is poured in runs out evenly, within a minute if it was full.

A bucket for N per minute has room for N at once. One piece is `MINUTE_US` units and N units run out each microsecond,
so that no fraction is ever rounded. Pure.
"""

import msgspec

from halley.limits.model import Counted, RateLimit, Verdict

MINUTE_US = 60_000_000


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """What had not run out at a moment. Over its limit after a correction: then nothing goes until that has run out."""

    units: int = 0
    at_us: int = 0


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The two buckets of a key."""

    requests: Bucket = Bucket()
    tokens: Bucket = Bucket()
    empty_at_us: int = 0
    """From when on it says no more than a new one."""


def drained(bucket: Bucket, per_minute: int, now_us: int) -> Bucket:
    """Let run out what has run out by now. Time never goes back."""
    now_us = max(now_us, bucket.at_us)
    return Bucket(units=max(0, bucket.units - (now_us - bucket.at_us) * per_minute), at_us=now_us)


def poured(bucket: Bucket, pieces: int) -> Bucket:
    """Pour in, room or not; a negative number takes out what is still there."""
    return Bucket(units=max(0, bucket.units + pieces * MINUTE_US), at_us=bucket.at_us)


def has_room(bucket: Bucket, per_minute: int, pieces: int) -> bool:
    """Whether so much fits; nothing always does."""
    return pieces == 0 or bucket.units + pieces * MINUTE_US <= per_minute * MINUTE_US


def room(bucket: Bucket, per_minute: int) -> int:
    """Count the whole pieces that fit."""
    return max(0, per_minute * MINUTE_US - bucket.units) // MINUTE_US


def empty_after_us(bucket: Bucket, per_minute: int) -> int:
    """Tell in how long all will have run out."""
    return -(-bucket.units // per_minute)


def room_after_us(bucket: Bucket, per_minute: int, pieces: int) -> int | None:
    """Tell in how long so much will fit; None for what never fits."""
    if pieces > per_minute:
        return None
    if has_room(bucket, per_minute, pieces):
        return 0
    return -(-(bucket.units + (pieces - per_minute) * MINUTE_US) // per_minute)


def decide(account: Account, limit: RateLimit, tokens: int, now_us: int) -> tuple[Account, Verdict]:
    """Take one request with its tokens if both fit, else nothing; give the account as it is then, and the verdict."""
    return granted(account, limit, tokens, now_us) or weighed(account, limit, tokens, now_us)


def granted(account: Account, limit: RateLimit, tokens: int, now_us: int) -> tuple[Account, Verdict] | None:
    """Decide at a fifth of the price where both have limits and both have room; None is for `weighed`."""
    per_requests, per_tokens = limit.requests_per_minute, limit.tokens_per_minute
    if per_requests is None or per_tokens is None:
        return None
    before, spent = account.requests, account.tokens
    at, spent_at = max(now_us, before.at_us), max(now_us, spent.at_us)
    units = max(0, before.units - (at - before.at_us) * per_requests) + MINUTE_US
    spent_units = max(0, spent.units - (spent_at - spent.at_us) * per_tokens) + tokens * MINUTE_US
    room_requests, room_tokens = per_requests * MINUTE_US - units, per_tokens * MINUTE_US - spent_units
    if room_requests < 0 or (room_tokens < 0 and tokens):
        return None
    empty_us, spent_empty_us = -(-units // per_requests), -(-spent_units // per_tokens)
    after = Account(
        requests=Bucket(units=units, at_us=at),
        tokens=Bucket(units=spent_units, at_us=spent_at),
        empty_at_us=max(at + empty_us, spent_at + spent_empty_us),
    )
    return after, Verdict(
        allowed=True,
        limit_requests=per_requests,
        remaining_requests=room_requests // MINUTE_US,
        reset_requests_s=empty_us / 1e6,
        limit_tokens=per_tokens,
        remaining_tokens=max(0, room_tokens) // MINUTE_US,
        reset_tokens_s=spent_empty_us / 1e6,
    )


def weighed(account: Account, limit: RateLimit, tokens: int, now_us: int) -> tuple[Account, Verdict]:
    """Decide whatever limits there are, and say what stands in the way."""
    requests = drained(account.requests, limit.requests_per_minute or 0, now_us)
    spent = drained(account.tokens, limit.tokens_per_minute or 0, now_us)
    waits: dict[Counted, int | None] = {
        **_wait("requests", requests, limit.requests_per_minute, 1),
        **_wait("tokens", spent, limit.tokens_per_minute, tokens),
    }
    if not waits:
        requests, spent = poured(requests, 1), poured(spent, tokens)
    after = _written(requests, spent, limit)
    return after, _verdict(after, limit, waits)


def corrected(account: Account, limit: RateLimit, tokens: int, now_us: int) -> Account:
    """Count tokens beyond those taken, whether there is room or not; give back when negative."""
    per_requests, per_tokens = limit.requests_per_minute, limit.tokens_per_minute
    if per_tokens is None:
        return account
    before, requests = account.tokens, account.requests
    at = max(now_us, before.at_us)
    units = max(0, max(0, before.units - (at - before.at_us) * per_tokens) + tokens * MINUTE_US)
    bucket = Bucket(units=units, at_us=at)
    if per_requests is None:
        return _written(requests, bucket, limit)
    empty_at_us = max(requests.at_us - -requests.units // per_requests, at - -units // per_tokens)
    return Account(requests=requests, tokens=bucket, empty_at_us=empty_at_us)


def _wait(name: Counted, bucket: Bucket, per_minute: int | None, pieces: int) -> dict[Counted, int | None]:
    if per_minute is None or has_room(bucket, per_minute, pieces):
        return {}
    return {name: room_after_us(bucket, per_minute, pieces)}


def _written(requests: Bucket, tokens: Bucket, limit: RateLimit) -> Account:
    """Put an account together: only what has a limit is remembered, and until when that matters."""
    ends = [0]
    if limit.requests_per_minute is None:
        requests = Bucket()
    else:
        ends.append(requests.at_us + empty_after_us(requests, limit.requests_per_minute))
    if limit.tokens_per_minute is None:
        tokens = Bucket()
    else:
        ends.append(tokens.at_us + empty_after_us(tokens, limit.tokens_per_minute))
    return Account(requests=requests, tokens=tokens, empty_at_us=max(ends))


def _verdict(account: Account, limit: RateLimit, waits: dict[Counted, int | None]) -> Verdict:
    exceeded = max(waits, key=lambda name: _longest(waits[name]), default=None)
    wait_us = None if exceeded is None else waits[exceeded]
    requests, tokens = limit.requests_per_minute, limit.tokens_per_minute
    return Verdict(
        allowed=not waits,
        limit_requests=requests,
        remaining_requests=None if requests is None else room(account.requests, requests),
        reset_requests_s=None if requests is None else empty_after_us(account.requests, requests) / 1e6,
        limit_tokens=tokens,
        remaining_tokens=None if tokens is None else room(account.tokens, tokens),
        reset_tokens_s=None if tokens is None else empty_after_us(account.tokens, tokens) / 1e6,
        exceeded=exceeded,
        retry_after_s=None if wait_us is None else wait_us / 1e6,
    )


def _longest(wait_us: int | None) -> float:
    return float("inf") if wait_us is None else wait_us
