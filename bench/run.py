"""One run: the vendor, then each case with each system in turn, round by round. Whatever starts here ends here."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from bench.cases import BY_NAME, DIRECT, Case, Rows
from bench.faults import BenchError, Unavailable
from bench.fetch.debian import fetch
from bench.host import Host, Rig
from bench.load.closed import Loop, Python, Wrk
from bench.options import Options
from bench.process import Child, Cores, choose_cores, raise_file_limit, spawn, wait_until
from bench.record import BooksRead, Problem, Sample, SystemRow
from bench.systems.base import Place, System
from bench.systems.direct import Direct

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"
FILES_SPARE, FILES_PER_STREAM = 500, 2
VENDOR_START_S_MAX = 20.0

Tell = Callable[[str], None]


class Run:
    """A run as it goes on; what it found stands in `samples`, `books` and `problems`."""

    def __init__(self, options: Options, systems: Sequence[System], tell: Tell) -> None:
        self.options = options
        self.samples: list[Sample] = []
        self.books: list[BooksRead] = []
        self.problems: list[Problem] = []
        self.rows: list[SystemRow] = []
        self.cores: Cores = choose_cores()
        self._systems = systems
        self._tell = tell
        self._stack = ExitStack()
        self._files_max = raise_file_limit()

    def __enter__(self) -> Self:
        with self._stack:
            self._folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="halley-bench-", dir=workspace())))
            self._vendor, self._vendor_port = self._start_vendor()
            self._stack.callback(self._vendor.stop)
            self.load = self._loop()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def steps(self) -> int:
        """How many measurements there will be."""
        return sum(1 for case in self._cases() for _ in self._of(case)) * self.options.rounds

    def install(self) -> None:
        """Bring every system in; one that cannot be had is told and left out."""
        here: list[System] = []
        for system in (Direct(self._vendor), *self._systems):
            self._tell(f"bringing in {system.title}")
            try:
                version = system.install(CACHE)
            except Unavailable as error:
                self._note("", system.name, str(error))
                continue
            here.append(system)
            row = SystemRow(name=system.name, title=system.title, version=version, settings=system.settings())
            self.rows.append(row)
        self._systems = here

    def measure(self, advance: Callable[[], None]) -> None:
        """Take every case."""
        for case in self._cases():
            self._measure(case, advance)

    def host(self, case: Case, system: System, part: str = "") -> Host:
        """A system with a fresh folder of its own."""
        folder = self._folder / f"{case.name}{part}-{system.name}"
        place = Place(folder=folder, vendor_port=self._vendor_port, cores=self.cores)
        return Host(system, place, self._rig())

    def systems(self) -> Sequence[System]:
        return self._systems

    def _measure(self, case: Case, advance: Callable[[], None]) -> None:
        hosts = {system.name: self.host(case, system) for system in self._of(case)}
        try:
            for number in range(1, self.options.rounds + 1):
                for name in list(hosts):
                    self._tell(f"{case.title}: round {number}, {hosts[name].system.title}")
                    if not self._try(case, hosts, name, number):
                        hosts.pop(name)
                    advance()
        except BaseException:
            for host in hosts.values():
                host.down(read=False)
            raise
        for host in hosts.values():
            self._finish(case, host)

    def _try(self, case: Case, hosts: dict[str, Host], name: str, number: int) -> bool:
        """Take one sample; False when the system is to be left out of the rest of the case."""
        host = hosts[name]
        try:
            figures = case.measure(host)
        except (BenchError, OSError) as error:
            self._note(case.name, name, str(error))
            host.down(read=False)
            return False
        self.samples.append(Sample(case=case.name, system=name, round=number, figures=figures))
        if case.anew:
            self._finish(case, host)
            hosts[name] = self.host(case, host.system, f"-{number + 1}")
        return True

    def _note(self, case: str, system: str, words: str) -> None:
        """Keep what went wrong, but not where on this machine."""
        shown = words.replace(str(self._folder), "…").replace(str(ROOT), ".")
        self.problems.append(Problem(case=case, system=system, words=shown))

    def _finish(self, case: Case, host: Host) -> None:
        """Stop it, and hold its books against the calls."""
        host.down()
        if host.counts is None:
            return
        rows = {Rows.USAGE: host.counts.usage_rows, Rows.TASKS: host.counts.task_rows, Rows.NONE: 0}[case.rows]
        self.books.append(
            BooksRead(
                case=case.name,
                system=host.system.name,
                sound=host.counts.sound,
                words=host.counts.words,
                rows=rows,
                answered=0 if case.rows is Rows.NONE else host.answered,
                cut=0 if case.rows is Rows.NONE else host.cut,
            )
        )

    def _cases(self) -> Iterator[Case]:
        return (BY_NAME[name] for name in self.options.cases)

    def _of(self, case: Case) -> Iterator[System]:
        return (system for system in self._systems if self._is_for(case, system))

    @staticmethod
    def _is_for(case: Case, system: System) -> bool:
        return case.kind in system.kinds and (case.direct or system.name != DIRECT)

    def _rig(self) -> Rig:
        return Rig(
            loop=self.load,
            cores=self.cores,
            vendor_pid=self._vendor.pid,
            seconds=self.options.seconds,
            idle_streams=min(self.options.idle_streams, (self._files_max - FILES_SPARE) // FILES_PER_STREAM),
            quick=self.options.quick,
        )

    def _loop(self) -> Loop:
        """Prefer `wrk`; without it our own loop, which takes more of the load's core."""
        if not self.options.wrk:
            return Python(core=self.cores.load)
        try:
            program = fetch("wrk", CACHE)
        except Unavailable as error:
            self._note("", "wrk", f"{error}; our own loop in Python stands in")
            return Python(core=self.cores.load)
        return Wrk(program=program.path, library=program.library, core=self.cores.load)

    def _start_vendor(self) -> tuple[Child, int]:
        command = [sys.executable, "-m", "bench.upstream"]
        child = spawn(command, core=self.cores.load, log=self._folder / "vendor", cwd=ROOT, environ={})
        try:
            wait_until(lambda: child.log.read_text().endswith("\n"), child=child, within_s=VENDOR_START_S_MAX)
            return child, int(child.log.read_text())
        except BaseException:
            child.stop()
            raise


def workspace() -> Path:
    """Where systems keep their files: on a disk, since what is durable there is measured."""
    folder = CACHE / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
