"""One system during one case: started when it is needed, its calls counted, its books read when it has stopped."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol, runtime_checkable

import msgspec

from bench import proc
from bench.ask import demand
from bench.load.closed import Wrk, parse
from bench.load.model import Closed, Opened, Opening, Outcome, Streams, StreamsOutcome, Target
from bench.process import Cores, held_load, pause, run_load
from bench.systems.base import Counts, Kind, Place, Running, System

WARM_CONNECTIONS = 64
WARM_S, WARM_QUICK_S = 3, 1
SETTLE_S_MAX = 5.0
SETTLE_EVERY_S = 0.2
SETTLED_PART = 0.05
"""Settled is who uses less of a core than this."""
_SLACK_S = 30.0


@runtime_checkable
class KeepsBooks(Protocol):
    """A system whose books are compared with the calls."""

    def read_books(self) -> Counts: ...


class Rig(msgspec.Struct, frozen=True, kw_only=True):
    """What every measurement needs."""

    loop: Callable[[Closed], Outcome]
    cores: Cores
    vendor_pid: int
    seconds: float
    idle_streams: int
    quick: bool


class Host:
    """A system in one case."""

    def __init__(self, system: System, place: Place, rig: Rig) -> None:
        self.system = system
        self.place = place
        self.rig = rig
        self.answered = 0
        self.cut = 0
        self.counts: Counts | None = None
        self._running: Running | None = None

    def up(self) -> Running:
        """The system, started if it is not."""
        if self._running is None:
            self.start()
        assert self._running is not None, "just started"
        return self._running

    def start(self) -> float:
        """Start it on what it has kept, if anything; give the seconds until it was healthy."""
        self.down(read=False)
        began = monotonic()
        self._running = self.system.start(self.place)
        seconds = monotonic() - began
        self._running.prepare()
        return seconds

    def down(self, *, read: bool = True) -> None:
        """Stop it; then read its books, so that nothing is on the way."""
        running, self._running = self._running, None
        if running is None:
            return
        running.stop()
        if read and isinstance(running, KeepsBooks):
            self.counts = running.read_books()

    def demand(self, target: Target) -> None:
        """One call that must be answered well. Raises `Failed`."""
        demand(target)
        self.answered += 1

    def load(self, target: Target, connections: int, seconds: float) -> Outcome:
        """A closed loop of whole calls."""
        outcome = self.rig.loop(Closed(target=target, connections=connections, seconds=seconds))
        self.answered += outcome.answered - outcome.bad
        # `wrk` hangs up on what is on the way; our own loop waits for it.
        self.cut += connections if isinstance(self.rig.loop, Wrk) else outcome.broken
        return outcome

    def streams(self, target: Target, connections: int, seconds: float) -> StreamsOutcome:
        """Paced streams, one after the other on each connection."""
        wanted = Streams(target=target, connections=connections, seconds=seconds)
        timeout_s = wanted.seconds + wanted.timeout_s + _SLACK_S
        command = [sys.executable, "-m", "bench.load.streams"]
        printed = run_load(command, core=self.rig.cores.load, timeout_s=timeout_s, stdin=msgspec.json.encode(wanted))
        outcome = parse(printed, StreamsOutcome)
        self.answered += outcome.streams
        self.cut += outcome.broken
        return outcome

    @contextmanager
    def held(self, wanted: Opening) -> Generator[Opened]:
        """Streams that stay open within."""
        command = [sys.executable, "-m", "bench.load.held"]
        timeout_s = wanted.timeout_s + _SLACK_S
        with held_load(
            command, core=self.rig.cores.load, timeout_s=timeout_s, wanted=msgspec.json.encode(wanted)
        ) as line:
            opened = parse(line, Opened)
            self.cut += wanted.streams
            yield opened

    def warm(self, kind: Kind) -> Target:
        """Show that it answers well, let it fill its caches and connections, and wait until it rests."""
        target = self.up().target(kind)
        self.demand(target)
        self.load(target, WARM_CONNECTIONS, WARM_QUICK_S if self.rig.quick else WARM_S)
        self.settle()
        return target

    def settle(self) -> None:
        """Wait until what the last load has left behind is worked off."""
        until = monotonic() + SETTLE_S_MAX
        while monotonic() < until:
            before = proc.cpu(self.up().roots)
            pause(SETTLE_EVERY_S)
            if proc.cpu(self.up().roots).since(before).total_us < SETTLED_PART * SETTLE_EVERY_S * 1e6:
                return
