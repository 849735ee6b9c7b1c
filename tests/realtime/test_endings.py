"""How sessions end: each side leaves, the key or the money goes, the vendor breaks, time is over, the gateway stops."""

import asyncio
import logging

import msgspec
import pytest
from tests.app.rigs import Rig
from tests.realtime.talking import SLOWLY, Door, Ended, Talk, in_time

from halley.accounts.model import BudgetPeriod
from halley.api.websocket_server import FRAME_BYTES_MAX
from halley.kernel.money import Nanos
from halley.pipeline.answers.realtime import IDLE_S_MAX, SESSION_S_MAX


async def speaking(rig: Rig, talk: Talk) -> None:
    """Bring a session into the middle of an answer."""
    await talk.started()
    await talk.say(f"Tell me a long story of the sea. {SLOWLY}")
    await rig.while_ticking(talk.until("response.output_text.delta"))
    await rig.while_ticking(talk.until("response.output_text.delta"))


async def goes_on(talk: Talk) -> None:
    while True:
        await talk.answered("Tell me of the sea and all its ships. " * 100)


async def test_a_caller_who_leaves_is_charged_for_what_was_said(door: Door, rig: Rig):
    async with door.talk() as talk:
        await speaking(rig, talk)
        await talk.connection.close(code=4000, message=b"enough")
    (row,) = await door.charged()
    assert row["outcome"] == "cut"
    assert row["meters"]["output_token"] > 0
    assert row["meters"]["input_token"] > 0
    assert 0 < row["price_nanos"] < 1_000_000


async def test_a_caller_who_is_cut_off_is_charged_for_what_was_said(door: Door, rig: Rig):
    async with door.talk() as talk:
        await speaking(rig, talk)
        connection = talk.connection._response.connection  # pyright: ignore[reportPrivateUsage] - there is no public way to drop one
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        (row,) = await door.charged()
    assert row["outcome"] == "cut"


async def test_a_vendor_that_is_lost_is_told_and_what_was_said_is_charged(door: Door):
    async with door.talk() as talk:
        await talk.started()
        await talk.say("Tell me a long story of the sea. [[halley outcome=cut_stream]]")
        end = await talk.ended()
    error = talk.seen[-1]["error"]
    assert (error["type"], error["code"]) == ("server_error", "vendor_failed")
    assert talk.seen[-1]["event_id"].startswith("evt_req_")
    assert (end.code, end.reason) == (1011, "vendor_failed")
    assert (await door.charged())[0]["outcome"] == "cut"


async def test_a_vendor_that_is_lost_before_it_says_anything_costs_nothing(door: Door):
    async with door.talk() as talk:
        await talk.started()
        await talk.say("Say hello. [[halley outcome=reset_after_send]]")
        end = await talk.ended()
    assert end.code == 1011
    assert await door.charged() == []


async def test_a_revoked_key_ends_its_sessions_within_a_second_and_no_others(door: Door, rig: Rig):
    key = await rig.make_key()
    async with door.talk(key=key) as talk, door.talk() as other:
        await other.started()
        await speaking(rig, talk)
        await rig.revoke(key)
        end = await asyncio.wait_for(talk.ended(), 2.0)
        assert (await other.answered())["status"] == "completed"
    assert (end.code, end.reason) == (1008, "invalid_api_key")
    assert talk.seen[-1]["error"]["type"] == "authentication_error"
    assert "cut" in {row["outcome"] for row in await door.charged()}


async def test_a_key_revoked_before_the_session_is_watched_ends_it_all_the_same(door: Door, rig: Rig):
    key = await rig.make_key()
    async with door.talk(key=key) as talk:
        await rig.revoke(key)
        assert (await talk.ended()).code == 1008


async def test_a_session_whose_money_is_used_up_ends_before_the_next_turn(door: Door, rig: Rig):
    key = await rig.make_key(budget_nanos=Nanos(50_000_000), budget_period=BudgetPeriod.TOTAL)
    async with door.talk(key=key) as talk:
        await talk.started()
        with pytest.raises(Ended, match="1008 insufficient_quota"):
            await asyncio.wait_for(goes_on(talk), 20)
    errors = [event["error"] for event in talk.seen if event["type"] == "error"]
    assert [(error["code"], error["type"]) for error in errors] == [("insufficient_quota", "insufficient_quota")]
    rows = await door.charged()
    assert rows
    assert 0 < sum(row["price_nanos"] for row in rows) < Nanos(60_000_000)


