"""Tasks in the database. Every change names the state it saw; a lease adds the fence it was given."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from halley.db import Row, Tx
from halley.kernel.ids import TaskId
from halley.kernel.money import Nanos
from halley.kernel.order import Failure, Report
from halley.tasks.model import Boot, Due, NewTask, Pinned, Seen, Task, TaskFilter
from halley.tasks.states import OPEN, TaskState, may_move
from halley.tasks.together import PPM, insert_tasks

PAGE_MAX = 100
DUE_HEAD_MAX = 256
"""How much of the queue of due tasks a worker looks at for its next leases."""
HINT_AHEAD_US = 3600 * 1_000_000
"""A task that its vendor gave a hint of goes before all that have been due for less than this."""
_TOGETHER = (1, 16, 64, 256)
"""So many tasks are read at once: few spellings of one statement, so that each is prepared once."""
_encode = msgspec.json.Encoder().encode
_counts = msgspec.json.Decoder(dict[str, int]).decode
_pinned = msgspec.json.Decoder(Pinned).decode
_report = msgspec.json.Decoder(Report).decode
_failure = msgspec.json.Decoder(Failure).decode
_seen = msgspec.json.Decoder(list[tuple[str, str, int, str, int, int, int]]).decode
_head = msgspec.json.Decoder(list[tuple[int, str, str]]).decode


def topic(task_id: str) -> str:
    """Name the wake-up of one task."""
    return f"task.{task_id}"


DUE_TOPIC = "tasks.due"
"""Woken when a task has become due sooner than the worker knew."""


def insert_task(tx: Tx, task: NewTask) -> None:
    """Write the row, before any vendor is called."""
    insert_tasks(tx, [task])


def find_task(tx: Tx, task_id: str) -> Task | None:
    """Read one task, whoever it belongs to."""
    row = tx.one("SELECT * FROM tasks WHERE id = :id", {"id": task_id})
    return None if row is None else _task(row)


def find_own(tx: Tx, task_id: str, *, project_id: str, livemode: bool) -> Task | None:
    """Read one task of this project and mode; somebody else's is not there."""
    row = tx.one(
        "SELECT * FROM tasks WHERE id = :id AND project_id = :project_id AND livemode = :livemode",
        {"id": task_id, "project_id": project_id, "livemode": int(livemode)},
    )
    return None if row is None else _task(row)


def see(tx: Tx, task_ids: Sequence[str]) -> dict[str, Seen]:
    """Tell whose some tasks are and which version each is; one that is not there is not in it."""
    if tx.kind == "sqlite":
        rows = _seen(_only(tx, _SEE_TOGETHER, {"ids": _encode(task_ids).decode()}))
        return {each[0]: Seen(each[1], bool(each[2]), each[3:]) for each in rows}
    found: dict[str, Seen] = {}
    for names, params in _several(task_ids):
        query = f"SELECT {_SEEN} FROM tasks WHERE id IN ({names})"  # noqa: S608 - own names of parameters
        for row in tx.all(query, params):
            version = (row["state"], row["polls"], row["fence"], row["attempts"])
            found[row["id"]] = Seen(row["project_id"], bool(row["livemode"]), version)
    return found


def other_with_job(tx: Tx, task: Task, vendor_task_id: str) -> TaskId | None:
    """Give another task that has this job of the task's vendor. All tasks ever are read: not to be asked often."""
    row = tx.one(
        "SELECT id FROM tasks WHERE vendor_task_id = :job AND vendor = :vendor AND id <> :id LIMIT 1",
        {"job": vendor_task_id, "vendor": task.vendor, "id": task.id},
    )
    return None if row is None else row["id"]


def find_tasks(tx: Tx, task_ids: Sequence[str]) -> dict[TaskId, Task]:
    """Read several tasks, whoever they belong to."""
    found: dict[TaskId, Task] = {}
    for names, params in _several(task_ids):
        rows = tx.all(f"SELECT * FROM tasks WHERE id IN ({names})", params)  # noqa: S608 - own names of parameters
        found |= {row["id"]: _task(row) for row in rows}
    return found


def list_tasks(tx: Tx, which: TaskFilter, limit: int = PAGE_MAX) -> list[Task]:
    """List newest first (with `before`: those next to the cursor, still newest first)."""
    clauses, params = _where(which)
    params["limit"] = min(limit, PAGE_MAX + 1)
    order = "ASC" if which.before else "DESC"
    rows = tx.all(f"SELECT * FROM tasks{clauses} ORDER BY id {order} LIMIT :limit", params)  # noqa: S608 - own clauses
    tasks = [_task(row) for row in rows]
    return tasks[::-1] if which.before else tasks


