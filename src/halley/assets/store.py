"""Rows of assets and files. Bytes are deleted first and their rows after, so a crash between loses none."""

from collections.abc import Sequence
from typing import Any

import msgspec

from halley.assets.model import Asset, File
from halley.db import Row, Tx
from halley.kernel.ids import TaskId

TASKS_MAX = 256
"""Tasks whose assets are read at once."""
FILES_PAGE_MAX = 100
_BATCHES = (1, 16, TASKS_MAX)

_ASSET_COLUMNS = (
    "task_id, n, account_id, project_id, livemode, object_key, sha256, bytes, content_type, width, height, created_at,"
    " expires_at"
)
_INSERT_ASSET = (
    f"INSERT INTO assets ({_ASSET_COLUMNS}) VALUES (:task_id, :n, :account_id, :project_id, :livemode, :object_key,"  # noqa: S608 - own columns
    " :sha256, :bytes, :content_type, :width, :height, :created_at, :expires_at)"
)
_INSERT_FILE = (
    "INSERT INTO files (id, account_id, project_id, livemode, name, content_type, object_key, sha256, bytes, metadata,"
    " created_at, expires_at) VALUES (:id, :account_id, :project_id, :livemode, :name, :content_type, :object_key,"
    " :sha256, :bytes, :metadata, :created_at, :expires_at)"
)


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """An asset whose retention has ended and whose bytes are still there."""

    task_id: TaskId
    n: int
    object_key: str


class ExpiredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is kept no longer, or that its owner deleted, and whose bytes are still there."""

    id: str
    object_key: str


def insert_assets(tx: Tx, assets: Sequence[Asset]) -> None:
    """Write the rows, in the unit that ends the task; their bytes are stored already."""
    tx.many(_INSERT_ASSET, [_params(each) for each in assets])


def assets_of(tx: Tx, task_ids: Sequence[str]) -> dict[str, tuple[Asset, ...]]:
    """Read the assets of some tasks, those deleted too, by task and in order. A task without any is not in it."""
    found: dict[str, tuple[Asset, ...]] = {}
    if not task_ids:
        return found
    names, params = _several(task_ids)
    query = f"SELECT * FROM assets WHERE task_id IN ({names}) ORDER BY task_id, n"  # noqa: S608 - own names of parameters
    for row in tx.all(query, params):
        found[row["task_id"]] = (*found.get(row["task_id"], ()), _asset(row))
    return found


def asset(tx: Tx, task_id: str, n: int) -> Asset | None:
    """Read one, also when it was deleted. Whether the caller may see its task is decided before."""
    row = tx.one("SELECT * FROM assets WHERE task_id = :task_id AND n = :n", {"task_id": task_id, "n": n})
    return None if row is None else _asset(row)


def expired_assets(tx: Tx, now: int, limit: int) -> list[Expired]:
    """List assets whose bytes are to be deleted, the oldest first; then tell `mark_deleted`."""
    rows = tx.all(
        "SELECT task_id, n, object_key FROM assets WHERE deleted_at IS NULL AND expires_at <= :now"
        " ORDER BY expires_at LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [Expired(task_id=row["task_id"], n=row["n"], object_key=row["object_key"]) for row in rows]


def mark_deleted(tx: Tx, gone: Sequence[Expired], now: int) -> None:
    """Note that the bytes are gone. A repeat keeps the first time."""
    tx.many(
        "UPDATE assets SET deleted_at = :now WHERE task_id = :task_id AND n = :n AND deleted_at IS NULL",
        [{"task_id": each.task_id, "n": each.n, "now": now} for each in gone],
    )


def insert_file(tx: Tx, file: File) -> None:
    """Write the row of an upload whose bytes are stored."""
    tx.run(_INSERT_FILE, _params(file))


def own_file(tx: Tx, file_id: str, *, project_id: str, livemode: bool, now: int) -> File | None:
    """Read one file of this project and mode; somebody else's is not there, nor is one that has expired."""
    row = tx.one(
        "SELECT * FROM files WHERE id = :id AND project_id = :project_id AND livemode = :livemode"
        " AND expires_at > :now",
        {"id": file_id, "project_id": project_id, "livemode": int(livemode), "now": now},
    )
    return None if row is None else _file(row)


