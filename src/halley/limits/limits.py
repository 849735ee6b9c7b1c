"""The counts of this process, in memory. A key that has been quiet long enough is forgotten without loss."""

from collections import OrderedDict

from halley.limits import rules
from halley.limits.model import RateLimit, Verdict
from halley.limits.rules import Account

KEYS_MAX = 100_000
LOOKED_AT = 2
"""Accounts looked at for each new one: more than come, so that what is idle does not pile up."""

_NEW = Account()
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
        account, verdict = rules.decide(self._accounts.get(key_id, _NEW), limit, tokens, now_us)
        self._keep(key_id, account, now_us)
        return verdict

    def correct(self, key_id: str, limit: RateLimit, *, tokens: int, now_s: float) -> None:
        """Count the tokens that a call used beyond what was taken for it, or give back when negative."""
        if limit.tokens_per_minute is None:
            return
        now_us = int(now_s * 1e6)
        self._keep(key_id, rules.corrected(self._accounts.get(key_id, _NEW), limit, tokens, now_us), now_us)

    def _keep(self, key_id: str, account: Account, now_us: int) -> None:
        if key_id not in self._accounts:
            self._forget_idle(now_us)
        self._accounts[key_id] = account

    def _forget_idle(self, now_us: int) -> None:
        for _ in range(min(LOOKED_AT, len(self._accounts))):
            key_id, account = self._accounts.popitem(last=False)
            if account.empty_at_us > now_us:
                self._accounts[key_id] = account
        if len(self._accounts) >= self._keys_max:
            # More busy keys than are remembered: one of them begins anew.
            self._accounts.popitem(last=False)