def set_channel(tx: Tx, task_id: TaskId, *, channel_id: str, vendor: str, vendor_model: str, attempts: int) -> bool:
    """Note that another channel is tried now, as the so-manieth; before it is called."""
    return bool(
        tx.run(
            "UPDATE tasks SET channel_id = :channel_id, vendor = :vendor, vendor_model = :vendor_model,"
            " attempts = :attempts WHERE id = :id AND state = 'submitting'",
            {
                "id": task_id,
                "channel_id": channel_id,
                "vendor": vendor,
                "vendor_model": vendor_model,
                "attempts": attempts,
            },
        )
    )


def move(tx: Tx, task: Task, to: TaskState, **columns: Any) -> bool:
    """Move a task from the state it was seen in. False when another was quicker: then nothing is changed.

    `columns` are set along; structs and dicts are written as JSON.
    """
    assert may_move(task.state, to), f"{task.state} → {to}"
    if to not in OPEN:
        columns = {"due_at": None, "lease_until": 0} | columns
        # Who waits for a task waits for its end.
        tx.wake(topic(task.id))
    return _update(tx, task, {"state": to} | columns)


def note(tx: Tx, task: Task, **columns: Any) -> bool:
    """Set columns of a task that stays in its state. False when it has moved or the lease was lost."""
    return _update(tx, task, columns)


def set_cost(tx: Tx, task_id: TaskId, cost: Nanos) -> None:
    """Note what the caller paid, in the unit that ended the task."""
    tx.run("UPDATE tasks SET cost_nanos = :cost WHERE id = :id", {"id": task_id, "cost": cost})


def lease_due(tx: Tx, which: Due, *, now: int, lease_us: int, limit: int) -> list[Task]:
    """Take due tasks for a while, the longest due first, of each channel as many as it has room for.

    Looked at is the head of the queue alone: see `due_behind`.
    """
    head = _due_head(tx, which, now, lock=tx.skip_locked)
    return lease(tx, _pick(which, head, limit), now=now, lease_us=lease_us)


def lease(tx: Tx, task_ids: Sequence[str], *, now: int, lease_us: int) -> list[Task]:
    """Take those of the tasks that are due and not leased.

    Each lease raises the fence, so that a worker that lost its lease changes nothing.
    """
    leased: dict[str, Task] = {}
    for names, params in _several(task_ids):
        query = (
            "UPDATE tasks SET lease_until = :until, fence = fence + 1"  # noqa: S608 - own names of parameters
            f" WHERE id IN (SELECT id FROM tasks WHERE id IN ({names}) AND due_at <= :now AND lease_until <= :now"
            f"{tx.skip_locked}) RETURNING *"
        )
        rows = tx.all(query, {**params, "now": now, "until": now + lease_us})
        leased |= {row["id"]: _task(row) for row in rows}
    return [leased[each] for each in task_ids if each in leased]


def due_behind(tx: Tx, which: Due, *, now: int, limit: int) -> list[str]:
    """List due tasks that wait behind those of channels without room.

    All of those are read past, so this takes the longer the more they are: not to be asked often.
    """
    full = [channel for channel, room in which.room.items() if room <= 0]
    return _pick(which, _due_head(tx, which, now, full), limit)


def release_lease(tx: Tx, task: Task) -> bool:
    """Hand a lease back, so that another worker need not wait for its end."""
    return note(tx, task, lease_until=0)


def release_all_leases(tx: Tx) -> None:
    """Forget the leases of a process that is gone; only where there can be no other."""
    # Only what is due some time is ever leased; said so that the index of those is used, not all tasks ever are read.
    tx.run("UPDATE tasks SET lease_until = 0 WHERE due_at IS NOT NULL AND lease_until > 0")


def put_off_giving_up(tx: Tx, deadline_at: int) -> None:
    """Let no task of unknown outcome have an older deadline than this: until it is given up counts from there."""
    tx.run(
        # The first condition says nothing new, but without it SQLite does not use its index of open tasks.
        "UPDATE tasks SET deadline_at = :deadline WHERE state IN ('submitting', 'running', 'unknown')"
        " AND state = 'unknown' AND deadline_at < :deadline",
        {"deadline": deadline_at},
    )


def next_due(tx: Tx, which: Due, now: int) -> int | None:
    """When the next task that nobody has leased wants attention."""
    scope, params = _scope(which)
    row = tx.one(
        f"SELECT due_at FROM tasks WHERE due_at IS NOT NULL AND lease_until <= :now AND {scope}"  # noqa: S608 - own clause
        " ORDER BY due_at LIMIT 1",
        {**params, "now": now},
    )
    return None if row is None else row["due_at"]


