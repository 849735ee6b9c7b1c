"""Closed loop of whole calls: by `wrk` where it is there, else by our own slower one in Python."""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TypeVar

import msgspec

from bench.faults import Failed
from bench.load.model import Closed, Outcome
from bench.load.wire import listed
from bench.process import run_load

_SCRIPT = Path(__file__).with_name("wrk.lua")
_SLACK_S = 30.0
_SHOWN = 200
T = TypeVar("T")

Loop = Callable[[Closed], Outcome]


class Wrk(msgspec.Struct, frozen=True, kw_only=True):
    """Debian's `wrk`, and the folder of the libraries that the machine lacks."""

    program: Path
    library: str
    core: int

    def __call__(self, wanted: Closed) -> Outcome:
        with NamedTemporaryFile(prefix="halley-bench-") as file:
            file.write(listed(wanted.target))
            file.flush()
            timeout_s = wanted.seconds + wanted.timeout_s + _SLACK_S
            command = self._command(wanted, file.name)
            return parse(run_load(command, core=self.core, timeout_s=timeout_s, library=self.library), Outcome)

    def _command(self, wanted: Closed, requests: str) -> list[str]:
        return [
            str(self.program),
            "--threads=1",
            f"--connections={wanted.connections}",
            f"--duration={max(1, round(wanted.seconds))}s",
            f"--timeout={wanted.timeout_s:.0f}s",
            f"--script={_SCRIPT}",
            f"http://127.0.0.1:{wanted.target.port}/",
            "--",
            requests,
        ]


class Python(msgspec.Struct, frozen=True, kw_only=True):
    """The loop of `bench.load.loop`."""

    core: int

    def __call__(self, wanted: Closed) -> Outcome:
        command = [sys.executable, "-m", "bench.load.loop"]
        timeout_s = wanted.seconds + wanted.timeout_s + _SLACK_S
        return parse(run_load(command, core=self.core, timeout_s=timeout_s, stdin=msgspec.json.encode(wanted)), Outcome)


def parse(printed: bytes, kind: type[T]) -> T:
    """Read the last line of what a generator printed. Raises `Failed`."""
    line = printed.strip().rpartition(b"\n")[2]
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failed(f"the load's last line is no result: {line[:_SHOWN]!r}") from error
