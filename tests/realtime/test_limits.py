"""Answers that nobody asked for, begun by the vendor after a pause in speech, under the key's limits."""

import json
from typing import Any

import pytest
from tests.app.rigs import Rig
from tests.realtime.talking import Door, in_time
from tests.realtime.test_books import created, done, spoken
from tests.realtime.test_channels import Vendor, vendor

__all__ = ["vendor"]


def cancels(vendor: Vendor) -> list[dict[str, Any]]:
    return [event for each in vendor.frames if (event := json.loads(each))["type"] == "response.cancel"]


@pytest.mark.parametrize(
    ("terms", "turns"),
    [({"requests_per_minute": 2}, 2), ({"tokens_per_minute": 500}, 1)],
    ids=["requests", "tokens"],
)
async def test_an_answer_that_the_vendor_begins_beyond_the_keys_limits_is_cancelled_and_charged_for_what_came(
    door: Door, rig: Rig, vendor: Vendor, terms: dict[str, Any], turns: int
) -> None:
    async with door.talk(key=await rig.make_key(**terms)) as talk:
        await talk.until("session.created")
        vendor.script = [*(each(f"r{n}") for n in range(turns) for each in (created, done)), created("late")]
        await talk.tell("input_audio_buffer.commit")
        error = (await talk.until("error"))["error"]
        assert (error["code"], "wait" in error["message"]) == ("rate_limit_exceeded", True)

        async def cancelled() -> bool:
            return [each["response_id"] for each in cancels(vendor)] == ["late"]

        await in_time(cancelled)
        vendor.script = [spoken("late", "one two three"), done("late").replace("completed", "cancelled")]
        await talk.tell("input_audio_buffer.clear")
        await talk.until("response.done")
    rows = await door.charged()
    assert [row["outcome"] for row in rows] == ["succeeded"] * turns + ["cut"]
    assert rows[-1]["price_nanos"] > 0


async def test_an_answer_that_was_asked_for_counts_once(door: Door, rig: Rig, vendor: Vendor) -> None:
    async with door.talk(key=await rig.make_key(requests_per_minute=2)) as talk:
        await talk.until("session.created")
        for name in ("r0", "r1"):
            vendor.script = [created(name), created(name), done(name)]
            await talk.tell("response.create")
            await talk.until("response.done")
    assert "error" not in {event["type"] for event in talk.seen}
    assert cancels(vendor) == []
