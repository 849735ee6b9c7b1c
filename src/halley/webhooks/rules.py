"""Whose webhook is sent next, when one is tried again, and what a receiver's status means.

The schedule is that of Standard Webhooks.
"""

import re
from collections import Counter
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

import msgspec

from halley.kernel.clock import MICROSECONDS
from halley.webhooks.model import DeliveryState, Waiting

_MINUTE_S, _HOUR_S = 60, 3_600
SCHEDULE_S = (
    0,
    5,
    5 * _MINUTE_S,
    30 * _MINUTE_S,
    2 * _HOUR_S,
    5 * _HOUR_S,
    10 * _HOUR_S,
    14 * _HOUR_S,
    20 * _HOUR_S,
    24 * _HOUR_S,
)
"""How long to wait before each attempt, counted from the end of the one before: 10 attempts in about three days."""
ATTEMPTS_MAX = len(SCHEDULE_S)
JITTER_PERCENT = 10
"""An attempt is put off by up to this part of its wait, so that what failed together does not come back together."""
RETRY_AFTER_MAX_S = SCHEDULE_S[-1]
"""A receiver can put an attempt off by so much, not further, and not for more attempts than the schedule has."""

_GONE = 410
_ASKS_TO_WAIT = (429, 503)
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from an attempt. `due_at` is set only while it is still pending."""

    state: DeliveryState
    due_at: int | None = None


class Places:
    """Places for deliveries on their way, parted so that receivers who hang hold up their own account's only.

    No account takes more of them than it leaves free: one has half, a second half of what is left, and so on.
    """

    def __init__(self, free: int, taken: Iterable[str]) -> None:
        """`taken` names the account of each delivery that is on its way."""
        self.free = free
        self._taken = Counter(taken)

    def give(self, waiting: Iterable[Waiting]) -> list[str]:
        """Give places to those whose turn it is; their ids."""
        given: list[str] = []
        for each in waiting:
            if self._taken[each.account_id] < self.free:
                self._taken[each.account_id] += 1
                self.free -= 1
                given.append(each.id)
        return given

    def full(self) -> list[str]:
        """Name the accounts that may have no more now."""
        return [account for account, taken in self._taken.items() if taken >= self.free]


def next_attempt(attempts: int, now: int, jitter: float = 0.0) -> int | None:
    """When to try, after so many failed attempts; None when the schedule is used up. `jitter`: 0 to 1, by chance."""
    assert attempts >= 0
    assert 0 <= jitter <= 1
    if attempts >= ATTEMPTS_MAX:
        return None
    wait = SCHEDULE_S[attempts] * MICROSECONDS
    return now + wait + int(wait * JITTER_PERCENT * jitter) // 100


def verdict(
    status: int | None, *, attempts: int, now: int, jitter: float = 0.0, retry_after: str | None = None
) -> Verdict:
    """Judge an attempt, the `attempts`-th, by the receiver's status; None: no answer came.

    Any 2xx is taken. 410 ends it. All else is tried again: a redirect too, which is never followed, for its target was
    not checked, and 4xx, which are mostly a receiver that is being deployed.
    """
    if status is not None and is_taken(status):
        return Verdict(state=DeliveryState.DELIVERED)
    due_at = None if status == _GONE else next_attempt(attempts, now, jitter)
    if due_at is None:
        return Verdict(state=DeliveryState.FAILED)
    if status in _ASKS_TO_WAIT:
        asked = min(retry_after_s(retry_after, now) or 0, RETRY_AFTER_MAX_S)
        due_at = max(due_at, now + asked * MICROSECONDS)
    return Verdict(state=DeliveryState.PENDING, due_at=due_at)


def is_taken(status: int) -> bool:
    """Whether the receiver took it."""
    return 200 <= status < 300  # noqa: PLR2004 - the class of success


def retry_after_s(value: str | None, now: int) -> int | None:
    """Read a `Retry-After` header, seconds or a date; None when there is none that makes sense."""
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return int(text)
    try:
        moment = parsedate_to_datetime(text)
        return max(int(moment.timestamp()) - now // MICROSECONDS, 0)
    except (ValueError, OverflowError):
        return None
