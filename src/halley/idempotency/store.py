"""Rows of idempotency keys: begun in the unit of the hold, finished with the answer, swept after a day."""

import msgspec

from halley.db import Row, Tx
from halley.idempotency import rules
from halley.idempotency.model import Answer, Attempt, Begun, Existing, Headers
from halley.kernel import codec

SWEEP_MAX = 1_000

_headers = msgspec.json.Decoder(Headers)


def begin(tx: Tx, attempt: Attempt) -> Begun | Existing:
    """Claim the key for this request, or tell what is known of the one that has it. Of two at once, one is first.

    A key that is older than a day may be claimed anew.
    """
    params = {**msgspec.structs.asdict(attempt), "expired": attempt.now - rules.KEPT_US}
    if tx.run(_CLAIM, params):
        return Begun()
    existing = find(tx, key_id=attempt.key_id, value=attempt.value, fingerprint=attempt.fingerprint)
    assert existing is not None, "a conflict has a row"
    return existing


def find(tx: Tx, *, key_id: str, value: str, fingerprint: str) -> Existing | None:
    """Tell what is known of the key, e.g. while waiting for the first request to end."""
    sql = "SELECT * FROM idempotency WHERE key_id = :key_id AND value = :value"
    row = tx.one(sql, {"key_id": key_id, "value": value})
    return _existing(row, fingerprint) if row else None


def take_over(tx: Tx, attempt: Attempt, *, seen_boot_id: str) -> bool:
    """Claim the key of a request whose process is dead; False when it ended or somebody else was first."""
    touched = tx.run(_TAKE_OVER, {**msgspec.structs.asdict(attempt), "seen": seen_boot_id})
    return touched == 1


def finish(tx: Tx, *, key_id: str, value: str, answer: Answer | None, now: int) -> bool:
    """Keep the answer and wake who waits for it; False when there was no open request, e.g. it was swept.

    None is an answer that is too large to be kept, e.g. a stream.
    """
    too_large = answer is None or len(answer.body) > rules.BODY_BYTES_MAX
    params = {
        "key_id": key_id,
        "value": value,
        "status": answer.status if answer else None,
        "headers": codec.encode(answer.headers if answer else ()).decode(),
        "body": None if answer is None or too_large else answer.body,
        "too_large": int(too_large),
        "now": now,
    }
    tx.wake(rules.topic(key_id, value))
    return tx.run(_FINISH, params) == 1


def forget(tx: Tx, *, key_id: str, value: str) -> bool:
    """Free the key of a request that was refused before anything was done, so that it may be sent again."""
    tx.wake(rules.topic(key_id, value))
    sql = "DELETE FROM idempotency WHERE key_id = :key_id AND value = :value AND ended_at IS NULL"
    return tx.run(sql, {"key_id": key_id, "value": value}) == 1


def sweep(tx: Tx, *, older_than: int, limit: int = SWEEP_MAX) -> int:
    """Delete keys begun before that time; at most `limit`, so sweep again until there are none."""
    return tx.run(_SWEEP, {"older_than": older_than, "limit": min(limit, SWEEP_MAX)})


_CLAIM = """
    INSERT INTO idempotency (key_id, value, fingerprint, boot_id, task_id, created_at)
    VALUES (:key_id, :value, :fingerprint, :boot_id, :task_id, :now)
    ON CONFLICT (key_id, value) DO UPDATE SET
        fingerprint = excluded.fingerprint, boot_id = excluded.boot_id, task_id = excluded.task_id,
        created_at = excluded.created_at, status = NULL, headers = NULL, body = NULL, too_large = 0, ended_at = NULL
    WHERE idempotency.created_at < :expired
"""
_TAKE_OVER = """
    UPDATE idempotency SET boot_id = :boot_id, task_id = :task_id, created_at = :now
    WHERE key_id = :key_id AND value = :value AND fingerprint = :fingerprint AND boot_id = :seen AND ended_at IS NULL
"""
_FINISH = """
    UPDATE idempotency SET status = :status, headers = :headers, body = :body, too_large = :too_large, ended_at = :now
    WHERE key_id = :key_id AND value = :value AND ended_at IS NULL
"""
_SWEEP = """
    DELETE FROM idempotency WHERE (key_id, value) IN (
        SELECT key_id, value FROM idempotency WHERE created_at < :older_than ORDER BY created_at LIMIT :limit
    )
"""


def _existing(row: Row, fingerprint: str) -> Existing:
    return Existing(
        same=row["fingerprint"] == fingerprint,
        finished=row["ended_at"] is not None,
        boot_id=row["boot_id"],
        task_id=row["task_id"],
        status=row["status"],
        headers=_headers.decode(row["headers"] or "[]"),
        body=None if row["body"] is None else bytes(row["body"]),
        too_large=bool(row["too_large"]),
        created_at=row["created_at"],
    )
