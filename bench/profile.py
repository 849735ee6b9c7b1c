"""Where the time of our own gateway goes under one case: py-spy beside the load, written for speedscope."""

from collections.abc import Callable
from pathlib import Path

from bench.cases import Case
from bench.faults import Failed
from bench.fetch.environments import python_environment
from bench.host import Host
from bench.measure import MANY
from bench.process import Child, spawn

SECONDS = 10
RATE = 400
END_S_MAX = 30.0


def profile(case: Case, host: Host, cache: Path, folder: Path, tell: Callable[[str], None]) -> Path:
    """Load the system with 64 calls at once for ten seconds, and give the file of what was seen."""
    program = python_environment("profile", cache) / "py-spy"
    tell(f"profiling {case.title}")
    target = host.warm(case.kind)
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f"{case.name}-{host.system.name}.speedscope.json"
    spy = _start(str(program), host, written)
    try:
        host.load(target, MANY, SECONDS + 1)
        if spy.wait(END_S_MAX):
            raise Failed(f"py-spy failed: {spy.tail()}")
    finally:
        spy.stop()
    return written


def _start(program: str, host: Host, written: Path) -> Child:
    pid = str(host.up().child.pid)
    record = ["record", "--pid", pid, "--duration", str(SECONDS), "--rate", str(RATE), "--nonblocking"]
    shape = ["--format", "speedscope", "--output", str(written)]
    log = host.place.folder / "py-spy"
    return spawn([program, *record, *shape], core=host.rig.cores.load, log=log, cwd=written.parent, environ={})