def linked_file(tx: Tx, file_id: str, now: int) -> File | None:
    """Read one file, whoever it belongs to, for a link whose signature was checked."""
    row = tx.one("SELECT * FROM files WHERE id = :id AND expires_at > :now", {"id": file_id, "now": now})
    return None if row is None else _file(row)


def list_files(
    tx: Tx, *, project_id: str, livemode: bool, now: int, after: str | None = None, limit: int = FILES_PAGE_MAX
) -> list[File]:
    """List a project's files, newest first, below the cursor. Ask for one more to learn whether there are more."""
    below = "" if after is None else " AND id < :after"
    rows = tx.all(
        "SELECT * FROM files WHERE project_id = :project_id AND livemode = :livemode AND expires_at > :now"  # noqa: S608 - own clause
        f"{below} ORDER BY id DESC LIMIT :limit",
        {"project_id": project_id, "livemode": int(livemode), "now": now, "limit": min(limit, FILES_PAGE_MAX + 1)}
        | ({} if after is None else {"after": after}),
    )
    return [_file(row) for row in rows]


def stored_bytes(tx: Tx, *, project_id: str) -> int:
    """Sum what a project's files occupy, in both modes, deleted ones too until they are swept."""
    row = tx.one("SELECT coalesce(sum(bytes), 0) AS n FROM files WHERE project_id = :id", {"id": project_id})
    assert row is not None
    return int(row["n"])


def delete_file(tx: Tx, file_id: str, *, project_id: str, livemode: bool, now: int) -> bool:
    """Let a file expire at once: it is seen no more, and the sweep deletes its bytes. False when it was not there."""
    return bool(
        tx.run(
            "UPDATE files SET expires_at = :now WHERE id = :id AND project_id = :project_id AND livemode = :livemode"
            " AND expires_at > :now",
            {"id": file_id, "project_id": project_id, "livemode": int(livemode), "now": now},
        )
    )


def expired_files(tx: Tx, now: int, limit: int) -> list[ExpiredFile]:
    """List files whose bytes are to be deleted, the oldest first; then tell `drop_files`."""
    rows = tx.all(
        "SELECT id, object_key FROM files WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [ExpiredFile(id=row["id"], object_key=row["object_key"]) for row in rows]


def drop_files(tx: Tx, gone: Sequence[ExpiredFile]) -> None:
    """Delete the rows of files whose bytes are gone."""
    tx.many("DELETE FROM files WHERE id = :id", [{"id": each.id} for each in gone])


def _several(values: Sequence[str]) -> tuple[str, dict[str, int | str | bytes | None]]:
    """Give parameters for `IN (…)`. Filled up to a few lengths, so that there are few texts of SQL to be prepared."""
    assert len(values) <= TASKS_MAX, f"{len(values)} tasks at once, at most {TASKS_MAX}"
    size = next(size for size in _BATCHES if len(values) <= size)
    filled = [*values, *[values[-1]] * (size - len(values))]
    return ", ".join(f":id_{place}" for place in range(size)), {
        f"id_{place}": each for place, each in enumerate(filled)
    }


def _params(row: Asset | File) -> dict[str, int | str | bytes | None]:
    return {name: getattr(row, name) for name in row.__struct_fields__} | {"livemode": int(row.livemode)}


def _asset(row: Row) -> Asset:
    return Asset(**_values(row, Asset.__struct_fields__))


def _file(row: Row) -> File:
    return File(**_values(row, File.__struct_fields__))


def _values(row: Row, names: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {name: row[name] for name in names}
    values["livemode"] = bool(values["livemode"])
    return values
