"""Several answers at once: each has a hold and a usage row of its own, and none that was given is left out."""

import json
from typing import Any

import pytest
from tests.app.rigs import Rig
from tests.realtime.talking import Door, Talk, in_time
from tests.realtime.test_channels import Vendor, begun, vendor

from halley.accounts.model import BudgetPeriod
from halley.kernel.money import Nanos
from halley.pipeline.answers.realtime_meter import Context, turn_ceiling
from halley.pipeline.answers.realtime_turns import TURNS_MAX

__all__ = ["vendor"]

USAGE = {
    "total_tokens": 2_100,
    "input_tokens": 100,
    "output_tokens": 2_000,
    "output_token_details": {"audio_tokens": 2_000},
}


def created(name: str) -> str:
    return json.dumps({"type": "response.created", "response": {"id": name}})


def spoken(name: str, words: str) -> str:
    return json.dumps({"type": "response.output_text.delta", "response_id": name, "delta": words})


def done(name: str) -> str:
    response = {"id": name, "status": "completed", "usage": USAGE}
    return json.dumps({"type": "response.done", "response": response})


def refused(code: str, event_id: Any) -> str:
    error = {"type": "invalid_request_error", "code": code, "message": "No.", "param": None, "event_id": event_id}
    return json.dumps({"type": "error", "event_id": "event_1", "error": error})


async def asked(talk: Talk, **fields: Any) -> None:
    """Ask for an answer beside the conversation."""
    await talk.tell("response.create", response={"conversation": "none"}, **fields)


async def key_for_one_turn(rig: Rig) -> str:
    prices = rig.world.config.prices.of("gpt-realtime")
    assert prices is not None
    budget = Nanos(prices.tariff.most(turn_ceiling(None, Context(), short=True)) + 1)
    return await rig.make_key(budget_nanos=budget, budget_period=BudgetPeriod.TOTAL)


def forwarded(vendor: Vendor) -> int:
    return sum("response.create" in frame for frame in vendor.frames)


async def test_each_answer_that_is_asked_for_has_a_hold_of_its_own(door: Door, rig: Rig, vendor: Vendor) -> None:
    async with door.talk() as talk:
        await talk.until("session.created")
        for _ in range(3):
            await asked(talk)

        async def all_held() -> bool:
            return (forwarded(vendor), await rig.open_holds()) == (3, 3)

        await in_time(all_held)
        vendor.script = [each(f"r{n}") for each in (created, done) for n in range(3)]
        await talk.tell("input_audio_buffer.clear")
        for _ in range(3):
            await talk.until("response.done")
    rows = await door.charged()
    assert [row["meters"]["audio_output_token"] for row in rows] == [2_000] * 3
    kinds = await rig.world.db.read(lambda tx: tx.all("SELECT DISTINCT kind FROM transfers WHERE hold_id IS NOT NULL"))
    assert {row["kind"] for row in kinds} <= {"post", "void"}


async def test_an_answer_beyond_the_money_is_refused_and_the_one_under_way_goes_on(
    door: Door, rig: Rig, vendor: Vendor
) -> None:
    async with door.talk(key=await key_for_one_turn(rig)) as talk:
        await talk.until("session.created")
        await asked(talk)
        await asked(talk)
        error = (await talk.until("error"))["error"]
        assert error["code"] == "insufficient_quota"
        vendor.script = [created("r0"), done("r0")]
        await talk.tell("input_audio_buffer.clear")
        await talk.until("response.done")
    assert forwarded(vendor) == 1
    (row,) = await door.charged()
    assert row["price_nanos"] > 0


async def test_answers_that_nothing_was_held_for_are_booked_all_the_same(door: Door, rig: Rig, vendor: Vendor) -> None:
    async with door.talk(key=await key_for_one_turn(rig)) as talk:
        vendor.script = [done(f"r{n}") for n in range(8)]
        await begun(talk)
        for _ in range(8):
            await talk.until("response.done")
    rows = await door.charged()
    assert [(row["outcome"], row["meters"]["audio_output_token"]) for row in rows] == [("succeeded", 2_000)] * 8
    assert len({row["price_nanos"] for row in rows}) == 1


async def test_an_answer_that_the_vendor_refused_does_not_keep_its_hold_from_the_next(
    door: Door, rig: Rig, vendor: Vendor
) -> None:
    async with door.talk() as talk:
        await talk.until("session.created")
        for _ in range(3):
            vendor.script = [
                json.dumps({"type": "error", "error": {"code": "conversation_already_has_active_response"}})
            ]
            await asked(talk)
            await talk.until("error")
            assert await rig.open_holds() == 1


