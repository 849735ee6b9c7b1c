from collections.abc import Mapping

from tests.database import FakeIds

from halley.catalogue.prices import PriceBook, current_prices, sync_prices
from halley.db import Database
from halley.testing.clock import FakeClock

Wanted = Mapping[str, tuple[str, Mapping[str, int]]]


async def sync(db: Database, ids: FakeIds, wanted: Wanted, now: int) -> int:
    return await db.write("sync", lambda tx: sync_prices(tx, wanted, ids, now))


async def book(db: Database, now: int) -> PriceBook:
    return await db.read(lambda tx: current_prices(tx, now))


async def rows(db: Database) -> int:
    found = await db.read(lambda tx: tx.one("SELECT count(*) AS n FROM prices"))
    assert found is not None
    return found["n"]


async def test_a_price_of_several_meters_is_one_set(db: Database, ids: FakeIds) -> None:
    assert await sync(db, ids, {"m": ("catalogue", {"image": 5, "call": 7})}, 10) == 1
    found = (await book(db, 10)).of("m")
    assert found is not None
    assert (found.meters, found.source, found.valid_from) == ({"image": 5, "call": 7}, "catalogue", 10)


async def test_the_same_price_again_changes_nothing(db: Database, ids: FakeIds) -> None:
    wanted: Wanted = {"m": ("catalogue", {"image": 5})}
    await sync(db, ids, wanted, 10)
    assert await sync(db, ids, wanted, 20) == 0
    assert await rows(db) == 1


async def test_a_new_price_is_a_new_row_and_the_old_one_stays(db: Database, ids: FakeIds) -> None:
    await sync(db, ids, {"m": ("catalogue", {"image": 5})}, 10)
    assert await sync(db, ids, {"m": ("file", {"image": 6})}, 20) == 1
    assert await rows(db) == 2
    before, after = (await book(db, 19)).of("m"), (await book(db, 20)).of("m")
    assert before is not None
    assert after is not None
    assert (before.meters, after.meters) == ({"image": 5}, {"image": 6})
    assert before.id != after.id


async def test_a_meter_that_is_left_out_is_gone(db: Database, ids: FakeIds) -> None:
    await sync(db, ids, {"m": ("catalogue", {"image": 5, "call": 1})}, 10)
    await sync(db, ids, {"m": ("file", {"call": 1})}, 20)
    found = (await book(db, 20)).of("m")
    assert found is not None
    assert found.meters == {"call": 1}


async def test_two_changes_at_the_same_moment_give_the_later(db: Database, ids: FakeIds) -> None:
    for price in (5, 6, 7):
        await sync(db, ids, {"m": ("file", {"image": price})}, 10)
    found = (await book(db, 10)).of("m")
    assert found is not None
    assert found.meters == {"image": 7}


async def test_a_price_of_the_future_is_not_yet_valid(db: Database, ids: FakeIds, clock: FakeClock) -> None:
    await sync(db, ids, {"m": ("file", {"image": 5})}, clock.now() + 1)
    assert (await book(db, clock.now())).of("m") is None
    assert (await book(db, clock.now() + 1)).of("m") is not None


async def test_a_seed_price_does_not_replace_an_imported_one(db: Database, ids: FakeIds) -> None:
    await sync(db, ids, {"m": ("import:map.json", {"image": 6})}, 10)
    assert await sync(db, ids, {"m": ("catalogue", {"image": 5})}, 20) == 0
    found = (await book(db, 20)).of("m")
    assert found is not None
    assert (found.meters, found.source) == ({"image": 6}, "import:map.json")


async def test_a_price_of_the_file_replaces_an_imported_one_and_leaves_it_behind(db: Database, ids: FakeIds) -> None:
    await sync(db, ids, {"m": ("import:map.json", {"image": 6})}, 10)
    assert await sync(db, ids, {"m": ("file", {"image": 7})}, 20) == 1
    assert await sync(db, ids, {"m": ("catalogue", {"image": 5})}, 30) == 1
    found = (await book(db, 30)).of("m")
    assert found is not None
    assert (found.meters, found.source) == ({"image": 6}, "import:map.json")


async def test_a_seed_price_replaces_that_of_the_file_which_is_gone(db: Database, ids: FakeIds) -> None:
    await sync(db, ids, {"m": ("catalogue", {"image": 5})}, 10)
    await sync(db, ids, {"m": ("file", {"image": 7})}, 20)
    assert await sync(db, ids, {"m": ("catalogue", {"image": 5})}, 30) == 1
    found = (await book(db, 30)).of("m")
    assert found is not None
    assert (found.meters, found.source) == ({"image": 5}, "catalogue")
