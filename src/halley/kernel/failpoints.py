"""Places at which a test may kill the process, to prove that a restart loses nothing; else they cost one call."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

ENVIRONMENT = "HALLEY_FAILPOINT"
"""`name` or `name:n`: die at the n-th time that the place is passed. `@path`: the file there says so at each pass."""
ENVIRONMENT_LOG = "HALLEY_FAILPOINT_LOG"
"""A file to which the name of each place passed is appended, once."""


def _kill() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class Failpoints:
    """Counts the places passed, and dies at the one that was asked for."""

    def __init__(self, target: str = "", log: str = "", die: Callable[[], NoReturn] = _kill) -> None:
        # Read anew at each pass, so that a process can be told where to die after it has started.
        self._told = Path(target[1:]) if target.startswith("@") else None
        self._log = Path(log) if log else None
        self._die = die
        self._target: str = ""
        self._name: str = ""
        self._times = 1
        self._passed: Counter[str] = Counter()
        if self._told is None:
            self._aim(target)
        self._logged: set[str] = set()
        self.active = bool(target or log)

    def hit(self, name: str) -> None:
        """Pass a place."""
        if not self.active:
            return
        self._note(name)
        if self._told is not None:
            self._aim(self._told.read_text() if self._told.exists() else "")
        self._passed[name] += 1
        if name == self._name and self._passed[name] == self._times:
            self._die()

    def _note(self, name: str) -> None:
        if self._log and name not in self._logged:
            self._logged.add(name)
            with self._log.open("a") as file:
                file.write(name + "\n")

    def _aim(self, target: str) -> None:
        """Take a target; passes are counted from then on."""
        if target == self._target:
            return
        self._target = target
        name, _, times = target.rpartition(":") if target.rpartition(":")[2].isdecimal() else (target, "", "1")
        self._name, self._times = name, int(times)
        self._passed = Counter()


def failpoints_from_environment() -> Failpoints:
    """Read the target from the environment; only tests set it."""
    return Failpoints(os.environ.get(ENVIRONMENT, ""), os.environ.get(ENVIRONMENT_LOG, ""))
