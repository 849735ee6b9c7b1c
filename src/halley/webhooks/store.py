"""The outbox in the database: leased with a fence, in the order of each task's events, until delivered or given up."""

from collections.abc import Sequence
from typing import Any

from halley.db import Row, Tx
from halley.webhooks.model import Backlog, Delivery, DeliveryFilter, DeliveryState, NewDelivery, Waiting

TOPIC = "webhooks"
"""Woken when a delivery has become due sooner than the worker knew."""
HOLDS_BACK_ATTEMPTS = 2
"""An event waits for the earlier ones of its task until those have failed this often."""
ERROR_LENGTH_MAX = 500
HEAD_MAX = 256
"""How much of the queue of due deliveries a worker looks at for its next leases."""

_INSERT = """
INSERT INTO outbox (id, task_id, account_id, project_id, livemode, dialect, event, url, secret, body, state, due_at,
    created_at)
VALUES (:id, :task_id, :account_id, :project_id, :livemode, :dialect, :event, :url, :secret, :body, 'pending',
    :created_at, :created_at)
ON CONFLICT (task_id, event) DO NOTHING
"""
_DUE = """
SELECT id, account_id FROM outbox
WHERE due_at IS NOT NULL AND due_at <= :now{} AND NOT EXISTS (
    SELECT 1 FROM outbox AS earlier
    WHERE earlier.task_id = outbox.task_id AND earlier.id < outbox.id AND earlier.due_at IS NOT NULL
        AND earlier.attempts < :holds_back
)
ORDER BY due_at, id LIMIT :limit
"""
# A leased row is due again when its lease ends, so that one column tells when anything is to be done.
_LEASE = """
UPDATE outbox SET due_at = :until, fence = fence + 1
WHERE id = (SELECT id FROM outbox WHERE id = :id AND due_at <= :now{}) RETURNING *
"""
_HELD = " WHERE id = :id AND fence = :fence AND state = 'pending'"


def enqueue(tx: Tx, delivery: NewDelivery) -> bool:
    """Write an event to be delivered, in the unit that it tells of. False when the task has this event already."""
    row = {name: getattr(delivery, name) for name in NewDelivery.__struct_fields__}
    tx.wake(TOPIC)
    return bool(tx.run(_INSERT, row | {"livemode": int(delivery.livemode)}))


def due(tx: Tx, now: int, without: Sequence[str] = ()) -> list[Waiting]:
    """List the first of what is due and not held back, the longest due first.

    `without` are accounts whose deliveries are read past: the more those are, the longer it takes.
    """
    names = {f"without_{n}": account for n, account in enumerate(without)}
    others = f" AND account_id NOT IN ({', '.join(f':{name}' for name in names)})" if names else ""
    params = {"now": now, "holds_back": HOLDS_BACK_ATTEMPTS, "limit": HEAD_MAX, **names}
    return [Waiting(row["id"], row["account_id"]) for row in tx.all(_DUE.format(others), params)]


def lease(tx: Tx, delivery_ids: Sequence[str], *, now: int, lease_us: int) -> list[Delivery]:
    """Take those of the deliveries that are still due. Who dies holding one loses it when the lease ends."""
    assert lease_us > 0
    query = _LEASE.format(tx.skip_locked)
    rows = [tx.one(query, {"id": each, "now": now, "until": now + lease_us}) for each in delivery_ids]
    return [_delivery(row) for row in rows if row is not None]


def delivered(tx: Tx, delivery: Delivery, *, status: int, now: int) -> bool:
    """Note that the receiver took it. False when the lease was lost: then another attempt is or was made."""
    ended = (
        "UPDATE outbox SET state = 'delivered', attempts = attempts + 1, due_at = NULL,"
        " last_status = :status, last_error = NULL, delivered_at = :now"
    )
    # Events of the same task that were held back are due now.
    tx.wake(TOPIC)
    return bool(tx.run(ended + _HELD, {"id": delivery.id, "fence": delivery.fence, "status": status, "now": now}))


def failed(tx: Tx, delivery: Delivery, *, status: int | None, error: str, due_at: int | None) -> bool:
    """Note that the attempt failed, and when the next is; None gives up. False when the lease was lost."""
    change = (
        "UPDATE outbox SET state = :state, attempts = attempts + 1, due_at = :due_at,"
        " last_status = :status, last_error = :error"
    )
    params = {
        "id": delivery.id,
        "fence": delivery.fence,
        "state": str(DeliveryState.FAILED if due_at is None else DeliveryState.PENDING),
        "due_at": due_at,
        "status": status,
        "error": error[:ERROR_LENGTH_MAX],
    }
    if not tx.run(change + _HELD, params):
        return False
    if due_at is None or delivery.attempts + 1 >= HOLDS_BACK_ATTEMPTS:
        tx.wake(TOPIC)
    else:
        _put_off_later_events(tx, delivery, due_at)
    return True


