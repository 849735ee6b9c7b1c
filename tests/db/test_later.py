"""Writes that nobody waits for: they go with the next commit, soon have one of their own, and reads see them."""

import asyncio
import threading
import time
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from tests.database import opened
from tests.db.puts import PATIENCE_S, Puts, at_once, names, put

from halley.db import Database, Group, Tx, Wakeups, writer
from halley.db.writer import LINGER_S, LINGERING_MANY, WriterClosed, WriterOverloaded
from halley.kernel.failpoints import Failpoints

Item = TypeVar("Item")


class Commits(Failpoints):
    """Notes for each commit the kinds of units that were in it."""

    def __init__(self) -> None:
        super().__init__("nowhere")
        self.all: list[list[str]] = []

    def hit(self, name: str) -> None:
        _, place, unit = name.split(".")
        if place == "in_unit":
            return
        if place == "before_commit":
            if not self.all or self.all[-1][-1:] == ["done"]:
                self.all.append([])
            self.all[-1].append(unit)
        elif self.all[-1][-1] != "done":
            self.all[-1].append("done")

    @property
    def units(self) -> list[list[str]]:
        return [one[:-1] for one in self.all]


def later(db: Database, group: Group[Item, Any], item: Item) -> "asyncio.Future[Item]":
    """Have it written later; the future gives the item, or why it was not written."""
    known: asyncio.Future[Item] = asyncio.get_running_loop().create_future()

    def told(items: Sequence[Item], error: Exception | None) -> None:
        assert item in items
        if error is None:
            known.set_result(item)
        else:
            known.set_exception(error)

    db.write_later(group, item, told)
    return known


def unheard(_items: Sequence[Any], _error: Exception | None) -> None:
    """Not listen."""


async def until(future: "asyncio.Future[Any]") -> Any:
    return await asyncio.wait_for(future, PATIENCE_S)


async def test_what_lingers_goes_with_the_next_commit(database_url: str, wakeups: Wakeups):
    commits = Commits()
    async with opened(database_url, wakeups, commits) as db:
        written = later(db, Puts("later").group, "a")
        assert await db.write_together(Puts().group, "b") == "B"
        assert written.done()
        assert written.result() == "a"
        assert await names(db) == ["a", "b"]
    assert commits.units == [["later", "put"]]


async def test_what_lingers_alone_is_written_soon(database_url: str, wakeups: Wakeups):
    commits = Commits()
    async with opened(database_url, wakeups, commits) as db:
        begun = time.monotonic()
        written = [later(db, Puts("later").group, name) for name in "ab"]
        await asyncio.sleep(0)
        assert db.waiting == 2
        assert [await until(each) for each in written] == ["a", "b"]
        assert time.monotonic() - begun >= LINGER_S - writer.TIMER_STEP_S
        assert db.waiting == 0
    assert commits.units == [["later"]]


async def test_one_that_comes_while_the_timer_runs_for_another_lingers_as_long(
    db: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer, "LINGER_S", 0.1)
    first = later(db, Puts().group, "first")
    assert await names(db) == ["first"]
    assert first.done()
    await asyncio.sleep(0.05)  # the timer is the event loop's own
    asked = time.monotonic()
    assert await until(later(db, Puts().group, "last")) == "last"
    assert time.monotonic() - asked >= 0.1 - writer.TIMER_STEP_S


async def test_a_read_sees_what_was_to_be_written_later(db: Database):
    puts = Puts()
    for round_ in range(20):
        db.write_later(puts.group, f"{round_:02}a", unheard)
        db.write_later(puts.group, f"{round_:02}b", unheard)
        assert len(await names(db)) == 2 * (round_ + 1)
    assert puts.sizes == [2] * 20


async def test_a_read_waits_for_what_is_being_written(db: Database):
    gate, begun = threading.Event(), threading.Event()

    def run(tx: Tx, items: Sequence[str]) -> Sequence[None]:
        begun.set()
        gate.wait(PATIENCE_S)
        return [put(tx, item) for item in items]

    db.write_later(Group("slow", run), "a", unheard)
    assert await asyncio.to_thread(begun.wait, PATIENCE_S)
    reading = asyncio.gather(names(db))
    await asyncio.sleep(LINGER_S)
    assert not reading.done()
    gate.set()
    assert await until(reading) == [["a"]]


async def test_a_writer_that_is_held_up_does_not_hold_up_readers(db: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer, "READ_WAITS_S_MAX", 0.05)
    gate = threading.Event()

    def run(tx: Tx, items: Sequence[str]) -> Sequence[None]:
        gate.wait(PATIENCE_S)
        return [put(tx, item) for item in items]

    written = later(db, Group("slow", run), "a")
    try:
        assert await asyncio.wait_for(names(db), PATIENCE_S / 3) == []
    finally:
        gate.set()
    await until(written)
    assert await names(db) == ["a"]


async def test_a_read_goes_on_when_what_lingered_could_not_be_written(db: Database):
    written = later(db, Puts().group, "bad")
    assert await names(db) == []
    assert isinstance(written.exception(), KeyError)


async def test_a_reader_that_leaves_does_not_take_the_write_along(db: Database):
    written = later(db, Puts().group, "a")
    reading = asyncio.ensure_future(names(db))  # noqa: TID251 - cancelled right here
    await asyncio.sleep(0)
    reading.cancel()
    assert await until(written) == "a"
    assert await names(db) == ["a"]