def make_due(tx: Tx, task_id: str, now: int) -> bool:
    """Let the worker look at this task now, before all that merely had their turn."""
    tx.wake(DUE_TOPIC)
    return bool(
        tx.run(
            "UPDATE tasks SET due_at = :due WHERE id = :id AND state IN ('running', 'unknown')",
            {"id": task_id, "due": now - HINT_AHEAD_US},
        )
    )


def stranded(tx: Tx, own: Boot, others: Collection[str], limit: int) -> list[Task]:
    """Read tasks that were being submitted and that nobody works on. `others` are the living boots but our own."""
    params: dict[str, Any] = {"own": own.id, "before": own.before, "limit": limit + len(own.submitting)}
    living = [f":boot_{n}" for n in range(len(others))]
    params |= {f"boot_{n}": boot for n, boot in enumerate(others)}
    theirs = f" AND boot_id NOT IN ({', '.join(living)})" if living else ""
    rows = tx.all(
        # The first condition says nothing new, but without it SQLite does not use its index of open tasks.
        "SELECT * FROM tasks WHERE state IN ('submitting', 'running', 'unknown') AND state = 'submitting'"  # noqa: S608 - own clause
        f" AND (boot_id <> :own OR created_at < :before){theirs} ORDER BY created_at LIMIT :limit",
        params,
    )
    return [_task(row) for row in rows if row["id"] not in own.submitting][:limit]


def bodies_to_delete(tx: Tx, ended_before: int, limit: int) -> list[tuple[TaskId, str]]:
    """List (task, object key) of large request bodies that are kept no longer."""
    rows = tx.all(
        "SELECT id, body_object FROM tasks"
        " WHERE body_object IS NOT NULL AND ended_at IS NOT NULL AND ended_at < :before LIMIT :limit",
        {"before": ended_before, "limit": limit},
    )
    return [(row["id"], row["body_object"]) for row in rows]


def forget_body(tx: Tx, task_id: TaskId) -> None:
    """Note that the request body was deleted."""
    tx.run("UPDATE tasks SET body_object = NULL WHERE id = :id", {"id": task_id})


def counts(tx: Tx) -> Sequence[Row]:
    """Count open tasks by state with the oldest's birth, for metrics."""
    return tx.all(
        "SELECT state, count(*) AS n, min(created_at) AS oldest FROM tasks"
        " WHERE state IN ('submitting', 'running', 'unknown') GROUP BY state"
    )


def open_elsewhere(tx: Tx, channel_id: str, vendor: str) -> int:
    """Count the open tasks of a channel that run at another vendor than this."""
    found = tx.one(
        "SELECT count(*) AS n FROM tasks WHERE state IN ('submitting', 'running', 'unknown')"
        " AND channel_id = :channel_id AND vendor <> :vendor",
        {"channel_id": channel_id, "vendor": vendor},
    )
    assert found is not None, "a count is always told"
    return found["n"]


