"""The task that a row of an asset or a delivery must belong to."""

from halley.db import Tx

_INSERT = """
INSERT INTO tasks (id, account_id, project_id, key_id, livemode, request_id, boot_id, dialect, kind, model, state,
    channel_id, vendor, vendor_model, hold_id, held_nanos, prices, estimate, created_at, deadline_at)
VALUES (:id, 'acct_1', 'proj_1', 'key_1', 1, 'req_1', 'boot_1', 'd', 'image', 'm', 'running',
    'chan_1', 'v', 'm', 'hold_1', 0, '{}', '{}', 0, 0)
"""


def insert_task_row(tx: Tx, task_id: str) -> None:
    tx.run(_INSERT, {"id": task_id})
