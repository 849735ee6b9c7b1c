"""A write that must not be given up is made once the database is back."""

import asyncio
import sqlite3
from pathlib import Path
from typing import NoReturn

import msgspec
from tests.app.rigs import Rig

from halley.db import Database
from halley.db.sqlite import SqliteConnection, SqliteDriver
from halley.kernel.failpoints import Failpoints
from halley.pipeline.persist import write_surely

CONNECTS_PER_WRITE = 2


class _AwayAtFirst(SqliteDriver):
    """A database whose disk is away for the first connects of the writer."""

    def __init__(self, path: str, refusals: int) -> None:
        super().__init__(path)
        self.refusals = refusals

    def writer(self) -> SqliteConnection:
        if self.refusals:
            self.refusals -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return super().writer()


async def test_what_became_of_an_order_is_written_once_the_database_is_back(rig: Rig, tmp_path: Path) -> None:
    driver = _AwayAtFirst(str(tmp_path / "other.db"), refusals=3 * CONNECTS_PER_WRITE)
    db = Database(driver, rig.world.db.wakeups)
    world = msgspec.structs.replace(rig.world, db=db)
    written = await rig.while_ticking(write_surely(world, "accept", lambda tx: tx.one("SELECT 7 AS n")))
    assert written is not None
    assert written["n"] == 7
    assert driver.refusals == 0
    await asyncio.to_thread(db.close)


def _word_is_lost() -> NoReturn:
    raise sqlite3.OperationalError("disk I/O error")


async def test_an_order_whose_acceptance_was_committed_unheard_is_answered_and_billed_once(rig: Rig) -> None:
    honest = rig.world.db
    failpoints = Failpoints("writer.after_commit.accept", die=_word_is_lost)
    rig.world.db = Database(SqliteDriver(str(rig.world.settings.database_path)), honest.wakeups, failpoints)
    accepted = await rig.while_ticking(rig.client.flux())
    lying, rig.world.db = rig.world.db, honest
    await asyncio.to_thread(lying.close)
    assert accepted.status == 200
    assert (await rig.ended(accepted.json["id"])).state == "succeeded"
    assert len(await rig.jobs("bfl")) == 1
    assert await rig.differences() == ()