def release(tx: Tx, held: Sequence[Delivery], now: int) -> None:
    """Hand leases back untried, so that another worker need not wait for their end."""
    tx.many(
        f"UPDATE outbox SET due_at = :now{_HELD}",  # noqa: S608 - own clause
        [{"id": each.id, "fence": each.fence, "now": now} for each in held],
    )
    tx.wake(TOPIC)


def release_all_leases(tx: Tx, now: int) -> None:
    """Make due what a process that is gone was delivering; only where there can be no other.

    A lease raises the fence, an attempt that was noted raises `attempts`: where the fence is ahead, one may have been
    lost. A row that was handed back or sent anew looks so too, and is merely tried early.
    """
    tx.run(
        "UPDATE outbox SET due_at = :now WHERE state = 'pending' AND due_at > :now AND fence > attempts", {"now": now}
    )


def next_due(tx: Tx, now: int) -> int | None:
    """When something is to be done next, after all that is due now was leased: a retry, or the end of a lease."""
    row = tx.one("SELECT min(due_at) AS due FROM outbox WHERE due_at IS NOT NULL AND due_at > :now", {"now": now})
    return None if row is None else row["due"]


def backlog(tx: Tx) -> Backlog:
    """Count what is not delivered yet."""
    row = tx.one("SELECT count(*) AS n, min(created_at) AS oldest FROM outbox WHERE due_at IS NOT NULL")
    assert row is not None
    return Backlog(pending=row["n"], oldest_created_at=row["oldest"])


def find_delivery(tx: Tx, delivery_id: str) -> Delivery | None:
    """Read one."""
    row = tx.one("SELECT * FROM outbox WHERE id = :id", {"id": delivery_id})
    return None if row is None else _delivery(row)


def deliveries_of(tx: Tx, task_id: str) -> list[Delivery]:
    """Read a task's, in their order; there is one per kind of event."""
    return [_delivery(row) for row in tx.all("SELECT * FROM outbox WHERE task_id = :id ORDER BY id", {"id": task_id})]


def list_deliveries(tx: Tx, which: DeliveryFilter, limit: int) -> list[Delivery]:
    """List newest first."""
    conditions = {"account_id = :account_id": which.account_id, "id < :after": which.after}
    params: dict[str, Any] = {text.rpartition(":")[2]: value for text, value in conditions.items() if value is not None}
    clauses = [text for text, value in conditions.items() if value is not None]
    if which.states:
        params |= {f"state_{index}": str(state) for index, state in enumerate(which.states)}
        clauses.append(f"state IN ({', '.join(f':state_{index}' for index in range(len(which.states)))})")
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    query = f"SELECT * FROM outbox{where} ORDER BY id DESC LIMIT :limit"  # noqa: S608 - own clauses
    return [_delivery(row) for row in tx.all(query, params | {"limit": limit})]


def redeliver(tx: Tx, delivery_id: str, now: int) -> bool:
    """Try one again that ended, from the start of the schedule; for the operator. False when it has not ended."""
    tx.wake(TOPIC)
    return bool(
        tx.run(
            "UPDATE outbox SET state = 'pending', attempts = 0, due_at = :now, delivered_at = NULL"
            " WHERE id = :id AND due_at IS NULL",
            {"id": delivery_id, "now": now},
        )
    )


def redeliver_failed(tx: Tx, now: int, limit: int, account_id: str | None = None) -> int:
    """Try again those that were given up, the oldest first, as `redeliver` does one; give how many."""
    own = "" if account_id is None else " AND account_id = :account_id"
    params = {"now": now, "limit": limit} | ({} if account_id is None else {"account_id": account_id})
    tx.wake(TOPIC)
    return tx.run(
        "UPDATE outbox SET state = 'pending', attempts = 0, due_at = :now WHERE id IN (SELECT id FROM outbox"  # noqa: S608 - own clause
        f" WHERE due_at IS NULL AND state = 'failed'{own} ORDER BY id LIMIT :limit)",
        params,
    )


def prune(tx: Tx, ended_before: int, limit: int) -> int:
    """Delete deliveries that ended and were written before this time, the oldest first; give how many."""
    return tx.run(
        "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE due_at IS NULL AND created_at < :before"
        " ORDER BY created_at LIMIT :limit)",
        {"before": ended_before, "limit": limit},
    )


def _put_off_later_events(tx: Tx, delivery: Delivery, due_at: int) -> None:
    """Let what is held back sleep as long as what holds it back, so that it is not looked at again and again."""
    tx.run(
        "UPDATE outbox SET due_at = :due_at WHERE task_id = :task_id AND id > :id AND due_at < :due_at",
        {"task_id": delivery.task_id, "id": delivery.id, "due_at": due_at},
    )


def _delivery(row: Row) -> Delivery:
    values: dict[str, Any] = {name: row[name] for name in Delivery.__struct_fields__}
    secret = values["secret"]
    values |= {
        "livemode": bool(row["livemode"]),
        "state": DeliveryState(row["state"]),
        "secret": None if secret is None else bytes(secret),
        "body": bytes(row["body"]),
    }
    return Delivery(**values)
