"""Which processes live: each start is a row that says so again and again."""

import os
import socket
from collections.abc import Container, Mapping

from halley.db import Tx
from halley.kernel.clock import MICROSECONDS

DEAD_AFTER_S = 60
"""A process that was not seen for so long, and stands still, is dead. Who lives writes its row every five seconds."""
LOOKS_STILL = 4
LOOKS_APART_S_MAX = 15.0
"""Between looks further apart nobody could look, so that the others could not write either."""


class Still:
    """Which other processes' rows stand still, told by looking at them again and again.

    A clock alone does not tell: those of two machines may differ, and after the database was away all are old.
    """

    def __init__(self) -> None:
        self._looks: dict[str, tuple[int, int]] = {}
        self._looked_at = 0.0

    def look(self, seen_at: Mapping[str, int], at: float) -> None:
        """Note the rows as they are at this moment of the monotonic clock."""
        before = self._looks if at - self._looked_at <= LOOKS_APART_S_MAX else {}
        self._looked_at = at
        self._looks = {
            boot: (seen, before[boot][1] + 1 if boot in before and before[boot][0] == seen else 1)
            for boot, seen in seen_at.items()
        }

    def __contains__(self, boot_id: object) -> bool:
        looks = self._looks.get(boot_id) if isinstance(boot_id, str) else None
        return looks is not None and looks[1] >= LOOKS_STILL


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


def last_seen(tx: Tx) -> dict[str, int]:
    """Give when each boot that has not ended was last seen, by its own clock."""
    return {row["id"]: row["seen_at"] for row in tx.all("SELECT id, seen_at FROM boots WHERE ended_at IS NULL")}


def living_boots(tx: Tx, own: str, now: int, *, still: Container[str] | None) -> set[str]:
    """Give the boots that may still be working; without `still` there can be no other."""
    if still is None:
        return {own}
    return {own, *recent_boots(tx, now), *(boot for boot in last_seen(tx) if boot not in still)}


def recent_boots(tx: Tx, now: int) -> set[str]:
    """Give the boots that were seen within a minute by this clock: for who has just come and looked at nobody yet."""
    since = now - DEAD_AFTER_S * MICROSECONDS
    return {boot for boot, seen_at in last_seen(tx).items() if seen_at > since}
