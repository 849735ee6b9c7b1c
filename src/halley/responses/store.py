"""Rows of kept responses. Bytes are deleted first and their rows after, so a crash between loses none."""

from collections.abc import Sequence
from typing import Any

from halley.db import Row, Tx
from halley.responses.model import Expired, Stored

_FIELDS = Stored.__struct_fields__
_INSERT = (
    f"INSERT INTO responses ({', '.join(_FIELDS)})"  # noqa: S608 - own columns
    f" VALUES ({', '.join(f':{name}' for name in _FIELDS)}) ON CONFLICT (id) DO NOTHING"
)
_OWN = "project_id = :project_id AND livemode = :livemode AND response_id = :response_id AND expires_at > :now"
_CHAIN = """
WITH RECURSIVE chain (id, previous, depth) AS (
    SELECT id, previous, 1 FROM responses WHERE id = :id AND expires_at > :now
    UNION ALL
    SELECT earlier.id, earlier.previous, chain.depth + 1 FROM chain
        JOIN responses AS earlier ON earlier.id = chain.previous
        WHERE chain.depth < :limit AND earlier.expires_at > :now
)
SELECT responses.* FROM chain JOIN responses ON responses.id = chain.id ORDER BY chain.depth DESC
"""


def insert(tx: Tx, row: Stored) -> None:
    """Write the row; its objects are stored already. A repeat changes nothing."""
    values: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    tx.run(_INSERT, values | {"livemode": int(row.livemode), "at_vendor": int(row.at_vendor)})


def find_own(tx: Tx, response_id: str, *, project_id: str, livemode: bool, now: int) -> Stored | None:
    """Read a response of this project and mode, the newest of that name; somebody else's is not there."""
    row = tx.one(
        f"SELECT * FROM responses WHERE {_OWN} ORDER BY id DESC LIMIT 1",  # noqa: S608 - own clause
        {"response_id": response_id, "project_id": project_id, "livemode": int(livemode), "now": now},
    )
    return None if row is None else _stored(row)


def chain(tx: Tx, row_id: str, *, limit: int, now: int) -> list[Stored]:
    """Read a response and those that it goes on from, the oldest first, as far as they are still kept."""
    return [_stored(row) for row in tx.all(_CHAIN, {"id": row_id, "limit": limit, "now": now})]


def delete(tx: Tx, response_id: str, *, project_id: str, livemode: bool, now: int) -> Stored | None:
    """Let a response expire at once: it is seen no more, and the sweep deletes its bytes. None when it was not there.

    All of that name go, so that none comes to light again.
    """
    found = find_own(tx, response_id, project_id=project_id, livemode=livemode, now=now)
    tx.run(
        f"UPDATE responses SET expires_at = :now WHERE {_OWN}",  # noqa: S608 - own clause
        {"response_id": response_id, "project_id": project_id, "livemode": int(livemode), "now": now},
    )
    return found


def expired(tx: Tx, now: int, limit: int) -> list[Expired]:
    """List responses whose bytes are to be deleted, the oldest first; then tell `drop`."""
    rows = tx.all(
        "SELECT id, response_object, input_object FROM responses WHERE expires_at <= :now"
        " ORDER BY expires_at LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [
        Expired(id=row["id"], objects=tuple(filter(None, (row["response_object"], row["input_object"]))))
        for row in rows
    ]


def drop(tx: Tx, gone: Sequence[Expired]) -> None:
    """Delete the rows of responses whose bytes are gone."""
    tx.many("DELETE FROM responses WHERE id = :id", [{"id": each.id} for each in gone])


def _stored(row: Row) -> Stored:
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    values["livemode"], values["at_vendor"] = bool(values["livemode"]), bool(values["at_vendor"])
    for name in ("response", "input"):
        # psycopg gives a memoryview of what is large.
        values[name] = None if values[name] is None else bytes(values[name])
    return Stored(**values)
