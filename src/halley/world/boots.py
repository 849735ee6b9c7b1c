"""Which processes live: each start is a row that says so again and again."""

import os
import socket

from halley.db import Tx
from halley.kernel.clock import MICROSECONDS

DEAD_AFTER_S = 60
"""A process that was not seen for so long is dead. Its sweeper says so every five seconds."""


def begin_boot(tx: Tx, boot_id: str, now: int) -> None:
    """Write down that this process has started."""
    tx.run(
        "INSERT INTO boots (id, host, pid, started_at, seen_at) VALUES (:id, :host, :pid, :now, :now)",
        {"id": boot_id, "host": socket.gethostname(), "pid": os.getpid(), "now": now},
    )


def see_boot(tx: Tx, boot_id: str, now: int) -> None:
    """Say that it still lives."""
    tx.run("UPDATE boots SET seen_at = :now WHERE id = :id", {"id": boot_id, "now": now})


def end_boot(tx: Tx, boot_id: str, now: int) -> None:
    """Say that it ends by itself."""
    tx.run("UPDATE boots SET ended_at = :now WHERE id = :id", {"id": boot_id, "now": now})


def living_boots(tx: Tx, own: str, now: int, *, alone: bool) -> set[str]:
    """Give the boots that may still be working; `alone` says that there can be no other."""
    if alone:
        return {own}
    rows = tx.all(
        "SELECT id FROM boots WHERE ended_at IS NULL AND seen_at > :since", {"since": now - DEAD_AFTER_S * MICROSECONDS}
    )
    return {own, *(row["id"] for row in rows)}
