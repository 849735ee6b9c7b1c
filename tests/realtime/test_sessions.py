"""Realtime sessions through the gateway: turns of text and sound, functions, interruption, and what they cost."""

import base64
import math
import struct

import pytest
from tests.app.rigs import Rig
from tests.realtime.talking import SILENT, SLOWLY, TEXT, WEATHER, Door


def tone(seconds: float) -> str:
    count = int(24_000 * seconds)
    samples = (int(9_000 * math.sin(place / 9)) for place in range(count))
    return base64.b64encode(struct.pack(f"<{count}h", *samples)).decode()


async def test_a_text_turn_is_answered_and_booked(door: Door):
    async with door.talk() as talk:
        await talk.started()
        response = await talk.answered()
        (row,) = [each for each in await door.usage() if each["meters"]]
    usage = response["usage"]
    assert response["status"] == "completed"
    assert "simulated" in response["output"][0]["content"][0]["text"]
    assert row["meters"] == {
        "call": 1,
        "input_token": usage["input_tokens"],
        "output_token": usage["output_tokens"],
    }
    assert row["price_nanos"] == usage["input_tokens"] * 4_000 + usage["output_tokens"] * 16_000
    assert (row["model"], row["order_kind"], row["outcome"]) == ("gpt-realtime", "answer", "succeeded")
    assert row["channel_id"].startswith("sandbox-openai")


async def test_each_turn_is_a_row_of_its_own_and_what_was_read_again_is_cheaper(door: Door):
    async with door.talk() as talk:
        await talk.started()
        first = await talk.answered("Tell me of the sea. " * 40)
        second = await talk.answered("And again.")
    rows = await door.charged()
    cached = second["usage"]["input_token_details"]["cached_tokens"]
    assert first["id"] != second["id"]
    assert [row["outcome"] for row in rows] == ["succeeded", "succeeded"]
    assert cached > 0
    assert rows[1]["meters"]["cached_input_token"] == cached
    assert rows[1]["meters"]["input_token"] == second["usage"]["input_tokens"] - cached


async def test_a_turn_of_sound_is_booked_as_sound(door: Door):
    async with door.talk() as talk:
        await talk.started(SILENT)
        await talk.tell("input_audio_buffer.append", audio=tone(1.0))
        await talk.tell("input_audio_buffer.commit")
        await talk.tell("response.create")
        usage = (await talk.until("response.done"))["response"]["usage"]
    (row,) = await door.charged()
    assert row["meters"]["audio_input_token"] == usage["input_token_details"]["audio_tokens"] == 10
    assert row["meters"]["audio_output_token"] == usage["output_token_details"]["audio_tokens"] > 0
    assert row["meters"]["output_token"] == usage["output_token_details"]["text_tokens"] > 0


async def test_speech_is_answered_by_itself_once_it_pauses(door: Door):
    async with door.talk() as talk:
        await talk.until("session.created")
        pause = base64.b64encode(bytes(48_000)).decode()
        for sound in (tone(0.8), pause, pause):
            await talk.tell("input_audio_buffer.append", audio=sound)
        await talk.until("input_audio_buffer.speech_stopped")
        await talk.until("response.done")
    assert (await door.charged())[0]["meters"]["audio_input_token"] > 0


async def test_a_transcription_is_booked_at_its_own_models_price(door: Door):
    heard = {"turn_detection": None, "transcription": {"model": "gpt-4o-transcribe"}}
    async with door.talk() as talk:
        await talk.started({**SILENT, "audio": {"input": heard}})
        await talk.tell("input_audio_buffer.append", audio=tone(1.0))
        await talk.tell("input_audio_buffer.commit")
        told = await talk.until("conversation.item.input_audio_transcription.completed")
    (row,) = await door.charged()
    assert row["model"] == "gpt-4o-transcribe"
    assert row["meters"]["audio_input_token"] == told["usage"]["input_token_details"]["audio_tokens"]
    assert row["price_nanos"] > 0


