"""Processes that the bench starts: each in a group of its own, pinned to a core, and ended with all that it started."""

import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import msgspec

from bench.faults import Failed

STOP_S_MAX = 40.0
KILL_S_MAX = 10.0
_TAIL_BYTES = 2_000
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "XDG_RUNTIME_DIR")


class Cores(msgspec.Struct, frozen=True, kw_only=True):
    """Which core has the gateway, and which the load and the vendor."""

    gateway: int
    load: int

    @property
    def shared(self) -> bool:
        return self.gateway == self.load


def choose_cores() -> Cores:
    """The first two that we may use; one for both if there is no second."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(gateway=usable[0], load=usable[1] if len(usable) > 1 else usable[0])


class Child:
    """One process and the group that it leads."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def tail(self) -> str:
        """The end of what it has written."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip()

    def wait(self, within_s: float) -> int:
        """Wait for its own end, and give its exit code. Raises `Failed`."""
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"it did not end within {within_s:.0f} s:\n{self.tail()}") from error

    def stop(self, within_s: float = STOP_S_MAX) -> None:
        """Ask it to end, then end its whole group."""
        if not self.ended:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):  # then it is killed
                self._process.wait(within_s)
        self._signal(signal.SIGKILL)
        self._process.wait(KILL_S_MAX)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # nobody of the group is left
            os.killpg(self.pid, number)


@contextmanager
def pinned(core: int) -> Generator[None]:
    """Let processes that start within inherit one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def spawn(command: Sequence[str], *, core: int, log: Path, cwd: Path, environ: Mapping[str, str]) -> Child:
    """Start a process with a bare environment; what it writes goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out, pinned(core):
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**bare_environment(), **environ},
            start_new_session=True,
        )
    return Child(process, log)


def run_load(command: Sequence[str], *, core: int, timeout_s: float, stdin: bytes = b"", library: str = "") -> bytes:
    """Run a generator of load to its end, and give what it printed. Raises `Failed`."""
    with _generator(command, core, library) as process:
        try:
            out, errors = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"`{Path(command[0]).name}` did not end within {timeout_s:.0f} s") from error
    if process.returncode:
        words = errors.decode(errors="replace").strip()[-_TAIL_BYTES:]
        raise Failed(f"`{Path(command[0]).name}` ended with {process.returncode}: {words}")
    return out


@contextmanager
def held_load(command: Sequence[str], *, core: int, timeout_s: float, wanted: bytes) -> Generator[bytes]:
    """Run a generator of load that holds what it has opened, and give the line that it printed. Raises `Failed`."""
    with _generator(command, core, "") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(wanted + b"\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], timeout_s)[0]:
            raise Failed(f"the load told nothing within {timeout_s:.0f} s")
        yield process.stdout.readline()
        process.stdin.close()
        process.wait(KILL_S_MAX)


@contextmanager
def _generator(command: Sequence[str], core: int, library: str) -> Generator[subprocess.Popen[bytes]]:
    environ = bare_environment() | ({"LD_LIBRARY_PATH": library} if library else {})
    with pinned(core):
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            start_new_session=True,
        )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def bare_environment() -> dict[str, str]:
    """Of ours only what every program needs, so that nobody's settings reach what is measured."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def raise_file_limit() -> int:
    """Let us and what we start open as many files as the machine allows; give that number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def wait_until(ready: Callable[[], bool], *, child: Child, within_s: float, every_s: float = 0.005) -> float:
    """Wait until `ready()` holds; give the seconds that it took. Raises `Failed` if the process ends before."""
    began = monotonic()
    while not ready():
        if child.ended:
            raise Failed(f"it ended at its start:\n{child.tail()}")
        if monotonic() - began > within_s:
            raise Failed(f"it did not answer within {within_s:.0f} s:\n{child.tail()}")
        pause(every_s)
    return monotonic() - began
