"""Bounds the connections that are open at once, and tells of those that were turned away."""

import logging
from math import inf

TELL_EVERY_S = 60.0
RETRY_S = 5

_log = logging.getLogger("halley.server")


class Door:
    """Shut while there are so many connections. One server has one."""

    def __init__(self, connections_max: int) -> None:
        self._connections_max = connections_max
        self._turned_away = 0
        """Since that was told last."""
        self._tell_at = -inf

    def lets_in(self, connections: int, now: float) -> bool:
        """Say whether a connection may stay, by how many there are with it."""
        if connections <= self._connections_max:
            return True
        self._turned_away += 1
        if now >= self._tell_at:
            _log.warning(
                "connections were turned away, since no more may be open; allow more open files, or run more processes",
                extra={"connections_max": self._connections_max, "turned_away": self._turned_away},
            )
            self._turned_away = 0
            self._tell_at = now + TELL_EVERY_S
        return False
