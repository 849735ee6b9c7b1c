"""What becomes of writes when SQLite takes back a transaction by itself, or another process has locked the file."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from tests.database import opened
from tests.db.puts import Puts, at_once, names, put

from halley.db import Database, DatabaseUnavailable, Group, Tx, Wakeups, sqlite


@pytest.fixture
def path(tmp_path: Path, sqlite_template: Path) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path / "halley.db"))


@pytest.fixture
async def db(path: Path, wakeups: Wakeups, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
    async with opened(f"sqlite:///{path}", wakeups) as database:
        yield database


def fill_the_disk(tx: Tx) -> None:
    """Write until SQLite finds no room; it then takes back the whole transaction, not only this unit."""
    tx.run("PRAGMA max_page_count=1")
    for n in range(100):
        tx.run("INSERT INTO meta (name, value) VALUES (:name, :value)", {"name": f"{n}", "value": "x" * 5_000})


@pytest.mark.parametrize("beside", [False, True], ids=["groups alone", "with a unit"])
async def test_when_a_unit_loses_the_transaction_its_neighbours_may_be_written_again(db: Database, beside: bool):
    puts = Puts()

    def fill(tx: Tx, items: Sequence[str]) -> Sequence[None]:
        return [fill_the_disk(tx) for _ in items]

    full = Group("full", fill)
    results = await at_once(
        db,
        lambda: db.write_together(puts.group, "a"),
        lambda: db.write("full", fill_the_disk) if beside else db.write_together(full, "full"),
        lambda: db.write_together(puts.group, "b"),
        *([lambda: db.write("put", lambda tx: put(tx, "c"))] if beside else []),
    )
    assert {type(each) for each in results} == {DatabaseUnavailable}
    assert {str(each.__cause__) for each in results} == {"database or disk is full"}
    assert await names(db) == []
    assert await db.write_together(puts.group, "a") == "A"
    assert await names(db) == ["a"]


async def test_a_database_that_somebody_else_has_locked_is_unavailable_until_they_are_done(db: Database, path: Path):
    puts = Puts()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        results = await at_once_while_locked(db, puts)
        assert {type(each) for each in results} == {DatabaseUnavailable}
        assert puts.sizes == []
        other.execute("ROLLBACK")
    assert await db.write_together(puts.group, "a") == "A"


async def at_once_while_locked(db: Database, puts: Puts) -> list[object]:
    writes = [db.write_together(puts.group, "a"), db.write_together(puts.group, "b")]
    single = db.write("put", lambda tx: put(tx, "c"))
    return await asyncio.wait_for(asyncio.gather(*writes, single, return_exceptions=True), 5)
