from typing import Any

from tests.routing.test_rules import channel

from halley.db import Database
from halley.routing import Channel
from halley.routing.store import all_channels, ids_by_name, sync_channels


async def sync(db: Database, *channels: Channel, now: int = 1) -> dict[str, Channel]:
    await db.write("sync", lambda tx: sync_channels(tx, channels, now))
    return {one.name: one for one in await db.read(all_channels)}


BOUND: dict[str, Any] = {
    "model_map": {"flux-dev": "our own dev", "sdxl": "x"},
    "at_once_max": 64,
    "per_minute_max": 3_000,
    "headers": b"\x00sealed too",
}


async def test_a_channel_is_read_back_as_it_was_written(db: Database) -> None:
    wanted = channel("main", models=("flux-*", "sdxl"), priority=-3, weight=7, credential=b"\x00sealed", **BOUND)
    assert await sync(db, wanted) == {"main": wanted}


async def test_the_same_name_keeps_its_row_and_takes_the_new_values(db: Database) -> None:
    first = channel("main", priority=1, **BOUND)
    await sync(db, first)
    changed = channel("main", priority=9, base_url="https://other.example", credential=None)
    assert await sync(db, changed, now=2) == {"main": changed}
    assert await db.read(ids_by_name) == {"main": first.id}


async def test_a_channel_that_is_gone_is_disabled_for_tasks_that_still_run_on_it(db: Database) -> None:
    await sync(db, channel("main"), channel("old"))
    found = await sync(db, channel("main"))
    assert {name: one.enabled for name, one in found.items()} == {"main": True, "old": False}


async def test_a_channel_that_comes_back_is_enabled_again(db: Database) -> None:
    await sync(db, channel("main"))
    await sync(db)
    assert (await sync(db, channel("main")))["main"].enabled


async def test_values_are_values_never_sql(db: Database) -> None:
    odd: dict[str, Any] = {"models": ("'); DROP TABLE channels; --",), "base_url": "https://x.example/'\"%"}
    assert await sync(db, channel("o'dd", **odd)) == {"o'dd": channel("o'dd", **odd)}
