"""What many tasks of one commit share: new rows, orders that were taken, looks that found nothing final.

Each is one statement for all of them. Where one of several is not as it was seen, `MovedMeanwhile` is raised and all is
to be undone; then each comes alone, and is told whether it was.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import msgspec

from halley.db import Tx
from halley.kernel.order import Report
from halley.tasks.model import NewTask, Task
from halley.tasks.states import TaskState

PPM = 1_000_000
_encode = msgspec.json.Encoder().encode
_NEW = (
    *("id", "account_id", "project_id", "key_id", "livemode", "request_id", "boot_id", "dialect", "kind", "model"),
    *("state", "channel_id", "vendor", "vendor_model", "hold_id", "held_nanos", "prices", "estimate", "body"),
    *("body_object", "webhook", "created_at", "deadline_at"),
)
_INTEGERS = frozenset(
    (
        *("fence", "vendor_cost_nanos", "deadline_at", "due_at"),
        *("seen_due", "next_due", "heard", "started_at", "progress_ppm"),
    )
)


class MovedMeanwhile(Exception):
    """One of several tasks is not as it was seen."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """An order that a vendor took while it was being submitted: its row from now on."""

    id: str
    fence: int
    vendor_task_id: str
    poll_url: str | None
    measured: str
    vendor_cost_nanos: int | None
    report: str | None
    word: str
    deadline_at: int
    due_at: int


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """A leased task that goes on as it is, and when to look again."""

    id: str
    state: TaskState
    fence: int
    seen_due: int | None
    next_due: int
    heard: int
    """1 when there is a report; else the one before stands."""
    report: str | None
    word: str
    started_at: int | None
    progress_ppm: int | None


def taken(task: Task) -> Taken:
    """Say what the row of a task that its vendor took shall be."""
    assert task.vendor_task_id is not None
    assert task.due_at is not None
    return Taken(
        id=task.id,
        fence=task.fence,
        vendor_task_id=task.vendor_task_id,
        poll_url=task.poll_url,
        measured=_encode(task.measured).decode(),
        vendor_cost_nanos=task.vendor_cost,
        report=None if task.report is None else _encode(task.report).decode(),
        word=task.word,
        deadline_at=task.deadline_at,
        due_at=task.due_at,
    )


def looked(task: Task, report: Report | None, next_due: int) -> Looked:
    """Say what was heard of a leased task, None for nothing, and when to look again."""
    progress = None if report is None else report.progress
    return Looked(
        id=task.id,
        state=task.state,
        fence=task.fence,
        seen_due=task.due_at,
        next_due=next_due,
        heard=int(report is not None),
        report=None if report is None else _encode(report).decode(),
        word="" if report is None else report.word,
        started_at=task.started_at if report is None else report.started_at or task.started_at,
        progress_ppm=None if progress is None else int(progress * PPM),
    )


def born(new: NewTask) -> Task:
    """Give a new task as it is read back once it is written."""
    return Task(
        **{name: getattr(new, name) for name in new.__struct_fields__},
        state=TaskState.SUBMITTING,
        attempts=1,
        vendor_task_id=None,
        poll_url=None,
        cost=None,
        measured={},
        vendor_cost=None,
        report=None,
        word="",
        progress=None,
        failure=None,
        started_at=None,
        ended_at=None,
        due_at=None,
        polls=0,
        fence=0,
    )


def insert_tasks(tx: Tx, tasks: Sequence[NewTask]) -> None:
    """Write the rows, before any vendor is called."""
    tx.insert("tasks", _NEW, [_new_row(tx.kind, task) for task in tasks])


def accept(tx: Tx, taken: Sequence[Taken]) -> Sequence[bool]:
    """Move orders from `submitting` to `running`. False for one that is not being submitted any more."""
    return _all(tx.run(_accept(tx.kind), {"rows": _encode(taken).decode()}), len(taken))


def look_again(tx: Tx, looked: Sequence[Looked]) -> Sequence[bool]:
    """End leases and say when to look next. A hint that came while a task was leased (`make_due`) stands.

    False for one whose lease was lost.
    """
    return _all(tx.run(_look_again(tx.kind), {"rows": _encode(looked).decode()}), len(looked))


def _all(touched: int, wanted: int) -> Sequence[bool]:
    if touched != wanted and wanted > 1:
        raise MovedMeanwhile(f"{touched} of {wanted} are as they were seen")
    return [bool(touched)] * wanted


def _new_row(kind: Literal["sqlite", "postgresql"], task: NewTask) -> tuple[Any, ...]:
    return (
        *(task.id, task.account_id, task.project_id, task.key_id, int(task.livemode), task.request_id, task.boot_id),
        *(task.dialect, task.kind, task.model, "submitting", task.channel_id, task.vendor, task.vendor_model),
        *(task.hold_id, task.held, _encode(task.prices).decode(), _encode(task.estimate).decode()),
        *(_bytes(kind, task.body), task.body_object, _bytes(kind, task.webhook), task.created_at, task.deadline_at),
    )


def _bytes(kind: Literal["sqlite", "postgresql"], data: bytes | None) -> bytes | str | None:
    """Spell bytes for `Tx.insert`: PostgreSQL gets its rows as text."""
    return data if data is None or kind == "sqlite" else rf"\x{data.hex()}"


@cache
def _accept(kind: Literal["sqlite", "postgresql"]) -> str:
    columns = ("vendor_task_id", "poll_url", "measured", "vendor_cost_nanos", "report", "word", "deadline_at", "due_at")
    assigned = ", ".join(f"{name} = new.{name}" for name in columns)
    return (
        f"UPDATE tasks SET state = 'running', {assigned} FROM {_rows(kind, Taken)}"  # noqa: S608 - own columns
        " WHERE tasks.id = new.id AND tasks.state = 'submitting' AND tasks.fence = new.fence"
    )


@cache
def _look_again(kind: Literal["sqlite", "postgresql"]) -> str:
    columns = ("report", "word", "started_at", "progress_ppm")
    heard = "new.heard = 1"
    assigned = "".join(f", {name} = CASE WHEN {heard} THEN new.{name} ELSE tasks.{name} END" for name in columns)
    return (
        "UPDATE tasks SET lease_until = 0, polls = polls + 1,"  # noqa: S608 - own columns
        f" due_at = CASE WHEN tasks.due_at = new.seen_due THEN new.next_due ELSE tasks.due_at END{assigned}"
        f" FROM {_rows(kind, Looked)}"
        " WHERE tasks.id = new.id AND tasks.state = new.state AND tasks.fence = new.fence"
    )


def _rows(kind: Literal["sqlite", "postgresql"], shape: type[msgspec.Struct]) -> str:
    """Spell a table `new` that is read from one parameter, so that a statement is the same for any number of rows."""
    names = shape.__struct_fields__
    if kind == "sqlite":
        fields = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in names)
        return f"(SELECT {fields} FROM json_each(:rows)) AS new"  # noqa: S608 - own columns
    fields = ", ".join(f"{name} {'bigint' if name in _INTEGERS else 'text'}" for name in names)
    return f"jsonb_to_recordset(CAST(:rows AS jsonb)) AS new ({fields})"
