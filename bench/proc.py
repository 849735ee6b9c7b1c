"""What a tree of processes has used, read from `/proc`: CPU time with that of children that ended, and memory."""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

_TICKS = os.sysconf("SC_CLK_TCK")
_US_PER_TICK = 1_000_000 // _TICKS
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)
_UTIME = 11
"""Place of `utime` behind the name in `/proc/PID/stat`; `stime` and those of ended children follow."""


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """CPU time so far, in microseconds."""

    user_us: int
    system_us: int

    @property
    def total_us(self) -> int:
        return self.user_us + self.system_us

    def since(self, before: "Used") -> "Used":
        return Used(user_us=self.user_us - before.user_us, system_us=self.system_us - before.system_us)


def tree(roots: Iterable[int]) -> list[int]:
    """The processes themselves and all below them that live now."""
    found: list[int] = []
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found and Path(f"/proc/{pid}").exists():
            found.append(pid)
            waiting.extend(_children(pid))
    return found


def cpu(roots: Iterable[int]) -> Used:
    """CPU time of the tree; a child that ended and was waited for counts through its parent."""
    user = system = 0
    for pid in tree(roots):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended just now
            fields = stat_fields(Path(f"/proc/{pid}/stat").read_text())
            user += fields[0] + fields[2]
            system += fields[1] + fields[3]
    return Used(user_us=user * _US_PER_TICK, system_us=system * _US_PER_TICK)


def core_busy_us(core: int) -> int:
    """How long a core has worked so far, whoever it worked for."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} "))
    return busy_ticks(line) * _US_PER_TICK


def busy_ticks(line: str) -> int:
    """Of a core's line in `/proc/stat`: user, nice, system, interrupts and what the host took; not idle and waiting."""
    user, nice, system, _idle, _wait, hard, soft, stolen = (int(field) for field in line.split()[1:9])
    return user + nice + system + hard + soft + stolen


def stat_fields(line: str) -> tuple[int, int, int, int]:
    """User, system, and those of ended children, in ticks. The name in the line may hold spaces and brackets."""
    fields = line[line.rindex(")") + 2 :].split()
    user, system, children_user, children_system = (int(field) for field in fields[_UTIME : _UTIME + 4])
    return user, system, children_user, children_system


def memory_bytes(roots: Iterable[int]) -> int:
    """Memory of the tree: what is shared counts once (PSS); where that may not be read, RSS."""
    return sum(_memory_of(pid) for pid in tree(roots))


def _memory_of(pid: int) -> int:
    for name, pattern in (("smaps_rollup", _PSS), ("status", _RSS)):
        with contextlib.suppress(OSError):  # not ours to read, or it ended
            found = pattern.search(Path(f"/proc/{pid}/{name}").read_text())
            if found is not None:
                return int(found[1]) * 1024
    return 0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread ended
            found += [int(child) for child in task.read_text().split()]
    return found