async def test_a_function_is_called_and_its_result_spoken_of(door: Door):
    async with door.talk() as talk:
        await talk.started({**TEXT, "tools": [WEATHER], "tool_choice": "required"})
        await talk.say("The weather in Brest?")
        call = await talk.until("response.function_call_arguments.done")
        await talk.until("response.done")
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"sky": "clear"}'}
        await talk.tell("session.update", session={"type": "realtime", "tool_choice": "auto"})
        await talk.tell("conversation.item.create", item=result)
        await talk.tell("response.create")
        done = await talk.until("response.done")
    assert done["response"]["status"] == "completed"
    assert [row["outcome"] for row in await door.charged()] == ["succeeded", "succeeded"]


async def test_an_interrupted_answer_is_charged_for_what_was_said(door: Door, rig: Rig):
    async with door.talk() as talk:
        await talk.started(SILENT)
        await talk.say(f"Tell me a long story. {SLOWLY}")
        await rig.while_ticking(talk.until("response.output_audio.delta"))
        await talk.tell("response.cancel")
        response = (await talk.until("response.done"))["response"]
        after = await talk.answered("Go on.")
    rows = await door.charged()
    assert (response["status"], after["status"]) == ("cancelled", "completed")
    assert [row["outcome"] for row in rows] == ["cut", "succeeded"]
    assert rows[0]["meters"]["audio_output_token"] == response["usage"]["output_token_details"]["audio_tokens"]


async def test_frames_pass_unchanged(door: Door):
    async with door.talk() as talk:
        await talk.started()
        item = {
            "id": "item_mine",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "ü\u2028"}],
        }
        await talk.tell("conversation.item.create", item=item, event_id="mine")
        assert (await talk.until("conversation.item.added"))["item"]["content"] == item["content"]
        await talk.connection.send_str("no json")
        assert (await talk.until("error"))["error"]["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("headers", "protocols"),
    [
        pytest.param({"openai-beta": "realtime=v1"}, (), id="header"),
        pytest.param({}, ("realtime", "openai-beta.realtime-v1"), id="subprotocol"),
    ],
)
async def test_the_beta_is_spoken_to_who_asks_for_it(door: Door, headers: dict[str, str], protocols: tuple[str, ...]):
    async with door.talk(headers=headers, protocols=protocols) as talk:
        await talk.until("session.created")
        await talk.tell("session.update", session={"modalities": ["text"]})
        await talk.say("Say hello.")
        await talk.until("response.text.delta")
        await talk.until("response.done")
    assert (await door.charged())[0]["meters"]["output_token"] > 0


async def test_the_model_of_the_session_may_be_named_again_but_not_changed(door: Door):
    async with door.talk(model="gpt-realtime-2025-08-28") as talk:
        await talk.until("session.created")
        await talk.tell("session.update", session={**TEXT, "model": "gpt-realtime-2025-08-28"})
        updated = await talk.until("session.updated")
        await talk.tell("session.update", session={**TEXT, "model": "gpt-realtime-2"}, event_id="other")
        error = (await talk.until("error"))["error"]
        after = await talk.answered()
    assert updated["session"]["model"] == "gpt-realtime"
    assert (error["param"], error["event_id"]) == ("session.model", "other")
    assert after["status"] == "completed"


async def test_two_sessions_do_not_meet(door: Door):
    async with door.talk() as one, door.talk() as other:
        await one.started()
        await other.started()
        await one.say("Say hello, first.")
        await other.say("Say hello, second.")
        first, second = await one.until("response.done"), await other.until("response.done")
    rows = await door.charged()
    assert first["response"]["id"] != second["response"]["id"]
    assert len(rows) == 2
    assert len({row["order_id"] for row in rows}) == 2


async def test_an_answer_that_failed_costs_nothing(door: Door):
    async with door.talk() as talk:
        await talk.started()
        response = await talk.answered("Say hello. [[halley outcome=error_frame]]")
    rows = await door.usage(at_least=1)
    assert response["status"] == "failed"
    assert [row["outcome"] for row in rows if row["outcome"] != "cancelled"] == ["failed"]
    assert sum(row["price_nanos"] for row in rows) == 0


async def test_a_session_without_a_turn_costs_nothing(door: Door, rig: Rig):
    async with door.talk() as talk:
        await talk.until("session.created")
        assert await rig.open_holds() == 1
    (row,) = await door.usage()
    assert (row["outcome"], row["price_nanos"], row["meters"]) == ("cancelled", 0, {})
