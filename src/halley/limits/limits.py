"""The counts of this process, in memory. A key that has been quiet long enough is forgotten without loss."""

from collections import OrderedDict

from halley.limits.model import RateLimit, Verdict
from halley.limits.rules import Account

KEYS_MAX = 100_000
LOOKED_AT = 2
"""Accounts looked at for each new one: more than come, so that what is idle does not pile up."""

_BOUNDLESS = Verdict(allowed=True)


class Limits:
    """What each key has used lately. Times are those of one clock that never goes back."""

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._keys_max = keys_max

    def __len__(self) -> int:
        """Count the keys that are remembered."""
        return len(self._accounts)

    def take(self, key_id: str, limit: RateLimit, *, tokens: int, now_s: float) -> Verdict:
        """Count one request and its tokens if both have room; else count nothing."""
        assert tokens >= 0
        if limit.requests_per_minute is None and limit.tokens_per_minute is None:
            return _BOUNDLESS
        now_us = int(now_s * 1e6)
        account = self._accounts.get(key_id)
        if account is None or account.limit is not limit:
            account = self._account(key_id, limit, now_us)
        return account.take(tokens, now_us)

    def correct(self, key_id: str, limit: RateLimit, *, tokens: int, now_s: float) -> None:
        """Count the tokens that a call used beyond what was taken for it, or give back when negative."""
        if limit.tokens_per_minute is None:
            return
        now_us = int(now_s * 1e6)
        account = self._accounts.get(key_id)
        if account is None or account.limit is not limit:
            account = self._account(key_id, limit, now_us)
        if account.tokens is not None:
            account.tokens.pour(tokens, now_us)

    def _account(self, key_id: str, limit: RateLimit, now_us: int) -> Account:
        """Give the account of a key that is new here, or whose limit may have changed."""
        account = self._accounts.get(key_id)
        if account is None:
            self._forget_idle(now_us)
            account = self._accounts[key_id] = Account(limit)
        else:
            account.change(limit, now_us)
        return account

    def _forget_idle(self, now_us: int) -> None:
        for _ in range(min(LOOKED_AT, len(self._accounts))):
            key_id, account = self._accounts.popitem(last=False)
            if not account.is_dry(now_us):
                self._accounts[key_id] = account
        if len(self._accounts) >= self._keys_max:
            # More busy keys than are remembered: one of them begins anew.
            self._accounts.popitem(last=False)
