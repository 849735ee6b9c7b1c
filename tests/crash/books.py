"""What the gateway wrote down, read from its database behind its back."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import psycopg
from tests.crash.processes import tag_of

from halley.db import Tx
from halley.db.libpq import Link, Statement
from halley.db.postgresql import PostgresTx
from halley.db.sqlite import SqliteTx
from halley.ledger.verify import verify


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    tag: str
    state: str
    vendor: str
    model: str
    vendor_task_id: str | None
    held: int
    cost: int | None
    hooked: bool


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    task_id: str
    event: str
    state: str


class AnswerRow(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, by its hold, which is there before any vendor is called."""

    id: str
    held: int
    outcome: str | None
    """From its usage row; None when it has none."""
    price: int
    exposure: int
    posted: int
    voided: bool
    open: bool


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot."""

    answers: tuple[AnswerRow, ...]

    tasks: tuple[TaskRow, ...]
    deliveries: tuple[Delivery, ...]
    open_holds: dict[str, int]
    """Task → amount."""
    posted: dict[str, int]
    """Task → amount, of the transfers themselves."""
    voided: frozenset[str]
    usage: dict[str, int]
    """Task → price, of what is shown to the caller."""
    debits_pending: int
    debits_posted: int
    taken_back: int
    """Of these, what corrections by the operator took."""
    differences: tuple[str, ...]
    """What `ledger verify` finds."""


def read_books(url: str) -> Books:
    """Read all of it at one moment."""
    with _snapshot(url) as tx:
        # First, for on PostgreSQL it sets how the transaction sees the others.
        differences = verify(tx, keys=True).differences
        accounts = tx.all("SELECT * FROM ledger_accounts WHERE livemode = 1")
        transfers = tx.all("SELECT * FROM transfers WHERE kind IN ('post', 'excess', 'shortfall', 'void')")
        answers = _answers(tx)
        posted: dict[str, int] = {}
        for row in transfers:
            if row["kind"] != "void":
                posted[row["order_id"]] = posted.get(row["order_id"], 0) + row["amount_nanos"]
        asked = {answer.id for answer in answers}
        return Books(
            answers=answers,
            tasks=tuple(map(_task, tx.all("SELECT * FROM tasks ORDER BY id"))),
            deliveries=tuple(
                Delivery(id=row["id"], task_id=row["task_id"], event=row["event"], state=row["state"])
                for row in tx.all("SELECT id, task_id, event, state FROM outbox")
            ),
            open_holds={row["order_id"]: row["amount_nanos"] for row in _of_tasks(tx, "open_holds")},
            posted={order: amount for order, amount in posted.items() if order not in asked},
            voided=frozenset(row["order_id"] for row in transfers if row["kind"] == "void") - asked,
            usage={row["order_id"]: row["price_nanos"] for row in _of_tasks(tx, "usage")},
            debits_pending=sum(row["debits_pending"] for row in accounts),
            debits_posted=sum(row["debits_posted"] for row in accounts),
            taken_back=sum(row["amount_nanos"] for row in tx.all("SELECT * FROM transfers WHERE kind = 'adjust'")),
            differences=tuple(differences),
        )


def unsettled(url: str, ordered: frozenset[str]) -> list[str]:
    """List what is still to be done; `ordered` are the tags of jobs that a vendor can be asked for."""
    with _snapshot(url) as tx:
        tasks = map(_task, tx.all("SELECT * FROM tasks WHERE state IN ('submitting', 'running', 'unknown')"))
        left = [f"{task.tag} is {task.state}" for task in tasks if task.state != "unknown" or task.tag in ordered]
        left += [
            f"{row['order_id']} is on hold" for row in tx.all("SELECT * FROM open_holds WHERE order_kind = 'answer'")
        ]
        owed = tx.all("SELECT id, task_id, attempts FROM outbox WHERE due_at IS NOT NULL")
    return left + [f"{row['id']} of {row['task_id']} was tried {row['attempts']} times" for row in owed]


def _of_tasks(tx: Tx, table: str) -> list[Any]:
    return list(tx.all(f"SELECT * FROM {table} WHERE order_kind = 'task'"))  # noqa: S608 - a table of ours


def _answers(tx: Tx) -> tuple[AnswerRow, ...]:
    """Read every answer that money was held for."""
    usage = {row["order_id"]: row for row in tx.all("SELECT * FROM usage WHERE order_kind = 'answer'")}
    open_now = {row["hold_id"] for row in tx.all("SELECT hold_id FROM open_holds")}
    moved = tx.all("SELECT * FROM transfers WHERE hold_id IS NOT NULL")
    rows: list[AnswerRow] = []
    for hold in tx.all("SELECT * FROM transfers WHERE kind = 'hold' AND order_id LIKE 'ans_%' ORDER BY id"):
        ends = [row for row in moved if row["hold_id"] == hold["id"] and row["id"] != hold["id"]]
        shown = usage.get(hold["order_id"])
        rows.append(
            AnswerRow(
                id=hold["order_id"],
                held=hold["amount_nanos"],
                outcome=shown["outcome"] if shown else None,
                price=shown["price_nanos"] if shown else 0,
                exposure=shown["exposure_nanos"] if shown else 0,
                posted=sum(row["amount_nanos"] for row in ends if row["kind"] != "void"),
                voided=any(row["kind"] == "void" for row in ends),
                open=hold["id"] in open_now,
            )
        )
    return tuple(rows)


@contextmanager
def _snapshot(url: str) -> Generator[Tx]:
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            yield SqliteTx(connection)
        return
    with closing(Link(psycopg.connect(url, autocommit=True))) as link:
        link.ask([Statement(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")])
        yield PostgresTx(link)


def _task(row: Any) -> TaskRow:
    return TaskRow(
        id=row["id"],
        tag=tag_of(bytes(row["body"])),
        state=row["state"],
        vendor=row["vendor"],
        model=row["model"],
        vendor_task_id=row["vendor_task_id"],
        held=row["held_nanos"],
        cost=row["cost_nanos"],
        hooked=row["webhook"] is not None,
    )