async def test_a_session_ends_after_its_longest_time(door: Door, rig: Rig):
    async with door.talk() as talk:
        await talk.started()
        half = SESSION_S_MAX / 2 - 60
        await rig.pass_time(half, step_s=600)
        await talk.answered()
        await rig.pass_time(half, step_s=600)
        await talk.answered()
        ending = asyncio.ensure_future(talk.ended())  # noqa: TID251 - awaited below
        await rig.pass_time(150, step_s=50)
        end = await ending
    assert (end.code, end.reason) == (1001, "session_expired")


async def test_a_session_in_which_nothing_happens_ends(door: Door, rig: Rig):
    async with door.talk() as talk:
        await talk.started()
        ending = asyncio.ensure_future(talk.ended())  # noqa: TID251 - awaited below
        await rig.pass_time(IDLE_S_MAX + 60, step_s=300)
        end = await ending
    assert (end.code, end.reason) == (1001, "session_idle")


async def test_a_binary_frame_is_refused(door: Door):
    async with door.talk() as talk:
        await talk.until("session.created")
        await talk.connection.send_bytes(b"\x00\x01")
        end = await talk.ended()
    assert end.code == 1003
    assert talk.seen[-1]["error"]["code"] == "invalid_request"


async def test_a_frame_that_is_too_large_ends_the_session_with_its_code(door: Door):
    async with door.talk() as talk:
        await talk.until("session.created")
        await talk.connection.send_str("x" * (FRAME_BYTES_MAX + 1))
        end = await talk.ended()
    assert end.code == 1009
    assert str(FRAME_BYTES_MAX) in end.reason
    (row,) = await door.usage()
    assert row["outcome"] == "cancelled"


async def test_the_handshake_of_a_frame_that_is_too_large_ends_with_its_caller(door: Door):
    async with door.talk() as talk:
        await talk.until("session.created")
        await talk.connection.send_str("x" * (FRAME_BYTES_MAX + 1))
        for _ in range(8):
            await talk.connection.send_str("x" * 1_000_000)
        end = await talk.ended()
        await talk.connection.close()
    assert end.code == 1009


async def test_a_stopping_gateway_ends_quiet_sessions_at_once_and_lets_an_answer_end(door: Door, rig: Rig):
    rig.world.settings = msgspec.structs.replace(rig.world.settings, drain_s=3_600.0)
    async with door.talk() as quiet, door.talk() as talk:
        await quiet.started()
        await speaking(rig, talk)
        rig.world.draining = True
        end = await rig.while_ticking(quiet.ended())
        done = await rig.while_ticking(talk.until("response.done"))
        later = await rig.while_ticking(talk.ended())
    assert (end.code, later.code) == (1012, 1012)
    assert done["response"]["status"] == "completed"


async def test_a_stopping_gateway_cuts_an_answer_when_its_time_is_over(door: Door, rig: Rig):
    async with door.talk() as talk:
        await speaking(rig, talk)
        rig.world.draining = True
        assert (await rig.while_ticking(talk.ended())).code == 1012
    assert (await door.charged())[0]["outcome"] == "cut"


async def test_neither_key_nor_what_was_said_is_logged(door: Door, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, logger="halley")
    async with door.talk(key="", query=f"&key={door.rig.key}") as talk:
        await talk.started()
        await talk.answered("A secret of mine.")
    await door.charged()
    assert door.rig.key not in caplog.text
    assert "secret of mine" not in caplog.text

    async def noted() -> bool:
        return any(each.name == "halley.access" for each in caplog.records)

    await in_time(noted)
    record = next(each for each in caplog.records if each.name == "halley.access")
    assert (vars(record)["route"], vars(record)["status"]) == ("/v1/realtime", 101)


async def test_many_sessions_leave_nothing_behind(door: Door):
    async def one() -> None:
        async with door.talk() as talk:
            await talk.started()
            await talk.answered()

    await asyncio.gather(*(one() for _ in range(20)))
    assert len(await door.charged()) == 20
    rig = door.rig
    (channel,) = [each for each in rig.world.sandbox if each.vendor == "openai"]

    async def idle() -> bool:
        return rig.world.bounds.running(channel.id) == 0

    await in_time(idle)
