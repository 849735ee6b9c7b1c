"""What many tasks of one commit share: new rows, orders that were taken, looks that found nothing final.

Each is one statement for all of them. Where one of several is not as it was seen, `MovedMeanwhile` is raised and all is
to be undone; then each comes alone, and is told whether it was.
"""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, Literal, cast

import msgspec
from msgspec.structs import astuple

from halley.db import Tx
from halley.db.engine import Params
from halley.kernel.order import Report
from halley.tasks.model import NewTask, Task

PPM = 1_000_000
_SIZES = (1, 2, 4, 8, 16, 32, 64)
"""So many tasks are changed by one statement: few spellings of it, so that each is prepared once."""
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
    state: str
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
        state=str(task.state),
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
    return Task(**{name: getattr(new, name) for name in new.__struct_fields__})


def insert_tasks(tx: Tx, tasks: Sequence[NewTask]) -> None:
    """Write the rows, before any vendor is called."""
    tx.insert("tasks", _NEW, [_new_row(tx.kind, task) for task in tasks])


def accept(tx: Tx, taken: Sequence[Taken]) -> Sequence[bool]:
    """Move orders from `submitting` to `running`. False for one that is not being submitted any more."""
    return _all(_update(tx, _ACCEPT, taken), len(taken))


def look_again(tx: Tx, looked: Sequence[Looked]) -> Sequence[bool]:
    """End leases and say when to look next. A hint that came while a task was leased (`make_due`) stands.

    False for one whose lease was lost.
    """
    return _all(_update(tx, _LOOK_AGAIN, looked), len(looked))


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


def _assigned(columns: Sequence[str], value: str) -> str:
    return "".join(f", {name} = {value.format(name=name)}" for name in columns)


_ACCEPTED = ("vendor_task_id", "poll_url", "measured", "vendor_cost_nanos", "report", "word", "deadline_at", "due_at")
_HEARD = ("report", "word", "started_at", "progress_ppm")
_ACCEPT = (
    f"UPDATE tasks SET state = 'running'{_assigned(_ACCEPTED, 'new.{name}')} FROM (%s) AS new"  # noqa: S608 - own columns
    " WHERE tasks.id = new.id AND tasks.state = 'submitting' AND tasks.fence = new.fence"
)
_LOOK_AGAIN = (
    "UPDATE tasks SET lease_until = 0, polls = polls + 1,"  # noqa: S608 - own columns
    " due_at = CASE WHEN tasks.due_at = new.seen_due THEN new.next_due ELSE tasks.due_at END"
    f"{_assigned(_HEARD, 'CASE WHEN new.heard = 1 THEN new.{name} ELSE tasks.{name} END')} FROM (%s) AS new"
    " WHERE tasks.id = new.id AND tasks.state = new.state AND tasks.fence = new.fence"
)
"""`new` is a table of what is to be written, one row for each task."""


def _update(tx: Tx, statement: str, rows: Sequence[Taken | Looked]) -> int:
    """Run it for all rows; give how many tasks were touched."""
    shape = type(rows[0])
    if tx.kind == "postgresql":
        return tx.run(_from_json(statement, shape), {"rows": _encode(rows).decode()})
    touched = 0
    for start in range(0, len(rows), _SIZES[-1]):
        piece = [astuple(row) for row in rows[start : start + _SIZES[-1]]]
        size = next(each for each in _SIZES if each >= len(piece))
        # The last row fills up what is left: a task is changed once, however often it is named.
        values = tuple(chain.from_iterable((*piece, *[piece[-1]] * (size - len(piece)))))
        # SQLite's driver takes values by their places too; by their names it looks for each among all the others.
        touched += tx.run(_from_values(statement, shape, size), cast("Params", values))
    return touched


@cache
def _from_values(statement: str, shape: type[msgspec.Struct], size: int) -> str:
    """Read the rows from parameters: half the time that SQLite needs where it takes JSON apart."""
    names = shape.__struct_fields__
    rows = ", ".join([f"({', '.join('?' * len(names))})"] * size)
    columns = ", ".join(f"column{number} AS {name}" for number, name in enumerate(names, 1))
    return statement % f"SELECT {columns} FROM (VALUES {rows})"  # noqa: S608 - own columns


@cache
def _from_json(statement: str, shape: type[msgspec.Struct]) -> str:
    """Read the rows from one parameter, so that the statement is the same for any number of them."""
    fields = ", ".join(f"{name} {'bigint' if name in _INTEGERS else 'text'}" for name in shape.__struct_fields__)
    return statement % f"SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS sent ({fields})"  # noqa: S608 - own columns
