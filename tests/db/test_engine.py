"""The door to the database: group commit, isolation of a failing unit, wake-ups, retries, snapshots."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from tests.database import opened

from halley.db import Database, Tx, Wakeups
from halley.db.writer import WriterClosed
from halley.kernel.failpoints import Failpoints
from halley.testing.clock import FakeClock

PATIENCE_S = 30
"""Real seconds until a test that hangs fails."""


def put(name: str, value: str = "x") -> Callable[[Tx], str]:
    def unit(tx: Tx) -> str:
        tx.run("INSERT INTO meta (name, value) VALUES (:name, :value)", {"name": name, "value": value})
        return name

    return unit


async def value(db: Database, name: str) -> str | None:
    row = await db.read(lambda tx: tx.one("SELECT value FROM meta WHERE name = :name", {"name": name}))
    return row["value"] if row else None


async def names(db: Database) -> list[str]:
    rows = await db.read(lambda tx: tx.all("SELECT name FROM meta ORDER BY name"))
    return [row["name"] for row in rows]


async def test_a_unit_gives_its_result_once_it_is_written(db: Database):
    assert await db.write("put", put("a", "100% of `:it`")) == "a"
    assert await value(db, "a") == "100% of `:it`"


async def test_many_units_share_one_commit(database_url: str, wakeups: Wakeups):
    commits: list[str] = []

    class Counting(Failpoints):
        def hit(self, name: str) -> None:
            commits.append(name)

    async with opened(database_url, wakeups, Counting("nowhere")) as db:
        gate = threading.Event()
        first = asyncio.gather(db.write("gate", lambda _tx: gate.wait(PATIENCE_S)))
        rest = asyncio.gather(*(db.write("put", put(f"{n:03}")) for n in range(100)))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, rest)
        assert len(await names(db)) == 100
    assert commits.count("writer.after_commit.put") == 1
    assert commits.count("writer.in_unit.put") == 100


async def test_a_failing_unit_leaves_its_neighbours_alone(db: Database):
    def failing(tx: Tx) -> None:
        put("lost")(tx)
        raise KeyError("this unit")

    results = await asyncio.gather(
        db.write("put", put("a")), db.write("fail", failing), db.write("put", put("b")), return_exceptions=True
    )
    assert [type(result) for result in results] == [str, KeyError, str]
    assert await names(db) == ["a", "b"]


async def test_an_error_of_the_database_itself_leaves_the_neighbours_alone(db: Database):
    results = await asyncio.gather(
        db.write("put", put("a")), db.write("put", put("a")), db.write("put", put("b")), return_exceptions=True
    )
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    assert await names(db) == ["a", "b"]


async def test_a_waiter_is_woken_after_the_commit(db: Database, wakeups: Wakeups):
    def unit(tx: Tx) -> None:
        put("a")(tx)
        tx.wake("topic")

    with wakeups.subscribe("topic") as waiter:
        await db.write("wake", unit)
        assert await asyncio.wait_for(waiter.wait(), PATIENCE_S)
    assert await value(db, "a") == "x"


async def test_a_failing_unit_wakes_nobody(db: Database, wakeups: Wakeups, clock: FakeClock):
    def failing(tx: Tx) -> None:
        tx.wake("topic")
        raise KeyError("this unit")

    with wakeups.subscribe("topic") as waiter:
        with pytest.raises(KeyError):
            await db.write("fail", failing)
        waiting = asyncio.gather(waiter.wait())
        await clock.until_asleep()
        clock.advance(1)
        assert await asyncio.wait_for(waiting, PATIENCE_S) == [False]


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
@pytest.mark.usefixtures("db")
async def test_a_waiter_is_woken_by_another_process(database_url: str, wakeups: Wakeups):
    other = Wakeups(asyncio.get_running_loop(), FakeClock())
    async with opened(database_url, other) as replica:
        with wakeups.subscribe("topic") as waiter:
            woken = False
            while not woken:  # the listener begins to hear a moment after the database was opened
                await replica.write("wake", lambda tx: tx.wake("topic"))
                waiting = asyncio.gather(waiter.wait())
                await asyncio.wait((waiting,), timeout=0.05)
                woken = waiting.done()
                waiting.cancel()
    assert woken


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
async def test_units_that_deadlock_with_another_replica_are_run_again(
    db: Database, database_url: str, wakeups: Wakeups
):
    await db.write("put", put("a", "0"))
    await db.write("put", put("b", "0"))
    both_hold = threading.Barrier(2)
    meets = [2]

    def unit(first: str, second: str) -> Callable[[Tx], None]:
        def run(tx: Tx) -> None:
            add(tx, first)
            if meets[0]:
                meets[0] -= 1
                both_hold.wait(PATIENCE_S)
            add(tx, second)

        return run

    async with opened(database_url, wakeups) as replica:
        await asyncio.gather(db.write("ab", unit("a", "b")), replica.write("ba", unit("b", "a")))
    assert (await value(db, "a"), await value(db, "b")) == ("2", "2")


def add(tx: Tx, name: str) -> None:
    tx.run("UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE name = :name", {"name": name})


async def test_a_reader_keeps_its_snapshot_while_others_write(db: Database):
    await db.write("put", put("a"))
    loop = asyncio.get_running_loop()

    def query(tx: Tx) -> tuple[int, int]:
        before = len(tx.all("SELECT name FROM meta"))
        asyncio.run_coroutine_threadsafe(db.write("put", put("b")), loop).result(PATIENCE_S)
        return before, len(tx.all("SELECT name FROM meta"))

    assert await db.read(query) == (1, 1)
    assert await names(db) == ["a", "b"]


async def test_a_reader_can_not_write(db: Database):
    with pytest.raises(Exception, match=r"read.?only"):
        await db.read(put("a"))
    assert await names(db) == []


async def test_reading_works_after_a_query_that_failed(db: Database):
    with pytest.raises(Exception, match="nowhere"):
        await db.read(lambda tx: tx.all("SELECT * FROM nowhere"))
    assert await names(db) == []


async def test_what_is_queued_is_written_before_the_database_closes(database_url: str, wakeups: Wakeups):
    async with opened(database_url, wakeups) as db:
        writes = [asyncio.gather(db.write("put", put(f"{n}"))) for n in range(50)]
        await asyncio.sleep(0)
    assert len(await asyncio.gather(*writes)) == 50
    with pytest.raises(WriterClosed):
        await db.write("put", put("late"))


async def test_values_of_every_kind_come_back_as_they_were(db: Database):
    sql = """INSERT INTO idempotency (key_id, value, fingerprint, boot_id, body, status, created_at)
        VALUES (:a, :b, '', '', :body, :status, :big)"""
    values = {"a": "käse", "b": "100% ':x'", "body": b"\0\xff", "status": None, "big": 2**63 - 1}
    await db.write("put", lambda tx: tx.run(sql, values))
    row = await db.read(lambda tx: tx.one("SELECT * FROM idempotency"))
    assert row is not None
    assert (row["key_id"], row["value"], row["body"], row["status"], row["created_at"]) == tuple(values.values())
