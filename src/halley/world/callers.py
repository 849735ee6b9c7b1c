"""Whom each key stands for, kept in memory until any key changes."""

from halley.accounts.model import Caller

CALLERS_MAX = 100_000


class Callers:
    """SHA-256 of a key → caller. The whole hash is the key of the cache, so two keys never meet."""

    def __init__(self) -> None:
        self._known: dict[str, Caller] = {}
        self.epoch = 0
        """Raised with each clearing: what was read before it may not be kept after it."""

    def get(self, key_hash: str) -> Caller | None:
        """Give a caller if it is known."""
        return self._known.get(key_hash)

    def keep(self, key_hash: str, caller: Caller, epoch: int) -> None:
        """Remember what was read while `epoch` was current."""
        if epoch != self.epoch:
            return
        if len(self._known) >= CALLERS_MAX:
            self._known.clear()
        self._known[key_hash] = caller

    def clear(self) -> None:
        """Forget all: some key was made, changed or revoked."""
        self.epoch += 1
        self._known.clear()
