"""Fetching tasks: as new as the database, whoever asks how often."""

import asyncio
from collections import Counter

import msgspec
import pytest
from tests.app.rigs import Rig

from halley.accounts.model import Caller
from halley.kernel import codec
from halley.kernel.ids import TaskId
from halley.pipeline import task
from halley.pipeline.admit import admit
from halley.pipeline.lookup import Asked, Found, Lookup
from halley.vendors.contract import TaskView


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller gets."""

    body: bytes


class Shop:
    """A caller who fetches, and how often what it got was made anew."""

    def __init__(self, rig: Rig, caller: Caller) -> None:
        self.rig = rig
        self.caller = caller
        self.renders: Counter[str] = Counter()

    async def fetch(self, identity: str, base_url: str = "http://a") -> bytes | None:
        answer = await task.answer(self.rig.world, self.caller, identity, base_url, self._render)
        return None if answer is None else answer.body

    def _render(self, view: TaskView) -> Shown:
        self.renders[view.state] += 1
        shown = {"state": view.state, "base": view.base_url, "links": len(view.assets)}
        return Shown(body=codec.encode(shown))


@pytest.fixture
async def shop(rig: Rig) -> Shop:
    return Shop(rig, await admit(rig.world, rig.key))


async def test_a_task_is_rendered_once_for_many_fetches_and_anew_when_it_has_moved(shop: Shop) -> None:
    identity = (await shop.rig.client.flux()).json["id"]
    first = [await shop.fetch(identity) for _ in range(3)]
    assert len(set(first)) == 1
    assert shop.renders.total() == 1
    await shop.rig.ended(identity)
    assert await shop.fetch(identity) == b'{"state":"succeeded","base":"http://a","links":1}'
    await shop.fetch(identity)
    assert shop.renders.total() == 2


async def test_what_was_made_for_one_address_is_not_given_to_another(shop: Shop) -> None:
    identity = (await shop.rig.client.flux()).json["id"]
    one, other = [await shop.fetch(identity, base) for base in ("http://a", "http://b")]
    assert one is not None
    assert other is not None
    assert (b"http://a" in one, b"http://b" in other) == (True, True)


async def test_links_are_made_anew_each_day(shop: Shop) -> None:
    identity = (await shop.rig.client.flux()).json["id"]
    await shop.rig.ended(identity)
    await shop.fetch(identity)
    shop.rig.clock.advance(24 * 3600)
    await shop.fetch(identity)
    assert shop.renders["succeeded"] == 2


async def test_all_who_ask_at_once_get_their_own(shop: Shop) -> None:
    mine = [(await shop.rig.client.flux()).json["id"] for _ in range(5)]
    lookup = Lookup(shop.rig.world.db)
    ids = [(await shop.rig.task(each)).id for each in mine]
    theirs = Asked(task_id=ids[0], project_id="proj_other", livemode=False)
    unknown = Asked(task_id=TaskId("0" * 26), project_id=shop.caller.project_id, livemode=False)
    asked = [Asked(task_id=each, project_id=shop.caller.project_id, livemode=False) for each in (*ids, ids[0])]
    found = await asyncio.gather(*[lookup.find(each) for each in (*asked, theirs, unknown)])
    assert [each and each.task and each.task.id for each in found] == [*ids, ids[0], None, None]


async def test_who_leaves_while_it_is_read_takes_nothing_from_the_others(shop: Shop) -> None:
    identity = (await shop.rig.task((await shop.rig.client.flux()).json["id"])).id
    lookup, asked = (
        Lookup(shop.rig.world.db),
        Asked(task_id=identity, project_id=shop.caller.project_id, livemode=False),
    )

    async def find() -> Found | None:
        return await lookup.find(asked)

    async with asyncio.TaskGroup() as group:
        leaving, staying = [group.create_task(find()) for _ in range(2)]
        await asyncio.sleep(0)
        leaving.cancel()
    found = staying.result()
    assert found is not None
    assert found.task is not None


async def test_what_is_kept_stays_within_its_bound(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("halley.pipeline.lookup.KEPT_BYTES_MAX", 3_000)
    lookup = Lookup(shop.rig.world.db)
    for name in ("a", "b", "c"):
        lookup.keep(name, ("running", 0, 0, 1), (), Shown(body=name.encode() * 100))
    assert [lookup.kept(name, ()) is None for name in ("a", "b", "c")] == [True, False, False]
    lookup.keep("large", ("running", 0, 0, 1), (), Shown(body=b"x" * 20_000))
    assert lookup.kept("large", ()) is None
