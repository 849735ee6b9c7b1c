"""Threads that work for the event loop without getting in its way."""

import os
from contextlib import suppress


def stand_back() -> None:
    """Have the calling thread wait for its turn: to be woken shall not interrupt another thread on the same core.

    The loop wakes such a thread while it holds the interpreter's lock, or in the midst of giving it away: a thread that
    runs at once only finds the lock taken and sleeps again. It has its fair share of the core all the same (`man 7
    sched`, SCHED_BATCH), and what it is woken for next has been gathered meanwhile. Linux only; where it is not
    permitted, nothing changes.
    """
    if hasattr(os, "sched_setscheduler"):
        with suppress(OSError):  # not permitted here; it is only slower
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
