"""Items of one kind that are written together: one call for many, and each still has its own result or error."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any

import pytest
from tests.database import opened
from tests.db.puts import PATIENCE_S, Puts, at_once, names, put

from halley.db import Database, Group, Tx, Wakeups
from halley.kernel.failpoints import Failpoints


async def test_items_of_one_batch_are_done_by_one_call_and_each_has_its_result(db: Database):
    puts = Puts()
    results = await at_once(db, *(lambda n=n: db.write_together(puts.group, f"n{n:02}") for n in range(40)))
    assert results == [f"N{n:02}" for n in range(40)]
    assert puts.sizes == [40]
    assert await names(db) == [f"n{n:02}" for n in range(40)]


@pytest.mark.parametrize("beside", [False, True], ids=["alone in the batch", "with others in the batch"])
async def test_an_item_that_fails_has_its_own_error_and_leaves_the_others_alone(db: Database, beside: bool):
    puts = Puts()
    asked = ["a", "bad1", "b", "bad2", "a"]
    writes: list[Callable[[], Awaitable[Any]]] = [lambda n=n: db.write_together(puts.group, n) for n in asked]
    if beside:
        writes.append(lambda: db.write("single", lambda tx: put(tx, "c")))
    results = await at_once(db, *writes)
    assert [results[0], results[2]] == ["A", "B"]
    assert [str(results[1]), str(results[3])] == ["'bad1'", "'bad2'"]
    assert "unique" in str(results[4]).lower()
    assert puts.sizes == [5, 1, 1, 1, 1, 1]
    assert await names(db) == ["a", "b", *(["c"] if beside else [])]


class Careful(Puts):
    """A group that is in doubt about whatever holds an `x`, and knows what to do with one."""

    def __init__(self, name: str = "careful") -> None:
        super().__init__(name)
        self.alone: list[str] = []
        self.group = Group(name, self.run, self.do_alone)

    def run(self, tx: Tx, items: Sequence[str]) -> Sequence[str]:
        results = super().run(tx, items)
        for item in items:
            # Told only later by PostgreSQL.
            tx.expect("DELETE FROM meta WHERE name = :name", {"name": item.replace("x", "?")}, KeyError("in doubt"))
            put(tx, item)
        return results

    def do_alone(self, tx: Tx, item: str) -> str:
        self.alone.append(item)
        put(tx, item)
        return f"alone {item}"


async def test_one_that_is_plain_goes_the_short_way_also_alone(db: Database):
    careful = Careful()
    assert await db.write_together(careful.group, "a") == "A"
    assert (careful.sizes, careful.alone) == ([1], [])
    assert await names(db) == ["a"]


@pytest.mark.parametrize("others", [(), ("a",), ("a", "b")])
@pytest.mark.parametrize("beside", ["nothing", "a group", "a unit"])
async def test_what_is_in_doubt_goes_the_careful_way(db: Database, others: tuple[str, ...], beside: str):
    careful, puts = Careful(), Puts()
    asked = [*others, "x1", "bad"]
    writes: list[Callable[[], Awaitable[Any]]] = [lambda n=n: db.write_together(careful.group, n) for n in asked]
    if beside == "a group":
        writes += [lambda: db.write_together(puts.group, "c")]
    if beside == "a unit":
        writes += [lambda: db.write("single", lambda tx: put(tx, "c"))]
    results = await at_once(db, *writes)
    assert results[: len(asked) - 1] == [f"alone {name}" for name in asked[:-1]]
    assert str(results[len(asked) - 1]) == "'bad'"
    assert careful.alone == asked
    assert await names(db) == sorted([*others, "x1", *([] if beside == "nothing" else ["c"])])


@pytest.mark.parametrize("name", ["x1", "bad"])
async def test_one_that_is_in_doubt_by_itself_goes_the_careful_way(db: Database, name: str):
    careful = Careful()
    (result,) = await at_once(db, lambda: db.write_together(careful.group, name))
    assert str(result) == ("'bad'" if name == "bad" else f"alone {name}")
    assert careful.alone == [name]
    assert await names(db) == ([] if name == "bad" else [name])


async def test_two_groups_of_one_item_are_told_apart_when_one_is_in_doubt(db: Database):
    first, second = Careful("first"), Careful("second")
    results = await at_once(
        db, lambda: db.write_together(first.group, "x1"), lambda: db.write_together(second.group, "b")
    )
    assert results[0] == "alone x1"
    assert results[1] in ("B", "alone b")
    assert await names(db) == ["b", "x1"]


async def test_steps_run_in_the_order_of_their_first_item(db: Database):
    order = count()
    seen: dict[str, int] = {}

    def note(_tx: Tx, items: Sequence[str]) -> Sequence[None]:
        for item in items:
            seen[item] = next(order)
        return [None] * len(items)

    one, other = Group("one", note), Group("other", note)
    await at_once(
        db,
        lambda: db.write_together(one, "a1"),
        lambda: db.write("single", lambda tx: note(tx, ["single"])),
        lambda: db.write_together(other, "b1"),
        lambda: db.write_together(one, "a2"),
        lambda: db.write_together(other, "b2"),
    )
    assert sorted(seen, key=lambda item: seen[item]) == ["a1", "a2", "single", "b1", "b2"]


async def test_a_group_that_fails_among_others_leaves_them_as_they_were(db: Database, wakeups: Wakeups):
    before, failing, behind = Puts("before"), Puts("failing"), Puts("behind")
    woken: set[str] = set()
    publish = wakeups.publish
    wakeups.publish = lambda topics: woken.update(topics) or publish(())
    asked = [(before, "a"), (before, "b"), (failing, "c"), (failing, "bad"), (failing, "a"), (behind, "d")]
    results = await at_once(db, *(lambda p=p, n=n: db.write_together(p.group, n) for p, n in asked))
    assert [results[n] for n in (0, 1, 2, 5)] == ["A", "B", "C", "D"]
    assert [type(results[3]).__name__, "unique" in str(results[4]).lower()] == ["KeyError", True]
    # Once without savepoints, and again with them; what failed, one by one.
    assert (before.sizes, failing.sizes, behind.sizes) == ([2, 2], [3, 1, 1, 1], [1])
    assert await names(db) == ["a", "b", "c", "d"]
    assert woken == {"a", "b", "c", "d"}


async def test_a_unit_of_its_own_is_run_once_whatever_fails_beside_it(db: Database):
    runs: list[str] = []
    puts = Puts()

    def unit(tx: Tx) -> None:
        runs.append("unit")
        put(tx, "unit")

    await at_once(
        db,
        lambda: db.write("unit", unit),
        lambda: db.write_together(puts.group, "a"),
        lambda: db.write_together(puts.group, "bad"),
    )
    assert runs == ["unit"]
    assert await names(db) == ["a", "unit"]


async def test_a_unit_that_fails_alone_in_its_batch_keeps_nothing(db: Database):
    def failing(tx: Tx) -> None:
        put(tx, "lost")
        raise KeyError("this unit")

    with pytest.raises(KeyError):
        await db.write("fail", failing)
    assert await db.write_together(Puts().group, "a") == "A"
    assert await names(db) == ["a"]


async def test_only_items_that_were_kept_wake_who_waits(db: Database, wakeups: Wakeups):
    puts = Puts()

    def run(tx: Tx, items: Sequence[str]) -> Sequence[str]:
        for item in items:
            tx.wake(f"topic of {item}")
        return puts.run(tx, items)

    group = Group("wake", run)
    woken: set[str] = set()
    publish = wakeups.publish
    wakeups.publish = lambda topics: woken.update(topics) or publish(())
    await at_once(db, lambda: db.write_together(group, "a"), lambda: db.write_together(group, "bad"))
    assert woken == {"a", "topic of a"}


async def test_a_group_that_owes_a_result_fails(db: Database):
    group: Group[str, str] = Group("short", lambda _tx, _items: [])
    results = await at_once(db, lambda: db.write_together(group, "a"), lambda: db.write_together(group, "b"))
    assert [type(result) for result in results] == [AssertionError, AssertionError]


async def test_failpoints_are_passed_for_each_item_and_once_for_the_commit(database_url: str, wakeups: Wakeups):
    passed: list[str] = []

    class Counting(Failpoints):
        def hit(self, name: str) -> None:
            passed.append(name)

    async with opened(database_url, wakeups, Counting("nowhere")) as db:
        puts = Puts()
        await at_once(db, *(lambda n=n: db.write_together(puts.group, f"n{n}") for n in range(3)))
    assert passed[3:] == ["writer.in_unit.put"] * 3 + ["writer.before_commit.put", "writer.after_commit.put"]


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
async def test_groups_that_deadlock_with_another_replica_are_run_again(
    db: Database, database_url: str, wakeups: Wakeups
):
    await db.write("put", lambda tx: [put(tx, name) for name in ("a", "b")])
    both_hold = threading.Barrier(2)
    meets = [2]

    def add(tx: Tx, items: Sequence[str]) -> Sequence[None]:
        for n, item in enumerate(items):
            tx.run("UPDATE meta SET value = value || 'x' WHERE name = :name", {"name": item})
            if n == 0 and meets[0]:
                meets[0] -= 1
                both_hold.wait(PATIENCE_S)
        return [None] * len(items)

    group = Group("add", add)
    async with opened(database_url, wakeups) as replica:
        writes = [db.write_together(group, name) for name in ("a", "b")]
        writes += [replica.write_together(group, name) for name in ("b", "a")]
        assert await asyncio.gather(*writes) == [None] * 4
    rows = await db.read(lambda tx: tx.all("SELECT value FROM meta ORDER BY name"))
    assert [row["value"] for row in rows] == ["xxx", "xxx"]
