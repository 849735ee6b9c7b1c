"""Places at which a test may kill the process, to prove that a restart loses nothing; else they cost one call."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

ENVIRONMENT = "HALLEY_FAILPOINT"
"""`name` or `name:n`: die at the n-th time that the place is passed."""
ENVIRONMENT_LOG = "HALLEY_FAILPOINT_LOG"
"""A file to which the name of each place passed is appended, once."""


def _kill() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class Failpoints:
    """Counts the places passed, and dies at the one that was asked for."""

    def __init__(self, target: str = "", log: str = "", die: Callable[[], NoReturn] = _kill) -> None:
        name, _, times = target.rpartition(":") if target.rpartition(":")[2].isdecimal() else (target, "", "1")
        self._name = name
        self._times = int(times)
        self._log = Path(log) if log else None
        self._die = die
        self._seen: Counter[str] = Counter()
        self.active = bool(target or log)

    def hit(self, name: str) -> None:
        """Pass a place."""
        if not self.active:
            return
        self._seen[name] += 1
        if self._log and self._seen[name] == 1:
            with self._log.open("a") as file:
                file.write(name + "\n")
        if name == self._name and self._seen[name] == self._times:
            self._die()


def failpoints_from_environment() -> Failpoints:
    """Read the target from the environment; only tests set it."""
    return Failpoints(os.environ.get(ENVIRONMENT, ""), os.environ.get(ENVIRONMENT_LOG, ""))
