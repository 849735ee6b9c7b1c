"""The simulated realtime endpoint over a real websocket: turns, voices detected, calls, interruption, endings."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from blockbuster import BlockBuster
from tests.vendors.sandboxes import Sandbox, let_journal_block, simulated

from halley.kernel.loose import as_object
from halley.vendors.openai.simulated_realtime_ear import Change, Ear
from halley.vendors.openai.simulated_realtime_session import TurnDetection
from halley.vendors.openai.simulator import create_app
from halley.vendors.simulate.g711 import to_g711
from halley.vendors.simulate.speech import duration_s, hidden_text, melody, speak

PATH = "/v1/realtime?model=gpt-realtime"
HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Say hello"}]}
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SILENCE = bytes(2 * 24_000)


@pytest.fixture
async def sandbox() -> AsyncGenerator[Sandbox]:
    async with simulated("openai", create_app, {}) as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def _journal_may_block(_loop_is_never_blocked: BlockBuster) -> None:
    let_journal_block(_loop_is_never_blocked)


class Line:
    """An open session."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, kind: str, **fields: Any) -> None:
        await self._socket.send_str(msgspec.json.encode({"type": kind, **fields}).decode())

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return msgspec.json.decode(await self._socket.receive_str())

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """The events up to one of that kind; an error ends it too."""
        events: list[dict[str, Any]] = []
        while not events or events[-1]["type"] not in (kind, "error"):
            events.append(await self.next())
        return events

    async def say(self, text: str) -> None:
        """Put words of the user's into the conversation and ask for a response."""
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await self.send("response.create")

    async def done(self) -> dict[str, Any]:
        return (await self.until("response.done"))[-1]["response"]

    async def hear(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), 9_600):
            await self.send("input_audio_buffer.append", audio=base64.b64encode(pcm[start : start + 9_600]).decode())

    async def closed(self) -> int | None:
        async with asyncio.timeout(10):
            while not (await self._socket.receive()).type.name.startswith(("CLOS", "ERROR")):
                pass
        return self._socket.close_code


@asynccontextmanager
async def opened(
    sandbox: Sandbox, *, text_only: bool = False, protocols: tuple[str, ...] = (), **headers: str
) -> AsyncGenerator[Line]:
    sent = {"authorization": "Bearer sk-1"} if not protocols else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(sandbox.server.url + PATH, headers=sent, protocols=protocols) as socket,
    ):
        line = Line(socket)
        await line.until("session.created")
        if text_only:
            await line.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
            await line.until("session.updated")
        yield line


async def speech(text: str, *, voice: str = "") -> bytes:
    return await asyncio.to_thread(lambda: speak(text, voice=voice))


def types(events: list[dict[str, Any]]) -> list[str]:
    """The kinds in their order, each run of the same one once."""
    kinds = [event["type"] for event in events]
    return [kind for place, kind in enumerate(kinds) if place == 0 or kinds[place - 1] != kind]


