"""Keys, signing secrets and budget periods, computed: how a key is spelled and hinted at, when a period began."""

import hashlib
import hmac
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import assert_never

from halley.accounts.model import BudgetPeriod
from halley.kernel.ids import Ids

TEST_PREFIX = "sk-test-"
LIVE_PREFIX = "sk-"
LIVE_SECRET_LENGTH = 48
"""Alphanumerics behind the prefix, as in the keys that callers know from elsewhere."""
TEST_SECRET_LENGTH = 40
KEYS_TOPIC = "keys"
"""Woken, and its generation raised, when a key was made or revoked."""

_HINT_TAIL = 4
_HINT_SECRET_MIN = 10
DAY_US = 86_400_000_000
"""Within one day every period is the same."""
_WEEK_US = 7 * DAY_US
# 1970 began on a Thursday, three days after a Monday.
_MONDAY_OFFSET_US = 3 * DAY_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def hash_key(text: str) -> str:
    """Give what is stored and compared in place of a key. The whole key counts, so that no two callers ever meet."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_test_key(text: str) -> bool:
    return text.startswith(TEST_PREFIX)


def new_key_text(ids: Ids, *, livemode: bool) -> str:
    if livemode:
        return LIVE_PREFIX + ids.secret(LIVE_SECRET_LENGTH)
    return TEST_PREFIX + ids.secret(TEST_SECRET_LENGTH)


def hint(text: str) -> str:
    """Give as much of a key as lets its owner recognise it."""
    prefix = TEST_PREFIX if is_test_key(text) else LIVE_PREFIX
    secret = text.removeprefix(prefix)
    # A short key that somebody chose would be given away by its end.
    tail = secret[-_HINT_TAIL:] if len(secret) >= _HINT_SECRET_MIN else ""
    return f"{prefix}…{tail}"


def secret_of_mode(secret: str, *, livemode: bool) -> str:
    """Give what a mode signs its webhooks with, and links of files: live mode with the project's secret (`whsec_…`).

    Test mode's is made of it, not the other way round: test keys are given to those who are to do nothing live.
    """
    if livemode:
        return secret
    return "whsec_" + b64encode(hmac.digest(secret.encode(), b"test mode", "sha256")).decode()


def ledger_account_id(account_id: str, *, livemode: bool) -> str:
    """Name the ledger account that a caller's orders are held and posted on."""
    return f"{account_id}.{'live' if livemode else 'test'}"


def period_start(period: BudgetPeriod, now: int) -> int:
    """Tell when the budget period began that `now` is in."""
    match period:
        case BudgetPeriod.DAY:
            return now - now % DAY_US
        case BudgetPeriod.WEEK:
            return now - (now + _MONDAY_OFFSET_US) % _WEEK_US
        case BudgetPeriod.MONTH:
            first = (_EPOCH + timedelta(microseconds=now)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            return (first - _EPOCH) // timedelta(microseconds=1)
        case BudgetPeriod.TOTAL:
            return 0
        case _:
            assert_never(period)


def latest_start(now: int) -> int:
    """Tell the latest start of a period that may be believed: a clock that was further ahead than a day was wrong."""
    return now - now % DAY_US + DAY_US
