"""What is asked of Halley, and whether a run has met it: first figures and goals of the design's table."""

from collections.abc import Callable, Iterator
from enum import StrEnum

import msgspec

from bench.record import Record

SQLITE, POSTGRES = "halley-sqlite", "halley-postgres"
MS = 1_000


class Verdict(StrEnum):
    """How a run stands to a target."""

    GOAL = "goal met"
    FIRST = "met"
    MISSED = "missed"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """At most, or (`at_least`) at least, so much; `goal` is what is asked after that."""

    case: str
    system: str
    what: str
    read: Callable[[Record], float | None]
    first: float
    goal: float | None = None
    at_least: bool = False
    unit: str = ""

    def verdict(self, value: float) -> Verdict:
        if self.goal is not None and self._holds(value, self.goal):
            return Verdict.GOAL
        if not self._holds(value, self.first):
            return Verdict.MISSED
        return Verdict.FIRST if self.goal is not None else Verdict.GOAL

    def _holds(self, value: float, bound: float) -> bool:
        return value >= bound if self.at_least else value <= bound


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A target and what was measured."""

    target: Target
    value: float
    verdict: Verdict


def judge(record: Record) -> Iterator[Judged]:
    """Every target of which the run has a figure."""
    for target in TARGETS:
        value = target.read(record)
        if value is not None:
            yield Judged(target=target, value=value, verdict=target.verdict(value))


def _figure(case: str, name: str, system: str = SQLITE) -> Callable[[Record], float | None]:
    def read(record: Record) -> float | None:
        found = record.figure(case, system, name)
        return None if found is None else found.median

    return read


def _added(name: str, system: str) -> Callable[[Record], float | None]:
    def read(record: Record) -> float | None:
        found = record.added("chat", system, name)
        return None if found is None else found.median / MS

    return read


def _times(system: str) -> Callable[[Record], float | None]:
    def read(record: Record) -> float | None:
        found = record.ratio("chat", SQLITE, "per_second_64", system)
        return None if found is None else found.median

    return read


def _lag(record: Record) -> float | None:
    found = record.figure("sse", SQLITE, "lag_p99_us")
    return None if found is None else found.median / MS


def _idle_memory(record: Record) -> float | None:
    """Only of as many streams as are asked for."""
    streams = record.figure("idle-streams", SQLITE, "streams")
    memory = record.figure("idle-streams", SQLITE, "memory_mb")
    return None if streams is None or memory is None or streams.median < IDLE_STREAMS else memory.median


IDLE_STREAMS = 5_000
TARGETS = (
    Target(
        case="chat",
        system=SQLITE,
        what="calls a second",
        read=_figure("chat", "per_second_64"),
        first=8_000,
        goal=12_000,
        at_least=True,
    ),
    Target(
        case="chat",
        system=SQLITE,
        what="CPU per call",
        read=_figure("chat", "cpu_us_64"),
        first=125,
        goal=80,
        unit="µs",
    ),
    Target(case="chat", system=SQLITE, what="times nginx", read=_times("nginx"), first=0.2, at_least=True),
    Target(case="chat", system=SQLITE, what="times TensorZero", read=_times("tensorzero"), first=2, at_least=True),
    Target(case="chat", system=SQLITE, what="times Portkey", read=_times("portkey"), first=12, at_least=True),
    Target(case="chat", system=SQLITE, what="times LiteLLM", read=_times("litellm"), first=120, at_least=True),
    Target(
        case="chat",
        system=SQLITE,
        what="added p50, one connection",
        read=_added("p50_us_1", SQLITE),
        first=0.6,
        unit="ms",
    ),
    Target(
        case="chat",
        system=SQLITE,
        what="added p99, one connection",
        read=_added("p99_us_1", SQLITE),
        first=2,
        unit="ms",
    ),
    Target(
        case="chat",
        system=POSTGRES,
        what="added p50, one connection",
        read=_added("p50_us_1", POSTGRES),
        first=2,
        unit="ms",
    ),
    Target(
        case="chat",
        system=POSTGRES,
        what="added p99, one connection",
        read=_added("p99_us_1", POSTGRES),
        first=6,
        unit="ms",
    ),
    Target(case="sse", system=SQLITE, what="CPU per chunk", read=_figure("sse", "cpu_us"), first=55, unit="µs"),
    Target(case="sse", system=SQLITE, what="lag p99", read=_lag, first=5, unit="ms"),
    Target(
        case="sse",
        system=SQLITE,
        what="reads per chunk",
        read=_figure("sse", "reads_per_chunk"),
        first=0.99,
        at_least=True,
    ),
    Target(
        case="idle-streams", system=SQLITE, what="memory with 5,000 streams", read=_idle_memory, first=300, unit="MB"
    ),
    Target(
        case="task-submit",
        system=SQLITE,
        what="orders a second",
        read=_figure("task-submit", "per_second_64"),
        first=3_000,
        at_least=True,
    ),
    Target(
        case="task-fetch",
        system=SQLITE,
        what="fetches a second",
        read=_figure("task-fetch", "per_second_64"),
        first=15_000,
        at_least=True,
    ),
    Target(
        case="start",
        system=SQLITE,
        what="start to the first answer",
        read=_figure("start", "answer_s"),
        first=1.5,
        unit="s",
    ),
    Target(
        case="start", system=SQLITE, what="memory when idle", read=_figure("start", "memory_mb"), first=150, unit="MB"
    ),
)
