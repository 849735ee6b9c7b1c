"""What a reader has to know of the machine; nothing that tells whose it is."""

import os
import platform
import re
import subprocess
from pathlib import Path

_TIMEOUT_S = 10
_MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)
_MEMORY = re.compile(r"^MemTotal:\s+(\d+) kB", re.MULTILINE)
_KB_PER_GIB = 1024 * 1024


def machine(disk_of: Path) -> dict[str, str]:
    return {
        "cpu": _first(_MODEL, Path("/proc/cpuinfo")) or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(_first(_MEMORY, Path('/proc/meminfo')) or 0) / _KB_PER_GIB:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "disk": file_system(disk_of.resolve(), Path("/proc/mounts").read_text()),
    }


def file_system(path: Path, mounts: str) -> str:
    """The kind of file system that a path is on."""
    found = [line.split()[1:3] for line in mounts.splitlines()]
    above = [(place, kind) for place, kind in found if path.is_relative_to(place)]
    return max(above, key=lambda each: len(each[0]), default=("", "unknown"))[1]


def commit(root: Path) -> str:
    """The commit that was measured; with `+` if the tree had changes."""
    head = _git(root, "rev-parse", "--short=10", "HEAD")
    return f"{head}+" if head and _git(root, "status", "--porcelain", "--untracked-files=no") else head


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _first(pattern: re.Pattern[str], path: Path) -> str | None:
    found = pattern.search(path.read_text())
    return found[1].strip() if found else None
