"""The processes of a crash test: the gateway, which is killed, and the simulated vendors, which survive."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
import msgspec
from tests.crash.waiting import until

from halley.kernel.failpoints import ENVIRONMENT, ENVIRONMENT_LOG
from halley.vendors.simulate import Journal

START_S_MAX = 20.0
DEATH_S_MAX = 10.0
STOP_S_MAX = 15.0
_TAG = re.compile(rb"crash-\d{6}")
_URL = re.compile(r"http://127\.0\.0\.1:\d+")
_KEPT = ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulated vendor wrote down that it was ordered."""

    vendor: str
    id: str
    tag: str
    """Which order of the test it is; from its prompt, so that it can be told without the gateway's word."""


class VendorProcess:
    """A simulated vendor that outlives every gateway."""

    def __init__(self, vendor: str, folder: Path, delay_s: float) -> None:
        self._vendor = vendor
        self._path = folder / f"{vendor}.db"
        with (folder / f"{vendor}.log").open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "halley.cli", "simulate", vendor, "--port", "0", "--journal", str(self._path)],
                env=environment({"HALLEY_SANDBOX_DELAY": str(delay_s)}),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        told = _URL.search(self._process.stdout.readline())
        assert told, f"the simulator of `{vendor}` did not start: {(folder / f'{vendor}.log').read_text()}"
        self.url = told[0]

    def jobs(self) -> list[Job]:
        """Read the journal, oldest first."""
        journal = Journal(self._path, vendor=self._vendor)
        try:
            return [Job(vendor=self._vendor, id=job.id, tag=tag_of(bytes(job.request))) for job in journal.all()]
        finally:
            journal.close()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(STOP_S_MAX)
        assert self._process.stdout is not None
        self._process.stdout.close()


class GatewayProcess:
    """`halley serve` in a process group of its own, on one port and data folder through all its lives."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.pid = 0
        self._settings = settings
        self._told = folder / "failpoint"
        self._log = folder / "failpoints.log"
        self._errors = folder / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it, and do not wait."""
        own = {
            "HALLEY_PORT": str(self.port),
            "HALLEY_DATA_DIR": str(self.folder / "data"),
            "HALLEY_PUBLIC_URL": self.url,
            ENVIRONMENT: f"@{self._told}",
            ENVIRONMENT_LOG: str(self._log),
        }
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "halley.cli", "serve"],
                env=environment(own | dict(self._settings)),
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        self.pid = self._process.pid

    async def start(self) -> float:
        """Start it; give how many seconds it took to be ready."""
        began = time.monotonic()
        self.launch()
        async with aiohttp.ClientSession() as session:
            while not await self._is_ready(session):
                assert self._alive(), f"the gateway died while starting:\n{self.tail()}"
                assert time.monotonic() - began < START_S_MAX, f"not ready within {START_S_MAX} s:\n{self.tail()}"
        return time.monotonic() - began

    async def start_and_die(self) -> None:
        """Start it with a failpoint on the way."""
        self.launch()
        await self.died()

    def aim(self, failpoint: str) -> None:
        """Say where it shall die; empty for nowhere."""
        new = self._told.with_suffix(".new")
        new.write_text(failpoint)
        new.replace(self._told)

    def aimed(self) -> str:
        """Where it shall die."""
        return self._told.read_text()

    def kill(self, *, whole_tree: bool) -> None:
        """SIGKILL for the process group, or for its main process alone; in either case nothing may be left of it."""
        if whole_tree:
            os.killpg(self.pid, signal.SIGKILL)
        else:
            os.kill(self.pid, signal.SIGKILL)
        self._reap()

    async def died(self) -> None:
        """Wait until it died of SIGKILL by itself."""
        assert self._process is not None
        process = self._process
        await until(lambda: process.poll() is not None, within_s=DEATH_S_MAX, what=lambda: f"death\n{self.tail()}")
        assert process.returncode == -signal.SIGKILL, f"it ended with {process.returncode}:\n{self.tail()}"
        self._process = None

    def is_dead(self) -> bool:
        return not self._alive()

    def terminate(self) -> None:
        """Ask it to stop, and do not wait."""
        os.kill(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        """Let it drain."""
        if self._alive():
            assert self._process is not None
            self.terminate()
            assert self._process.wait(STOP_S_MAX) == 0, self.tail()
            self._process = None

    def close(self) -> None:
        if self._alive():
            self.kill(whole_tree=True)

    def passed(self) -> list[str]:
        """The failpoints that it passed, in all its lives."""
        return list(dict.fromkeys(self._log.read_text().splitlines()))

    def tail(self) -> str:
        """The end of its log, for messages."""
        return self._errors.read_text(errors="replace")[-3_000:] if self._errors.exists() else ""

    def errors(self) -> list[str]:
        """Lines of its log that tell of a mistake of its own."""
        lines = self._errors.read_text(errors="replace").splitlines()
        return [line for line in lines if '"level": "error"' in line or '"level": "critical"' in line]

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _reap(self) -> None:
        assert self._process is not None
        self._process.wait(DEATH_S_MAX)
        self._process = None
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return
        raise AssertionError("processes of the gateway outlived its main process")

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/health/readiness") as reply:
                return reply.status == 200
        except aiohttp.ClientError:
            await until(lambda: True, within_s=1, what="a turn of the loop")
            return False


def environment(settings: Mapping[str, str], kept: Sequence[str] = _KEPT) -> dict[str, str]:
    """The environment of a child: nothing of ours but what is named."""
    return {name: os.environ[name] for name in kept if name in os.environ} | dict(settings)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def refusing_origin() -> tuple[socket.socket, str]:
    """Hold a port without listening, so that every connect to it is refused."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held, f"http://127.0.0.1:{held.getsockname()[1]}"


def tag_of(request: bytes) -> str:
    """Which order of the test a body belongs to."""
    found = _TAG.search(request)
    assert found, f"no test ordered this: {request!r}"
    return found[0].decode()
