"""The door to the database: group commit, isolation of a failing unit, wake-ups, retries, snapshots."""

import asyncio
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.database import opened

from halley.db import Database, Tx, Wakeups
from halley.db.engine import Taken
from halley.db.sqlite import SqliteConnection
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


ONLY_POSTGRESQL = [pytest.param("postgresql", marks=pytest.mark.postgres)]
END_ALL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = ''"""


@pytest.mark.parametrize("database_url", ONLY_POSTGRESQL, indirect=True)
async def test_a_connection_lost_while_idle_is_opened_anew(db: Database, database_url: str):
    await db.write("put", put("a"))
    await asyncio.to_thread(end_all, database_url)
    assert await db.write("put", put("b")) == "b"
    assert await names(db) == ["a", "b"]


@pytest.mark.parametrize("database_url", ONLY_POSTGRESQL, indirect=True)
async def test_units_whose_connection_is_lost_before_the_commit_are_run_again(db: Database, database_url: str):
    lost = [database_url]

    def unit(tx: Tx) -> str:
        put("a")(tx)
        if lost:
            end_all(lost.pop())
        return put("b")(tx)

    assert await asyncio.gather(db.write("put", unit), db.write("put", put("c"))) == ["b", "c"]
    assert await names(db) == ["a", "b", "c"]


@pytest.mark.parametrize("database_url", ONLY_POSTGRESQL, indirect=True)
@pytest.mark.parametrize("first", [True, False])
async def test_what_postgresql_cannot_store_fails_its_own_unit_alone(db: Database, first: bool):
    asked = ["bad\0", "a", "bad\0", "b", "c"] if first else ["a", "bad\0", "b", "c"]
    results = await asyncio.gather(*(db.write("put", put(name)) for name in asked), return_exceptions=True)
    assert [name for name in asked if "bad" not in name] == [each for each in results if isinstance(each, str)]
    assert {type(each) for each in results if not isinstance(each, str)} == {psycopg.DataError}
    assert await names(db) == ["a", "b", "c"]


def end_all(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(END_ALL.encode())


def add(tx: Tx, name: str) -> None:
    tx.run("UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE name = :name", {"name": name})


async def test_many_statements_tell_how_many_rows_they_touched_together(db: Database):
    await db.write("put", lambda tx: [put(name)(tx) for name in ("a", "b", "c")])
    sql = "UPDATE meta SET value = :value WHERE name = :name"

    def unit(tx: Tx) -> list[int]:
        rows = [{"name": name, "value": "y"} for name in ("a", "b", "nobody")]
        return [tx.many(sql, rows), tx.many(sql, rows[:1]), tx.many(sql, rows[2:])]

    assert await db.write("update", unit) == [2, 1, 0]


ROWS = [("a", "käse"), ("b", 'say "x"\\'), ("c", ""), ("d", "{null,NULL}"), ("e", "100% ':x'")]


@pytest.mark.parametrize("copies", [1, 2, 20, 70])
async def test_many_rows_are_inserted_as_they_are(db: Database, copies: int):
    rows = [(f"{name}{n:02}", value) for n in range(copies) for name, value in ROWS]
    await db.write("insert", lambda tx: tx.insert("meta", ("name", "value"), rows))
    stored = await db.read(lambda tx: tx.all("SELECT name, value FROM meta"))
    assert sorted((row["name"], row["value"]) for row in stored) == sorted(rows)


async def test_rows_are_inserted_with_values_of_every_kind(db: Database):
    columns = ("key_id", "value", "fingerprint", "boot_id", "body", "status", "created_at")
    rows = [("k", f"{n:02}", "same", "", b"\0\xff" * n, None if n % 2 else n, 2**63 - 1) for n in range(10)]
    await db.write("insert", lambda tx: tx.insert("idempotency", columns, rows))
    stored = await db.read(lambda tx: tx.all("SELECT * FROM idempotency ORDER BY value"))
    assert [tuple(row[name] for name in columns) for row in stored] == rows


async def test_rows_that_conflict_fail_the_unit_that_inserted_them(db: Database):
    def unit(tx: Tx) -> None:
        tx.insert("meta", ("name", "value"), [("b", "x"), ("a", "x")])

    await db.write("put", put("a"))
    results = await asyncio.gather(
        db.write("insert", unit), db.write("put", put("c")), db.write("insert", unit), return_exceptions=True
    )
    assert [isinstance(result, Exception) for result in results] == [True, False, True]
    with pytest.raises(Exception, match=r"(?i)unique"):
        await db.write("insert", unit)
    assert await names(db) == ["a", "c"]


class InDoubt(Exception):
    """What a unit asked to be raised."""


@pytest.mark.parametrize("others", [0, 3])
async def test_what_touches_other_than_one_row_raises_the_doubt_and_undoes_its_unit(db: Database, others: int):
    sql = "UPDATE meta SET value = 'y' WHERE name = :name"

    def unit(tx: Tx, name: str) -> None:
        put(f"beside {name}")(tx)
        tx.expect(sql, {"name": name}, InDoubt(name))
        tx.run_later(sql, {"name": "a"})

    await db.write("put", put("a"))
    beside = [db.write("put", put(f"other {n}")) for n in range(others)]
    kept, doubtful, *_ = await asyncio.gather(
        db.write("expect", lambda tx: unit(tx, "a")),
        db.write("expect", lambda tx: unit(tx, "nobody")),
        *beside,
        return_exceptions=True,
    )
    assert kept is None
    assert isinstance(doubtful, InDoubt)
    assert await names(db) == ["a", "beside a", *(f"other {n}" for n in range(others))]
    assert await value(db, "a") == "y"


async def test_rows_that_are_taken_are_gone_unless_they_come_to_something_else(db: Database):
    rows = [(f"{n:03}", f"h{n % 3}", n, n) for n in range(130)]
    columns = ("id", "host", "pid", "started_at")
    await db.write("insert", lambda tx: tx.insert("boots", (*columns, "seen_at"), [(*row, 0) for row in rows]))
    keys = [*(f"{n:03}" for n in range(100)), "nobody"]
    expected = {f"h{k}": (len(range(k, 100, 3)), sum(range(k, 100, 3))) for k in range(3)}

    async def take(expected: Taken) -> None:
        await db.write("take", lambda tx: tx.take("boots", ("id", "host", "pid"), keys, expected, InDoubt()))

    for wrong in (
        {},
        {**expected, "h0": (34, 1)},
        {**expected, "h0": (33, expected["h0"][1])},
        {**expected, "h3": (1, 1)},
    ):
        with pytest.raises(InDoubt):
            await take(wrong)
    await take(expected)
    with pytest.raises(InDoubt):
        await take(expected)
    left = await db.read(lambda tx: tx.all("SELECT id FROM boots ORDER BY id"))
    assert [row["id"] for row in left] == [f"{n:03}" for n in range(100, 130)]


async def test_a_unit_that_does_nothing_is_done(db: Database):
    results = await asyncio.gather(*(db.write("nothing", lambda _tx, n=n: n) for n in range(3)))
    assert results == [0, 1, 2]


async def test_a_unit_that_fails_before_its_first_statement_leaves_its_neighbours_alone(db: Database):
    def failing(tx: Tx) -> None:
        tx.insert("meta", ("name", "value"), [("lost", "x")])
        raise KeyError("this unit")

    results = await asyncio.gather(
        db.write("put", put("a")), db.write("fail", failing), db.write("put", put("b")), return_exceptions=True
    )
    assert [type(result) for result in results] == [str, KeyError, str]
    assert await names(db) == ["a", "b"]


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


async def test_the_log_begins_anew_while_writes_go_on(tmp_path: Path, sqlite_template: Path, wakeups: Wakeups):
    path = tmp_path / "halley.db"
    shutil.copy(sqlite_template, path)
    log = path.with_name("halley.db-wal")
    name = ("name", "value")
    written = largest = 0
    async with opened(f"sqlite:///{path}", wakeups) as db:
        for batch in range(60):
            rows = [(f"{batch:03}.{n:05}", "x" * 100) for n in range(5_000)]
            await db.write("insert", lambda tx, rows=rows: tx.insert("meta", name, rows))
            await db.write("delete", lambda tx: tx.run("DELETE FROM meta"))
            written += 5_000 * 100
            largest = max(largest, await asyncio.to_thread(lambda: log.stat().st_size))
    assert largest < written / 2


def test_the_log_begins_anew_though_nobody_else_copies_it(tmp_path: Path, sqlite_template: Path):
    path = tmp_path / "halley.db"
    shutil.copy(sqlite_template, path)
    log = path.with_name("halley.db-wal")
    with closing(SqliteConnection(str(path))) as writer:
        for batch in range(60):
            tx = writer.begin()
            tx.insert("meta", ("name", "value"), [(f"{batch:03}.{n:05}", "x" * 100) for n in range(5_000)])
            tx.run("DELETE FROM meta")
            writer.commit()
            assert log.stat().st_size < 5_000_000


async def test_the_writer_does_not_interrupt_the_loop(db: Database):
    await db.write("any", lambda tx: tx.run("SELECT 1"))
    writers = [thread.native_id for thread in threading.enumerate() if thread.name == "halley-writer"]
    assert writers
    assert {os.sched_getscheduler(each or 0) for each in writers} == {os.SCHED_BATCH}
