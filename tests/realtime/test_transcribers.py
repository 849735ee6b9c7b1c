"""What writes down the sound that a caller sends: which models may be named, and what each transcription costs."""

import base64
import json
from typing import Any

import pytest
from tests.app.rigs import Rig
from tests.realtime.talking import Door, Talk
from tests.realtime.test_channels import Vendor, lead_to, vendor
from tests.realtime.test_sessions import tone

__all__ = ["vendor"]

SOUND = base64.b64encode(bytes(480_000)).decode()
"""Ten seconds."""
COMMITTED = '{"type":"input_audio_buffer.committed","item_id":"item_1"}'


def naming(model: str, *, older: bool = False) -> dict[str, Any]:
    """Give the settings that name a transcriber."""
    named = {"model": model}
    return {"input_audio_transcription": named} if older else {"audio": {"input": {"transcription": named}}}


def updated(model: str) -> str:
    return json.dumps({"type": "session.updated", "session": naming(model)})


def completed(usage: Any = None, item_id: str = "item_1") -> str:
    kind = "conversation.item.input_audio_transcription.completed"
    told = {"type": kind, "item_id": item_id, "transcript": "one two three"}
    return json.dumps(told if usage is None else {**told, "usage": usage})


async def heard(talk: Talk, vendor: Vendor, *script: str, model: str = "gpt-4o-transcribe") -> None:
    """Name a transcriber, say something, and hear what it was."""
    await talk.until("session.created")
    vendor.script = [updated(model)]
    await talk.tell("session.update", session=naming(model))
    await talk.until("session.updated")
    await talk.tell("input_audio_buffer.append", audio=SOUND)
    vendor.script = list(script)
    await talk.tell("input_audio_buffer.commit")
    await talk.until("conversation.item.input_audio_transcription.completed")


@pytest.mark.parametrize("script", [(COMMITTED, completed()), (completed(),)], ids=["committed", "without a word"])
async def test_a_transcription_whose_usage_is_not_told_is_counted(
    door: Door, vendor: Vendor, script: tuple[str, ...]
) -> None:
    async with door.talk() as talk:
        await heard(talk, vendor, *script)
    (row,) = await door.charged()
    assert row["model"] == "gpt-4o-transcribe"
    assert row["meters"] == {"call": 1, "audio_input_token": 101, "output_token": 3, "audio_second": 11}
    assert row["price_nanos"] == 101 * 2_500 + 3 * 10_000


async def test_each_transcription_counts_the_sound_since_the_one_before(door: Door, vendor: Vendor) -> None:
    async with door.talk() as talk:
        await heard(talk, vendor, COMMITTED, completed())
        vendor.script = [COMMITTED.replace("item_1", "item_2"), completed(item_id="item_2")]
        await talk.tell("input_audio_buffer.commit")
        await talk.until("conversation.item.input_audio_transcription.completed")
    first, second = await door.charged()
    assert (first["meters"]["audio_second"], "audio_second" in second["meters"]) == (11, False)


async def test_a_transcription_told_in_seconds_costs_what_its_tokens_would_where_only_they_have_a_price(
    door: Door, vendor: Vendor
) -> None:
    async with door.talk() as talk:
        told = completed({"type": "duration", "seconds": 10})
        await heard(talk, vendor, told, model="gpt-live-transcribe-9")
    (row,) = await door.charged()
    assert (row["model"], row["meters"]["audio_second"]) == ("gpt-realtime", 10)
    assert row["price_nanos"] == 100 * 32_000 + 3 * 16_000


@pytest.mark.parametrize("older", [False, True], ids=["current", "older"])
@pytest.mark.parametrize("kind", ["session.update", "transcription_session.update"])
async def test_a_transcriber_that_the_key_may_not_use_is_refused(
    door: Door, rig: Rig, vendor: Vendor, kind: str, *, older: bool
) -> None:
    async with door.talk(key=await rig.make_key(models=("gpt-realtime*",))) as talk:
        await talk.until("session.created")
        await talk.tell(kind, session=naming("whisper-1", older=older), event_id="mine")
        error = (await talk.until("error"))["error"]
    assert (error["code"], error["event_id"], vendor.frames) == ("permission_denied", "mine", [])
    assert "`whisper-1`" in error["message"]


async def test_a_transcriber_without_a_price_is_refused(door: Door, rig: Rig, vendor: Vendor) -> None:
    await lead_to(rig, f"{vendor.url}/v1", managed="environment")
    async with door.talk(key=await rig.make_key(livemode=True)) as talk:
        await talk.until("session.created")
        await talk.tell("session.update", session=naming("gpt-live-transcribe-9"))
        error = (await talk.until("error"))["error"]
        assert (error["code"], vendor.frames) == ("invalid_request", [])
        assert "`gpt-live-transcribe-9` has no price" in error["message"]


@pytest.mark.parametrize("model", ["", "gpt-realtime", "gpt-4o-mini-transcribe"])
async def test_a_transcription_session_names_no_model_to_the_vendor(door: Door, vendor: Vendor, model: str) -> None:
    async with door.talk(model=model, query="&intent=transcription") as talk:
        await talk.until("session.created")
    assert dict(vendor.requests[0].query) == {"intent": "transcription"}
    (row,) = await door.usage()
    assert row["model"] == (model or "gpt-4o-transcribe")


async def test_a_transcription_session_is_for_a_transcriber_that_the_key_may_use(door: Door, rig: Rig) -> None:
    async with door.talk(key=await rig.make_key(models=("whisper*",)), model="", query="&intent=transcription") as talk:
        await talk.until("session.created")
    (row,) = await door.usage()
    assert row["model"] == "whisper-1"
    path = "/v1/realtime?intent=transcription"
    status, body, _ = await door.refused(path, await rig.make_key(models=("gpt-5*",)))
    assert (status, body["error"]["code"]) == (403, "permission_denied")


async def test_a_transcription_session_writes_down_what_is_said_and_answers_nothing(door: Door) -> None:
    async with door.talk(model="", query="&intent=transcription") as talk:
        assert (await talk.until("session.created"))["session"]["type"] == "transcription"
        await talk.tell("session.update", session={"type": "transcription", **naming("gpt-4o-mini-transcribe")})
        await talk.until("session.updated")
        pause = base64.b64encode(bytes(48_000)).decode()
        for sound in (tone(0.8), pause, pause):
            await talk.tell("input_audio_buffer.append", audio=sound)
        await talk.until("conversation.item.input_audio_transcription.completed")
        await talk.tell("response.create")
        assert (await talk.until("error"))["error"]["type"] == "invalid_request_error"
    (row,) = await door.charged()
    assert (row["model"], row["price_nanos"] > 0) == ("gpt-4o-mini-transcribe", True)