async def test_what_lingers_runs_before_what_was_asked_for_earlier(db: Database):
    seen: list[str] = []

    def note(_tx: Tx, items: Sequence[str]) -> Sequence[None]:
        seen.extend(items)
        return [None] * len(items)

    hold, end, other = Group("hold", note), Group("end", note), Group("other", note)
    await at_once(
        db,
        lambda: db.write_together(hold, "hold 1"),
        lambda: later(db, other, "other 1"),
        lambda: later(db, end, "end 0"),
        lambda: db.write_together(hold, "hold 2"),
        lambda: db.write("single", lambda tx: note(tx, ["single"])),
        lambda: db.write_together(end, "waited for"),
    )
    assert seen == ["other 1", "end 0", "waited for", "hold 1", "hold 2", "single"]


async def test_what_is_asked_for_after_many_that_linger_is_not_written_before_them(
    db: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer, "BATCH_MAX", 8)
    seen: list[int] = []

    def note(_tx: Tx, items: Sequence[int]) -> Sequence[None]:
        seen.extend(items)
        return [None] * len(items)

    end, hold = Group("end", note), Group("hold", note)
    await at_once(
        db,
        *(lambda n=n: later(db, end, n) for n in range(20)),
        *(lambda n=n: db.write_together(hold, n) for n in range(20, 30)),
    )
    assert seen == list(range(30))


async def test_many_that_gather_are_written_at_once(db: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer, "LINGER_S", PATIENCE_S * 2)
    puts = Puts()
    written = [later(db, puts.group, f"{n:03}") for n in range(LINGERING_MANY)]
    assert len(await until(asyncio.gather(*written))) == LINGERING_MANY
    assert puts.sizes == [LINGERING_MANY]


async def test_closing_writes_what_lingers(database_url: str, wakeups: Wakeups, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer, "LINGER_S", PATIENCE_S * 2)
    monkeypatch.setattr(writer, "BATCH_MAX", 8)
    puts = Puts()
    async with opened(database_url, wakeups) as db:
        written = [later(db, puts.group, f"{n:02}") for n in range(20)]
    assert await until(asyncio.gather(*written)) == [f"{n:02}" for n in range(20)]
    assert puts.sizes == [8, 8, 4]
    with pytest.raises(WriterClosed):
        db.write_later(puts.group, "late", unheard)


async def test_each_has_its_own_error(db: Database):
    puts = Puts()
    good, bad, other = (later(db, puts.group, name) for name in ("a", "bad", "b"))
    with pytest.raises(KeyError, match="bad"):
        await until(bad)
    assert (await until(good), await until(other)) == ("a", "b")
    assert await names(db) == ["a", "b"]


async def test_what_one_commit_wrote_is_told_at_once_and_what_failed_in_its_place(db: Database):
    told: list[tuple[list[str], type]] = []
    others: list[str] = []

    def tell(items: Sequence[str], error: Exception | None) -> None:
        told.append((list(items), type(error)))

    group, other = Puts().group, Puts().group
    for name in ("a", "b", "bad", "d"):
        db.write_later(group, name, tell)
    db.write_later(other, "c", lambda items, _error: others.extend(items))
    assert await names(db) == ["a", "b", "c", "d"]
    assert told == [(["a", "b"], type(None)), (["bad"], KeyError), (["d"], type(None))]
    assert others == ["c"]


async def test_a_read_waits_for_no_more_than_what_lingered_when_it_began(db: Database):
    begun, gates = threading.Event(), {"a": threading.Event(), "b": threading.Event()}

    def run(tx: Tx, items: Sequence[str]) -> Sequence[None]:
        begun.set()
        gates[items[0]].wait(PATIENCE_S)
        return [put(tx, item) for item in items]

    group = Group("slow", run)
    db.write_later(group, "a", unheard)
    assert await asyncio.to_thread(begun.wait, PATIENCE_S)
    reading = asyncio.gather(names(db))
    await asyncio.sleep(0)  # so that it has begun to wait
    written = later(db, group, "b")
    gates["a"].set()
    try:
        assert await until(reading) == [["a"]]
    finally:
        gates["b"].set()
    await until(written)
    assert await names(db) == ["a", "b"]


async def test_more_than_the_queue_takes_is_refused(db: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer, "QUEUE_MAX", 3)
    puts = Puts()
    for name in "abc":
        db.write_later(puts.group, name, unheard)
    with pytest.raises(WriterOverloaded):
        db.write_later(puts.group, "d", unheard)
    with pytest.raises(WriterOverloaded):
        db.write_together(puts.group, "d")
    assert await names(db) == ["a", "b", "c"]


async def test_who_waited_for_one_commit_goes_on_a_few_at_a_time_in_order(
    db: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer, "RESUMED_AT_ONCE", 2)
    loop, puts, resumed = asyncio.get_running_loop(), Puts(), list[str]()
    turns: list[int] = []

    async def ask(name: str) -> None:
        await db.write_together(puts.group, name)
        if not resumed:
            loop.call_soon(turn)
        resumed.append(name)

    def turn() -> None:
        turns.append(len(resumed))
        if len(resumed) < 5:
            loop.call_soon(turn)

    await at_once(db, *(partial(ask, name) for name in "abcde"))
    assert resumed == list("abcde")
    assert puts.sizes == [5]
    steps = [after - before for before, after in pairwise([0, *turns])]
    assert max(steps) == 2
