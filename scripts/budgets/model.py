"""The words of the counts: what is counted, how much of it there was, and the arithmetic on it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

COUNTS: Mapping[str, str] = {
    "loop_calls": "Python functions entered on the event loop's thread, resumed coroutines included",
    "loop_c_calls": "functions in C called from Python on the event loop's thread",
    "writer_calls": "Python functions entered on the database writer's thread",
    "writer_c_calls": "functions in C called from Python on the database writer's thread",
    "other_calls": "Python functions entered on readers' and helpers' threads",
    "other_c_calls": "functions in C called from Python on readers' and helpers' threads",
    "writer_statements": "SQL statements of the writer, BEGIN, SAVEPOINT and COMMIT included",
    "reader_statements": "SQL statements of all others",
    "commits": "commits, each of which waits for the disk",
    "savepoints": "units of work that are undone alone",
    "tasks": "tasks of the event loop",
    "timers": "timers of the event loop",
    "hops": "jobs given to other threads, the writer's not counted",
}
"""What is counted, in the order in which it is shown."""
DIGITS = 2
"""Of a count per call; whole numbers but for what is shared by many calls."""

Counts = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A path and what one call of it costs."""

    path: str
    title: str
    counts: Counts


def combined(one: Counts, other: Counts, by: Callable[[float, float], float]) -> dict[str, float]:
    """Reckon count by count."""
    return {name: by(one.get(name, 0), other.get(name, 0)) for name in COUNTS}


def minus(one: Counts, other: Counts) -> dict[str, float]:
    """Take one from another."""
    return combined(one, other, lambda left, right: left - right)


def least(one: Counts, other: Counts) -> dict[str, float]:
    """Give the smaller of each: what disturbs a count can only add to it."""
    return combined(one, other, min)


def per(counts: Counts, calls: int) -> dict[str, float]:
    """Give the counts of one call of so many."""
    return {name: round(counts.get(name, 0) / calls, DIGITS) for name in COUNTS}


def shown(number: float) -> str:
    """Write a count, all of it."""
    return f"{number:.{DIGITS}f}".rstrip("0").rstrip(".")