@pytest.mark.parametrize("named", [None, "mine", "another"])
async def test_an_error_about_another_event_takes_back_no_answer(
    door: Door, rig: Rig, vendor: Vendor, named: str | None
) -> None:
    async with door.talk(key=await key_for_one_turn(rig)) as talk:
        await talk.until("session.created")
        await asked(talk, event_id="mine")
        vendor.script = [refused("unknown_event", named)]
        await talk.tell("no.such.event", event_id="mine")
        assert (await talk.until("error"))["error"]["event_id"] == named
        await asked(talk)
        assert (await talk.until("error"))["error"]["code"] == "insufficient_quota"
    assert forwarded(vendor) == 1


@pytest.mark.parametrize("fields", [{}, {"event_id": None}, {"event_id": "mi_ne"}], ids=["none", "null", "own"])
async def test_an_answer_that_the_vendor_refused_by_its_event_leaves_its_hold_to_the_next(
    door: Door, rig: Rig, vendor: Vendor, fields: dict[str, Any]
) -> None:
    async with door.talk(key=await key_for_one_turn(rig)) as talk:
        await talk.until("session.created")
        for n in range(1, 4):
            await asked(talk, **fields)

            async def came(n: int = n) -> bool:
                return forwarded(vendor) == n

            await in_time(came)
            sent = json.loads(vendor.frames[-1])
            vendor.script = [refused("invalid_value", sent["event_id"])]
            await talk.tell("input_audio_buffer.clear")
            own = fields.get("event_id")
            assert await talk.until("error") == json.loads(refused("invalid_value", own))
            assert await rig.open_holds() == 1
            assert sent["response"] == {"conversation": "none"}


async def test_an_event_id_that_is_no_text_is_refused(door: Door, vendor: Vendor) -> None:
    async with door.talk() as talk:
        await talk.until("session.created")
        await asked(talk, event_id=7)
        error = (await talk.until("error"))["error"]
        assert (error["code"], error["param"]) == ("invalid_request", "event_id")
    assert forwarded(vendor) == 0


async def test_each_answer_that_breaks_off_with_the_session_is_a_row_of_its_own(door: Door, vendor: Vendor) -> None:
    script: list[Any] = [created("r0"), created("r1"), spoken("r0", "one two three"), spoken("r1", "four")]
    async with door.talk() as talk:
        vendor.script = script
        await begun(talk)
        for _ in range(2):
            await talk.until("response.output_text.delta")
    rows = await door.charged()
    assert sorted((row["outcome"], row["meters"]["output_token"]) for row in rows) == [("cut", 1), ("cut", 3)]


async def test_more_answers_at_once_than_are_kept_count_of_are_refused(door: Door, vendor: Vendor) -> None:
    async with door.talk() as talk:
        await talk.until("session.created")
        for _ in range(TURNS_MAX + 1):
            await asked(talk)
        error = (await talk.until("error"))["error"]
        assert str(TURNS_MAX) in error["message"]
    assert forwarded(vendor) == TURNS_MAX


async def test_an_answer_whose_end_is_told_again_is_booked_once(door: Door, rig: Rig, vendor: Vendor) -> None:
    async with door.talk(key=await key_for_one_turn(rig)) as talk:
        vendor.script = [created("r0"), done("r0"), done("r0"), done("unseen"), done("unseen")]
        await begun(talk)
        for _ in range(4):
            await talk.until("response.done")
    assert len(await door.charged()) == 2


async def test_an_end_that_is_told_again_takes_no_answer_back_that_was_asked_for(
    door: Door, rig: Rig, vendor: Vendor
) -> None:
    async with door.talk() as talk:
        vendor.script = [created("r0"), done("r0")]
        await begun(talk)
        await talk.until("response.done")
        vendor.script = [done("r0")]
        await asked(talk)
        await talk.until("response.done")
        await asked(talk)

        async def both_held() -> bool:
            return (forwarded(vendor), await rig.open_holds()) == (3, 2)

        await in_time(both_held)


async def test_answers_that_bear_one_id_are_booked_each(door: Door, vendor: Vendor) -> None:
    async with door.talk() as talk:
        vendor.script = [created("r0"), done("r0")] * 3
        await begun(talk)
        for _ in range(3):
            await talk.until("response.done")
    assert len(await door.charged()) == 3
