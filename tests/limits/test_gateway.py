"""Limits of keys through a whole gateway."""

import pytest
from tests.app.rigs import Rig

from halley.console.commands import keys
from halley.limits import Standing
from halley.pipeline.admit import NeverFits, OverLimit, admit, correct, limit


async def update(rig: Rig, key: str, requests_per_minute: int | None) -> None:
    args = keys.UpdateKey(key=key, requests_per_minute=requests_per_minute)
    await keys.update(rig.world, args, lambda _: None)


async def test_a_key_that_has_used_its_minute_up_is_refused_until_there_is_room(rig: Rig):
    async with rig.connect(await rig.make_key(requests_per_minute=2)) as client:
        assert [(await client.flux()).status for _ in range(2)] == [200, 200]
        refused = await client.flux()
        assert (refused.status, "x-should-retry" in refused.headers) == (429, False)
        error = refused.json["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        assert "2 requests per minute" in error["message"]
        assert "halley keys update" in error["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        await rig.pass_time(30)
        assert (await client.flux()).status == 200


async def test_a_refused_order_leaves_no_trace_in_the_books(rig: Rig):
    async with rig.connect(await rig.make_key(requests_per_minute=1)) as client:
        await client.flux()
        before = await rig.last_task()
        assert (await client.flux()).status == 429
        assert (await rig.last_task()).id == before.id


async def test_a_repeat_of_an_order_and_reading_its_task_are_not_counted(rig: Rig):
    async with rig.connect(await rig.make_key(requests_per_minute=1)) as client:
        first = await client.flux(key="once")
        assert (await client.flux(key="once")).json["id"] == first.json["id"]
        assert (await client.task(first.json["id"]))["model"] == "flux-pro-1.1"
        assert (await client.flux(key="another")).status == 429


async def test_other_limits_hold_for_callers_who_were_there_before(rig: Rig):
    key = await rig.make_key(requests_per_minute=1)
    async with rig.connect(key) as client:
        await client.flux()
        assert (await client.flux()).status == 429
        await update(rig, key, None)
        await rig.pass_time(1)
        assert [(await client.flux()).status for _ in range(3)] == [200] * 3


async def test_tokens_are_refused_with_what_is_needed_and_what_is_left(rig: Rig):
    caller = await admit(rig.world, await rig.make_key(tokens_per_minute=1_000))
    assert limit(rig.world, caller, tokens=900).tokens == Standing(1_000, 100, 54_000_000)
    with pytest.raises(OverLimit, match="1,000 tokens per minute; this call needs up to 200, and 100 are left") as over:
        limit(rig.world, caller, tokens=200)
    assert over.value.retry_after_s is not None
    assert over.value.may_retry
    assert over.value.verdict.tokens == Standing(1_000, 100, 54_000_000)
    correct(rig.world, caller, tokens=-800)
    assert limit(rig.world, caller, tokens=200).tokens == Standing(1_000, 700, 18_000_000)


async def test_a_call_that_fits_into_no_minute_is_told_not_to_come_again(rig: Rig):
    caller = await admit(rig.world, await rig.make_key(tokens_per_minute=1_000))
    with pytest.raises(NeverFits, match="shorten it, lower its output limit, or raise") as over:
        limit(rig.world, caller, tokens=1_001)
    assert (over.value.may_retry, over.value.retry_after_s, over.value.status) == (False, None, 429)


async def test_a_key_without_limits_is_never_refused(rig: Rig):
    caller = await admit(rig.world, rig.key)
    assert all(limit(rig.world, caller, tokens=10**9).allowed for _ in range(100))
