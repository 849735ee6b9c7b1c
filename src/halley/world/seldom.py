"""Bounds the lines of the log that a vendor which is out could make many of; whoever writes them asks here first."""

from math import inf

TELL_EVERY_S = 1.0
KINDS_MAX = 1_000
"""Beyond so many what was told first is forgotten, and with it the count of those left out."""


class Seldom:
    """Of the like, one in a second. For the event loop's thread only."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, ...], tuple[float, int]] = {}
        """When it was told last, and how many were left out since."""

    def turn(self, kind: tuple[str, ...], now_s: float) -> int | None:
        """Give how many of the kind were left out before this one; None if this one is to be left out too."""
        told_s, left_out = self._told.pop(kind, (-inf, 0))
        if now_s - told_s < TELL_EVERY_S:
            self._told[kind] = (told_s, left_out + 1)
            return None
        self._told[kind] = (now_s, 0)
        if len(self._told) > KINDS_MAX:
            del self._told[next(iter(self._told))]
        return left_out
