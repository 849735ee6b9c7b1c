"""Writes to sockets, gathered over one turn of the event loop.

A write wakes whoever waits at the other end. If that is a process of the same machine, and idle, waking it costs more
than the write itself: 10 µs and more where the machine is virtual. Between two writes of one turn lies the work for a
whole call, long enough for the other side to fall asleep again. So where many calls are under way their writes go out
one right after the other at the turn's end, and wake it once (docs/dev/request-path.md).
"""

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

CROWD = 2
"""With so many calls under way it is worth while; who is alone is served at once."""
WRITES_MAX = 32
"""So many are not kept waiting for the end of a long turn."""


class Volley:
    """What is to be written by the end of this turn of the loop, in the order in which it was added."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[Callable[[], None]] = []

    def add(self, write: Callable[[], None]) -> None:
        """Have something written by the end of the turn. It must not raise."""
        due = self._due
        due.append(write)
        if (count := len(due)) == 1:
            self._loop.call_soon(self._fire)
        elif count >= WRITES_MAX:
            self._fire()

    def _fire(self) -> None:
        due, self._due = iter(self._due), []
        try:
            for write in due:
                write()
        finally:
            # Should one break all the same, it is the loop's to tell, and the others are served.
            if left := list(due):
                self._due = left + self._due
                self._loop.call_soon(self._fire)


_volleys: WeakKeyDictionary[asyncio.AbstractEventLoop, Volley] = WeakKeyDictionary()


def volley_of(loop: asyncio.AbstractEventLoop) -> Volley:
    """Give the one of a loop."""
    volley = _volleys.get(loop)
    if volley is None:
        volley = _volleys[loop] = Volley(loop)
    return volley