async def test_a_text_turn_tells_all_its_events_in_order(sandbox: Sandbox):
    async with opened(sandbox, text_only=True) as line:
        await line.send("conversation.item.create", item=HELLO)
        await line.until("conversation.item.done")
        await line.send("response.create")
        events = await line.until("response.done")
    assert types(events) == [
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    response = events[-1]["response"]
    said = "".join(event.get("delta", "") for event in events)
    assert said == response["output"][0]["content"][0]["text"]
    assert "Say hello" in said
    assert (response["status"], response["usage"]["output_token_details"]["audio_tokens"]) == ("completed", 0)
    assert len({event["event_id"] for event in events}) == len(events)


async def test_an_audio_turn_is_speech_with_its_transcript(sandbox: Sandbox):
    async with opened(sandbox) as line:
        await line.say("Say hello")
        events = await line.until("response.done")
    sound = b"".join(
        base64.b64decode(each["delta"]) for each in events if each["type"] == "response.output_audio.delta"
    )
    part = events[-1]["response"]["output"][0]["content"][0]
    assert hidden_text(sound) == part["transcript"]
    told = [each["delta"] for each in events if each["type"] == "response.output_audio_transcript.delta"]
    assert "".join(told) == part["transcript"]
    usage = events[-1]["response"]["usage"]
    assert usage["output_token_details"]["audio_tokens"] == pytest.approx(duration_s(sound) * 20, abs=1)
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_what_is_said_aloud_is_found_transcribed_and_answered(sandbox: Sandbox):
    async with opened(sandbox, text_only=True) as line:
        transcription = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
        await line.send("session.update", session={"type": "realtime"} | transcription)
        await line.hear(SILENCE + await speech("What is the time", voice="nova") + SILENCE)
        events = await line.until("response.done")
    by_kind = {event["type"]: event for event in events}
    started, stopped = by_kind["input_audio_buffer.speech_started"], by_kind["input_audio_buffer.speech_stopped"]
    # A second of silence came first; of it 300 ms are kept.
    assert 600 <= started["audio_start_ms"] <= 1_000 < stopped["audio_end_ms"]
    assert started["item_id"] == stopped["item_id"] == by_kind["input_audio_buffer.committed"]["item_id"]
    heard = by_kind["conversation.item.input_audio_transcription.completed"]
    assert (heard["transcript"], heard["item_id"]) == ("What is the time", started["item_id"])
    assert "What is the time" in by_kind["response.output_text.done"]["text"]
    assert by_kind["response.done"]["response"]["usage"]["input_token_details"]["audio_tokens"] > 0


async def test_sound_is_committed_by_hand_when_turns_are_not_detected(sandbox: Sandbox):
    async with opened(sandbox, text_only=True) as line:
        manual = {"audio": {"input": {"turn_detection": None}}}
        await line.send("session.update", session={"type": "realtime"} | manual)
        await line.until("session.updated")
        await line.send("input_audio_buffer.commit")
        too_early = (await line.until("error"))[-1]["error"]
        await line.hear(await speech("Good evening"))
        await line.send("input_audio_buffer.commit")
        await line.until("conversation.item.done")
        await line.send("response.create")
        response = await line.done()
    assert too_early["code"] == "input_audio_buffer_commit_empty"
    assert "Good evening" in response["output"][0]["content"][0]["text"]


async def test_a_cleared_buffer_is_forgotten(sandbox: Sandbox):
    async with opened(sandbox) as line:
        await line.hear(SILENCE)
        await line.send("input_audio_buffer.clear")
        assert (await line.next())["type"] == "input_audio_buffer.cleared"


async def test_telephone_sound_goes_in_and_out(sandbox: Sandbox):
    async with opened(sandbox) as line:
        telephone = {"format": {"type": "audio/pcmu"}}
        await line.send(
            "session.update", session={"type": "realtime", "audio": {"input": telephone, "output": telephone}}
        )
        await line.until("session.updated")
        await line.hear(to_g711(melody("anybody there") + SILENCE, "ulaw"))
        events = await line.until("response.done")
    sound = [base64.b64decode(each["delta"]) for each in events if each["type"] == "response.output_audio.delta"]
    seconds = events[-1]["response"]["usage"]["output_token_details"]["audio_tokens"] / 20
    assert sum(map(len, sound)) / 8_000 == pytest.approx(seconds, abs=0.1)


async def test_a_function_is_called_and_its_result_is_spoken_of(sandbox: Sandbox):
    async with opened(sandbox, text_only=True) as line:
        await line.send("session.update", session={"type": "realtime", "tools": [WEATHER]})
        await line.say("Is it raining?")
        events = await line.until("response.done")
        call = events[-1]["response"]["output"][0]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "it pours"}
        await line.send("conversation.item.create", item=result)
        await line.send("response.create")
        answer = await line.done()
    arguments = [each for each in events if each["type"] == "response.function_call_arguments.delta"]
    assert "".join(each["delta"] for each in arguments) == call["arguments"]
    assert (call["type"], call["name"], list(msgspec.json.decode(call["arguments"]))) == (
        "function_call",
        "weather",
        ["city"],
    )
    assert "it pours" in answer["output"][0]["content"][0]["text"]