def _several(task_ids: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Give the names and values of parameters, batch by batch; the last id fills up what is left of a batch."""
    for start in range(0, len(task_ids), _TOGETHER[-1]):
        batch = task_ids[start : start + _TOGETHER[-1]]
        size = next(each for each in _TOGETHER if each >= len(batch))
        padded = (*batch, *[batch[-1]] * (size - len(batch)))
        yield _NAMES[size], dict(zip(_KEYS, padded, strict=False))


def _only(tx: Tx, query: str, params: dict[str, Any]) -> str:
    """Read all rows as one text: SQLite's driver gives up and takes back the interpreter's lock for each row."""
    row = tx.one(query, params)
    assert row is not None, "an aggregate has one row"
    return row["together"]


def _pick(which: Due, head: Iterable[tuple[str, str]], limit: int) -> list[str]:
    """Choose from the head of the queue, (task, channel) by (task, channel), what its channels have room for."""
    picked: list[str] = []
    left = dict(which.room)
    for task_id, channel in head:
        left[channel] = left.get(channel, which.room_of_others) - 1
        if left[channel] >= 0 and len(picked) < limit:
            picked.append(task_id)
    return picked


def _due_head(tx: Tx, which: Due, now: int, without: Sequence[str] = (), lock: str = "") -> Iterable[tuple[str, str]]:
    """Read the first of what is due and not leased: (task, channel), the longest due first."""
    scope, params = _scope(which)
    names = [f":without_{n}" for n in range(len(without))]
    params |= {f"without_{n}": channel for n, channel in enumerate(without)}
    others = f" AND channel_id NOT IN ({', '.join(names)})" if names else ""
    params["now"] = now
    query = (
        "SELECT id, channel_id, due_at FROM tasks"  # noqa: S608 - own clause
        " WHERE due_at IS NOT NULL AND due_at <= :now AND lease_until <= :now"
        f" AND {scope}{others} ORDER BY due_at LIMIT {DUE_HEAD_MAX}{lock}"
    )
    if tx.kind == "postgresql":
        return [(row["id"], row["channel_id"]) for row in tx.all(query, params)]
    together = f"SELECT json_group_array(json_array(due_at, id, channel_id)) AS together FROM ({query})"  # noqa: S608 - own clause
    # An aggregate promises no order.
    return [(task_id, channel) for _, task_id, channel in sorted(_head(_only(tx, together, params)))]


def _scope(which: Due) -> tuple[str, dict[str, Any]]:
    mine = [f":mine_{n}" for n in range(len(which.simulators))]
    scopes = [*(["livemode = 1"] if which.live else []), *([f"channel_id IN ({', '.join(mine)})"] if mine else [])]
    params: dict[str, Any] = {f"mine_{n}": channel for n, channel in enumerate(which.simulators)}
    return f"({' OR '.join(scopes)})" if scopes else "1 = 0", params


def _update(tx: Tx, task: Task, columns: dict[str, Any]) -> bool:
    params: dict[str, Any] = {name: _plain(value) for name, value in columns.items()}
    assigned = ", ".join(f"{name} = :{name}" for name in columns)
    guard = "UPDATE tasks SET {} WHERE id = :seen_id AND state = :seen_state AND fence = :seen_fence"
    params |= {"seen_id": task.id, "seen_state": task.state, "seen_fence": task.fence}
    return bool(tx.run(guard.format(assigned), params))


def _plain(value: Any) -> Any:
    if isinstance(value, (msgspec.Struct, dict)):
        return _encode(value).decode()
    return str(value) if isinstance(value, TaskState) else value


def _where(which: TaskFilter) -> tuple[str, dict[str, Any]]:
    conditions = {
        "account_id = :account_id": which.account_id,
        "project_id = :project_id": which.project_id,
        "livemode = :livemode": None if which.livemode is None else int(which.livemode),
        "model = :model": which.model,
        "dialect = :dialect": which.dialect,
        "created_at >= :created_from": which.created_from,
        "created_at < :created_before": which.created_before,
        "id < :after": which.after,
        "id > :before": which.before,
    }
    params = {text.rpartition(":")[2]: value for text, value in conditions.items() if value is not None}
    clauses = [text for text, value in conditions.items() if value is not None]
    if which.states:
        params |= {f"state_{index}": str(state) for index, state in enumerate(which.states)}
        clauses.append(f"state IN ({', '.join(f':state_{index}' for index in range(len(which.states)))})")
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), params


def _task(row: Row) -> Task:
    if isinstance(row, sqlite3.Row):
        # It compares a name with those of all columns before it, so each is looked up once.
        row = dict(zip(row.keys(), row, strict=True))
    return Task(
        **{name: row[name] for name in _SAME},
        livemode=bool(row["livemode"]),
        state=_STATES[row["state"]],
        held=Nanos(row["held_nanos"]),
        cost=None if row["cost_nanos"] is None else Nanos(row["cost_nanos"]),
        prices=_pinned(row["prices"]),
        estimate=_counts(row["estimate"]),
        measured=_counts(row["measured"]),
        vendor_cost=None if row["vendor_cost_nanos"] is None else Nanos(row["vendor_cost_nanos"]),
        body=None if row["body"] is None else bytes(row["body"]),
        webhook=None if row["webhook"] is None else bytes(row["webhook"]),
        report=None if row["report"] is None else _report(row["report"]),
        progress=None if row["progress_ppm"] is None else row["progress_ppm"] / PPM,
        failure=None if row["failure"] is None else _failure(row["failure"]),
    )


_STATES = {state.value: state for state in TaskState}
_SEEN = "id, project_id, livemode, state, polls, fence, attempts"
_SEE_TOGETHER = (
    f"SELECT json_group_array(json_array({_SEEN})) AS together FROM tasks"  # noqa: S608 - own columns
    " WHERE id IN (SELECT value FROM json_each(:ids))"
)
_KEYS = tuple(f"id_{n}" for n in range(_TOGETHER[-1]))
_NAMES = {size: ", ".join(f":{key}" for key in _KEYS[:size]) for size in _TOGETHER}
_SAME = (
    *("id", "account_id", "project_id", "key_id", "request_id", "boot_id", "dialect", "kind", "model", "channel_id"),
    *("vendor", "vendor_model", "attempts", "vendor_task_id", "poll_url", "hold_id", "body_object", "word"),
    *("created_at", "started_at", "ended_at", "deadline_at", "due_at", "polls", "fence"),
)
