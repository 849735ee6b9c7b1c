"""GCRA as a leaky bucket in whole numbers: what is poured in runs out evenly, within a minute if it was full.

A bucket for N per minute has room for N at once. One piece is `MINUTE_US` units and N units run out each microsecond,
so that no fraction is ever rounded. Nothing here reads a clock.
"""

from halley.limits.model import Counted, RateLimit, Standing, Verdict

MINUTE_US = 60_000_000


class Bucket:
    """What was poured in and has not run out, told by when it will have, if nothing more comes.

    That is one number, which time does not change: it counts the N parts of each microsecond in which one unit runs
    out. Over its limit after a correction: then nothing goes until that has run out.
    """

    __slots__ = ("_dry_at", "per_minute")

    def __init__(self, per_minute: int, units: int = 0, now_us: int = 0) -> None:
        self.per_minute = per_minute
        self._dry_at = now_us * per_minute + units

    def units(self, now_us: int) -> int:
        """Tell what has not run out."""
        return max(0, self._dry_at - now_us * self.per_minute)

    def take(self, pieces: int, now_us: int) -> Standing | None:
        """Pour in and tell how it stands then; None, having poured nothing, where there is no room.

        There always is for nothing.
        """
        per_minute = self.per_minute
        now = now_us * per_minute
        dry_at = self._dry_at
        units = (dry_at - now if dry_at > now else 0) + pieces * MINUTE_US
        room = per_minute * MINUTE_US - units
        if room < 0:
            if pieces:
                return None
            room = 0
        self._dry_at = now + units
        return Standing(per_minute, room // MINUTE_US, -(-units // per_minute))

    def pour(self, pieces: int, now_us: int) -> None:
        """Pour in, room or not; a negative number takes out what is still there."""
        self._dry_at = max(self._dry_at, now_us * self.per_minute) + pieces * MINUTE_US

    def standing(self, now_us: int) -> Standing:
        """Tell how it stands."""
        units = self.units(now_us)
        left = max(0, self.per_minute * MINUTE_US - units) // MINUTE_US
        return Standing(self.per_minute, left, -(-units // self.per_minute))

    def wait_us(self, pieces: int, now_us: int) -> int | None:
        """Tell in how long so much will have room; None for what never has."""
        if pieces > self.per_minute:
            return None
        over = self.units(now_us) + (pieces - self.per_minute) * MINUTE_US
        return -(-over // self.per_minute) if pieces and over > 0 else 0


class Account:
    """The two buckets of a key, as far as it has limits."""

    __slots__ = ("limit", "requests", "tokens")

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self.requests = None if limit.requests_per_minute is None else Bucket(limit.requests_per_minute)
        self.tokens = None if limit.tokens_per_minute is None else Bucket(limit.tokens_per_minute)

    def take(self, tokens: int, now_us: int) -> Verdict:
        """Take one request with its tokens if both fit, else nothing."""
        requests, spent = self.requests, self.tokens
        asked = None if requests is None else requests.take(1, now_us)
        counted = None if spent is None else spent.take(tokens, now_us)
        if (asked is None and requests is not None) or (counted is None and spent is not None):
            if requests is not None and asked is not None:
                requests.pour(-1, now_us)
            if spent is not None and counted is not None:
                spent.pour(-tokens, now_us)
            return self._refused(tokens, now_us)
        return Verdict(allowed=True, requests=asked, tokens=counted)

    def change(self, limit: RateLimit, now_us: int) -> None:
        """Go on under a limit that may be another: what was used counts, unless there is none now."""
        requests, tokens = self.requests, self.tokens
        self.limit = limit
        self.requests = _at(limit.requests_per_minute, requests, now_us)
        self.tokens = _at(limit.tokens_per_minute, tokens, now_us)

    def is_dry(self, now_us: int) -> bool:
        """Whether it says no more than a new one."""
        return not any(bucket is not None and bucket.units(now_us) for bucket in (self.requests, self.tokens))

    def _refused(self, tokens: int, now_us: int) -> Verdict:
        waits: dict[Counted, int | None] = {}
        if self.requests is not None:
            waits["requests"] = self.requests.wait_us(1, now_us)
        if self.tokens is not None:
            waits["tokens"] = self.tokens.wait_us(tokens, now_us)
        exceeded = max(waits, key=lambda name: _longest(waits[name]))
        wait_us = waits[exceeded]
        return Verdict(
            allowed=False,
            requests=None if self.requests is None else self.requests.standing(now_us),
            tokens=None if self.tokens is None else self.tokens.standing(now_us),
            exceeded=exceeded,
            retry_after_s=None if wait_us is None else wait_us / 1e6,
        )


def _at(per_minute: int | None, before: Bucket | None, now_us: int) -> Bucket | None:
    if per_minute is None:
        return None
    return Bucket(per_minute, 0 if before is None else before.units(now_us), now_us)


def _longest(wait_us: int | None) -> float:
    return float("inf") if wait_us is None else wait_us
