"""Rows of kept responses, on each database."""

from typing import Any

import pytest
from tests.responses.rows import NOW, row

from halley.db import Database
from halley.responses import KEPT_US, Stored
from halley.responses.store import chain, delete, drop, expired, find_own, insert

OWN: dict[str, Any] = {"project_id": "proj_1", "livemode": False, "now": NOW}


async def _insert(db: Database, *rows: Stored) -> None:
    for each in rows:
        await db.write("insert", lambda tx, each=each: insert(tx, each))


async def _names(db: Database, name: str, limit: int = 10, now: int = NOW) -> list[str]:
    found = await db.read(lambda tx: chain(tx, f"kept_{name}", limit=limit, now=now))
    return [each.id.removeprefix("kept_") for each in found]


async def test_what_was_written_is_read_again(db: Database):
    large = row("a", response=None, response_object="responses/a", at_vendor=True, previous="kept_0")
    await _insert(db, large)
    assert await db.read(lambda tx: find_own(tx, "resp_a", **OWN)) == large


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"project_id": "proj_2"}, id="another project"),
        pytest.param({"livemode": True}, id="another mode"),
        pytest.param({"now": NOW + KEPT_US}, id="expired"),
    ],
)
async def test_what_is_somebody_elses_or_over_is_not_there(db: Database, changed: dict[str, Any]):
    await _insert(db, row("a"))
    which = {**OWN, **changed}
    assert await db.read(lambda tx: find_own(tx, "resp_a", **which)) is None
    assert await db.write("delete", lambda tx: delete(tx, "resp_a", **which)) is None


async def test_a_repeat_of_a_write_changes_nothing(db: Database):
    await _insert(db, row("a"), row("a", model="other"))
    found = await db.read(lambda tx: find_own(tx, "resp_a", **OWN))
    assert found is not None
    assert found.model == "m"


async def test_of_two_that_a_vendor_named_alike_the_newer_is_found_and_both_are_deleted(db: Database):
    await _insert(db, row("a", response_id="resp"), row("b", response_id="resp", previous="kept_a"))
    found = await db.read(lambda tx: find_own(tx, "resp", **OWN))
    assert found is not None
    assert found.id == "kept_b"
    assert await _names(db, "b") == ["a", "b"]
    assert await db.write("delete", lambda tx: delete(tx, "resp", **OWN)) == found
    assert await db.read(lambda tx: find_own(tx, "resp", **OWN)) is None


async def test_a_conversation_is_read_from_its_beginning(db: Database):
    await _insert(db, row("a"), row("b", previous="kept_a"), row("c", previous="kept_b"), row("d", previous="kept_b"))
    assert await _names(db, "c") == ["a", "b", "c"]
    assert await _names(db, "c", limit=2) == ["b", "c"]


async def test_a_conversation_is_read_as_far_as_it_is_kept(db: Database):
    await _insert(db, row("a"), row("b", previous="kept_a", expires_at=NOW + 1), row("c", previous="kept_b"))
    assert await _names(db, "c", now=NOW + 1) == ["c"]
    assert await _names(db, "b", now=NOW + 1) == []


async def test_what_is_over_is_listed_and_dropped(db: Database):
    await _insert(
        db,
        row("a", expires_at=NOW + 2, response_object="o/r", input_object="o/i"),
        row("b", expires_at=NOW + 1),
        row("c"),
    )
    gone = await db.read(lambda tx: expired(tx, NOW + 2, 10))
    assert [(each.id, each.objects) for each in gone] == [("kept_b", ()), ("kept_a", ("o/r", "o/i"))]
    await db.write("drop", lambda tx: drop(tx, gone))
    assert await db.read(lambda tx: expired(tx, NOW + 2, 10)) == []
    assert await db.read(lambda tx: find_own(tx, "resp_c", **OWN)) is not None