async def test_a_response_is_interrupted_by_speech(sandbox: Sandbox):
    async with opened(sandbox) as line:
        await line.say("A long story [[halley outcome=success delay=60]]")
        await line.until("response.content_part.added")
        await line.hear(await speech("Stop", voice="ash"))
        events = await line.until("response.done")
    assert "input_audio_buffer.speech_started" in types(events)
    response = events[-1]["response"]
    assert (response["status"], response["status_details"]["reason"]) == ("cancelled", "turn_detected")
    assert response["output"][0]["status"] == "incomplete"


async def test_a_response_is_cancelled_by_the_client_once(sandbox: Sandbox):
    async with opened(sandbox, text_only=True) as line:
        await line.say("A long story [[halley outcome=success delay=60]]")
        await line.until("response.content_part.added")
        await line.send("response.create")
        assert (await line.until("error"))[-1]["error"]["code"] == "conversation_already_has_active_response"
        await line.send("response.cancel")
        assert (await line.done())["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        await line.send("response.cancel", event_id="mine")
        error = (await line.until("error"))[-1]["error"]
    assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "mine")


async def test_items_are_retrieved_truncated_and_deleted(sandbox: Sandbox):
    async with opened(sandbox) as line:
        await line.say("Say hello")
        item_id = (await line.done())["output"][0]["id"]
        await line.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=100)
        assert (await line.next())["type"] == "conversation.item.truncated"
        await line.send("conversation.item.retrieve", item_id=item_id)
        kept = (await line.next())["item"]["content"][0]["transcript"]
        await line.send("conversation.item.delete", item_id=item_id)
        assert (await line.next())["type"] == "conversation.item.deleted"
        await line.send("conversation.item.delete", item_id=item_id)
        gone = (await line.next())["error"]["code"]
    assert (kept, gone) == ("", "item_not_found")


async def test_what_was_read_before_is_cached(sandbox: Sandbox):
    async with opened(sandbox, text_only=True) as line:
        await line.say("word " * 200)
        first = (await line.done())["usage"]["input_token_details"]["cached_tokens"]
        await line.say("and on")
        second = (await line.done())["usage"]["input_token_details"]["cached_tokens"]
    assert (first, second >= 128) == (0, True)


async def test_an_older_client_is_spoken_to_in_the_names_it_knows(sandbox: Sandbox):
    protocols = ("realtime", "openai-insecure-api-key.sk-1", "openai-beta.realtime-v1")
    async with opened(sandbox, protocols=protocols) as line:
        await line.send("session.update", session={"modalities": ["text", "audio"], "voice": "echo"})
        session = (await line.until("session.updated"))[-1]["session"]
        await line.say("Say hello")
        events = await line.until("response.done")
    assert (session["voice"], session["input_audio_format"], "audio" in session) == ("echo", "pcm16", False)
    assert {"response.audio.delta", "response.audio_transcript.done", "conversation.item.created"} <= set(types(events))
    assert not any("output_audio" in kind or kind.endswith(("item.added", "item.done")) for kind in _items(events))
    assert events[-1]["response"]["output"][0]["content"][0]["type"] == "audio"


def _items(events: list[dict[str, Any]]) -> list[str]:
    return [kind for kind in types(events) if not kind.startswith("response.output_item")]


