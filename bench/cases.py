"""The cases, in the order in which they run."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial

import msgspec

from bench import measure
from bench.host import Host
from bench.measure import Figures
from bench.systems.base import Kind

DIRECT = "direct"


class Rows(StrEnum):
    """Which rows of the books a case leaves, one for each call."""

    USAGE = "usage"
    TASKS = "tasks"
    NONE = "none"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One of the things that are measured."""

    name: str
    title: str
    kind: Kind
    measure: Callable[[Host], Figures]
    anew: bool = False
    """Each measurement begins with an empty system: what the one before left would go on working."""
    direct: bool = True
    """Whether it says something of the vendor alone."""
    rows: Rows = Rows.USAGE


def _calls(name: str, title: str, kind: Kind) -> Case:
    return Case(name=name, title=title, kind=kind, measure=partial(measure.calls, kind=kind))


def _tasks(name: str, title: str, kind: Kind, rows: Rows) -> Case:
    return Case(name=name, title=title, kind=kind, measure=partial(measure.calls, kind=kind), anew=True, rows=rows)


CASES = (
    _calls("chat", "chat, 1.5 KB in, 600 B out", Kind.CHAT),
    _calls("chat-large", "chat, 20 KB in, 4 KB out", Kind.LARGE),
    Case(
        name="sse",
        title="stream, 50 chunks of 200 B every 20 ms",
        kind=Kind.STREAM,
        measure=partial(measure.streams, kind=Kind.STREAM),
    ),
    _calls("embeddings", "embeddings, 100 KB out", Kind.EMBEDDINGS),
    _tasks("task-submit", "order of an image", Kind.ORDER, Rows.TASKS),
    _tasks("task-fetch", "fetch of a task that runs", Kind.FETCH, Rows.NONE),
    Case(
        name="idle-streams",
        title="streams that are open and silent",
        kind=Kind.HOLD,
        measure=partial(measure.idle, kind=Kind.HOLD),
        anew=True,
        direct=False,
    ),
    Case(
        name="start",
        title="start",
        kind=Kind.CHAT,
        measure=partial(measure.start, kind=Kind.CHAT),
        anew=True,
        direct=False,
    ),
)
BY_NAME = {case.name: case for case in CASES}