@pytest.mark.parametrize(
    ("outcome", "status", "kind"),
    [
        ("vendor_error", "failed", "server_error"),
        ("rate_limited", "failed", "requests"),
        ("out_of_credit", "failed", "insufficient_quota"),
        ("length", "incomplete", "max_output_tokens"),
        ("content_moderated", "incomplete", "content_filter"),
        ("refusal", "completed", None),
    ],
)
async def test_an_ordered_ending_is_that_of_the_response(sandbox: Sandbox, outcome: str, status: str, kind: str | None):
    async with opened(sandbox, text_only=True) as line:
        await line.say(f"hello [[halley outcome={outcome}]]")
        response = await line.done()
    details = as_object(response["status_details"])
    assert (response["status"], details.get("reason") or as_object(details.get("error")).get("type")) == (status, kind)


async def test_an_error_in_the_middle_is_told_before_the_failed_end(sandbox: Sandbox):
    async with opened(sandbox, text_only=True) as line:
        await line.say("hello [[halley outcome=error_frame]]")
        assert "response.output_text.delta" in types(await line.until("error"))
        assert (await line.done())["status"] == "failed"


@pytest.mark.parametrize("outcome", ["cut_stream", "reset_after_send"])
async def test_a_cut_connection_ends_without_a_word(sandbox: Sandbox, outcome: str):
    async with opened(sandbox, text_only=True) as line:
        await line.say(f"hello [[halley outcome={outcome}]]")
        assert await line.closed() in (None, 1006)


async def test_a_malformed_frame_is_no_json(sandbox: Sandbox):
    async with opened(sandbox, text_only=True) as line:
        await line.say("hello [[halley outcome=malformed_frame]]")
        with pytest.raises(msgspec.DecodeError):
            await line.until("response.done")


@pytest.mark.parametrize(
    ("event", "param"),
    [
        pytest.param({"type": "session.bogus"}, "type", id="unknown event"),
        pytest.param({"type": "session.update", "session": {"colour": 1}}, "session.colour", id="unknown setting"),
        pytest.param(
            {"type": "session.update", "session": {"output_modalities": ["smell"]}},
            "session.output_modalities",
            id="unknown modality",
        ),
        pytest.param({"type": "input_audio_buffer.append", "audio": "?"}, "audio", id="no base64"),
        pytest.param({"type": "conversation.item.create", "item": {"type": "x"}}, "item.type", id="unknown item"),
        pytest.param(
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "user", "content": [{"type": "x"}]},
            },
            "item.content[0].type",
            id="unknown content",
        ),
    ],
)
async def test_a_wrong_event_is_answered_by_an_error_that_names_it(sandbox: Sandbox, event: dict[str, Any], param: str):
    async with opened(sandbox) as line:
        await line.send(**{"kind" if name == "type" else name: value for name, value in event.items()}, event_id="e1")
        error = (await line.until("error"))[-1]["error"]
        await line.send("input_audio_buffer.clear")
        assert (await line.next())["type"] == "input_audio_buffer.cleared"
    assert (error["param"], error["event_id"]) == (param, "e1")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param(PATH, {}, 401, id="no key"),
        pytest.param(PATH, {"authorization": "Bearer bad"}, 401, id="bad key"),
        pytest.param("/v1/realtime", {"authorization": "Bearer k"}, 400, id="no model"),
        pytest.param("/v1/other", {"authorization": "Bearer k"}, 404, id="other path"),
        pytest.param(
            PATH, {"authorization": "Bearer k", "halley-test": "outcome=rate_limited"}, 429, id="ordered refusal"
        ),
    ],
)
async def test_a_handshake_is_refused(sandbox: Sandbox, path: str, headers: dict[str, str], status: int):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(sandbox.server.url + path, headers=headers)
    assert refused.value.status == status


def test_the_ear_hears_no_speech_in_a_click():
    turn = TurnDetection(threshold=0.5, prefix_ms=300, silence_ms=200, creates_response=True, interrupts=True)
    ear = Ear()
    ear.append(SILENCE + b"\xff\x7f" * 480 + SILENCE)
    assert ear.listen(turn) == []
    ear.append(melody("hallo") + SILENCE)
    assert [heard.change for heard in ear.listen(turn)] == [Change.STARTED, Change.STOPPED]
