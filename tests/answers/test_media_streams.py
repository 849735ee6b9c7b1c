"""Streams of transcripts, speech and pictures: what ends them, and what is charged of one that did not come whole."""

import base64
import json
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.answers.house import House, opened
from tests.answers.vendor import Exchange, cut, events, named_events, stream

from halley.kernel.sse import DONE, Splitter
from halley.settings import PriceConfig
from halley.testing.client import Reply

HEARING, SPEAKING, DRAWING = "gpt-4o-transcribe", "gpt-4o-mini-tts", "gpt-image-1"
METERS = {"input_token": "1", "output_token": "2", "audio_output_token": "12", "image": "0.04"}
PRICES = tuple(PriceConfig(model=model, meters=METERS) for model in (HEARING, SPEAKING, DRAWING))
FRAME = b"\xff\xf3\x28\xc4" + bytes(68)
"""36 ms of MP3."""
LONG_MP3 = (FRAME[:13] + b"Info" + struct.pack(">III", 3, 10_000, 72 * 10_000)).ljust(72, b"\0") + FRAME * 10_000
"""Six minutes, as its first frame tells."""
Post = Callable[[House], Awaitable[Reply]]


async def transcribe(house: House) -> Reply:
    form = aiohttp.FormData({"model": HEARING, "stream": "true"})
    form.add_field("file", bytes(32_000), filename="a.wav")
    return await house.post("/v1/audio/transcriptions", form)


async def speak(house: House) -> Reply:
    body = {"model": SPEAKING, "input": "Hello.", "voice": "alloy", "stream_format": "sse", "response_format": "pcm"}
    return await house.post("/v1/audio/speech", body)


async def draw(house: House, count: int = 1) -> Reply:
    body = {"model": DRAWING, "prompt": "a cat", "stream": True, "n": count}
    return await house.post("/v1/images/generations", body)


async def edit(house: House) -> Reply:
    form = aiohttp.FormData({"model": DRAWING, "prompt": "a cat", "stream": "true"})
    form.add_field("image", b"a picture", filename="a.png")
    return await house.post("/v1/images/edits", form)


HEARD = [{"type": "transcript.text.delta", "delta": f" word{number}"} for number in range(4)]
HEARD_OTHERWISE = [{"type": "transcription.text.delta", "text": " word"}] * 4
SPOKEN = [{"type": "speech.audio.delta", "audio": "AAAA"}] * 3
DRAWN = [{"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": "aGk="}]
EDITED = [{"type": "image_edit.partial_image", "partial_image_index": 0, "b64_json": "aGk="}]
STREAMS: dict[str, tuple[Post, list[dict[str, Any]], dict[str, Any]]] = {
    "transcript": (transcribe, HEARD, {"type": "transcript.text.done", "text": "word0"}),
    "transcript, in other words": (transcribe, HEARD_OTHERWISE, {"type": "transcription.done", "text": "word"}),
    "speech": (speak, SPOKEN, {"type": "speech.audio.done"}),
    "picture": (draw, DRAWN, {"type": "image_generation.completed", "b64_json": "aGk="}),
    "edit": (edit, EDITED, {"type": "image_edit.completed", "b64_json": "aGk="}),
}
EACH = pytest.mark.parametrize(("post", "pieces", "last"), STREAMS.values(), ids=STREAMS.keys())


def _last(reply: Reply) -> bytes:
    return [frame.data for _, frame in Splitter().feed(reply.body) if frame is not None][-1]


@EACH
async def test_a_stream_that_is_closed_before_its_end_is_told_as_broken(
    folder: Path, post: Post, pieces: list[dict[str, Any]], last: dict[str, Any]
) -> None:
    del last
    async with opened(folder, prices=PRICES) as house:
        house.vendor.will(stream(*events(*pieces, done=False)))
        error = json.loads(_last(await post(house)))["error"]
        assert error["code"] == "outcome_unknown"
        assert (await house.usage()).outcome == "cut"


@EACH
@pytest.mark.parametrize("how", ["named", "in the data alone", "done"])
async def test_a_stream_that_came_whole_is_taken_for_whole(
    folder: Path, post: Post, pieces: list[dict[str, Any]], last: dict[str, Any], how: str
) -> None:
    async with opened(folder, prices=PRICES) as house:
        every = [*pieces, last]
        frames = named_events(every) if how == "named" else events(*every, done=False)
        house.vendor.will(stream(*(events(*pieces) if how == "done" else frames)))
        told = _last(await post(house))
        assert told == DONE if how == "done" else json.loads(told) == last
        assert (await house.usage()).outcome == "succeeded"


@pytest.mark.parametrize(
    ("whole", "breaks", "outcome"),
    [(0, False, "cut"), (1, False, "succeeded"), (1, True, "cut"), (2, False, "succeeded"), (2, True, "succeeded")],
)
async def test_of_several_pictures_each_has_an_end_of_its_own_and_fewer_may_be_all(
    folder: Path, whole: int, outcome: str, *, breaks: bool
) -> None:
    async with opened(folder, prices=PRICES) as house:
        last = {"type": "image_generation.completed", "b64_json": "aGk="}
        house.vendor.will(stream(*named_events([*DRAWN, *[last] * whole]), then=cut if breaks else None))
        await draw(house, count=2)
        assert (await house.usage()).outcome == outcome


async def test_pictures_that_came_whole_are_charged_whichever_of_them_told_the_usage(folder: Path) -> None:
    async with opened(folder, prices=PRICES) as house:
        last = {"type": "image_generation.completed", "b64_json": "aGk="}
        usage = {"input_tokens": 3, "output_tokens": 200, "total_tokens": 203}
        house.vendor.will(stream(*named_events([*DRAWN, {**last, "usage": usage}, last])))
        await draw(house, count=2)
        assert (await house.usage()).meters["image"] == 2


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([*HEARD, {"type": "transcript.text.done", "text": "word0 word1"}], id="in pieces"),
        pytest.param([{"type": "transcript.text.done", "text": " word0 word1 word2 word3"}], id="at the end alone"),
        pytest.param([*HEARD_OTHERWISE, {"type": "transcription.done", "text": "word"}], id="in other words"),
    ],
)
async def test_a_transcript_that_its_vendor_does_not_count_is_counted(
    folder: Path, pieces: list[dict[str, Any]]
) -> None:
    async with opened(folder, prices=PRICES) as house:
        house.vendor.will(stream(*events(*pieces, done=False)))
        await transcribe(house)
        usage = await house.usage()
        assert (usage.outcome, 4 <= usage.meters["output_token"] <= 8) == ("succeeded", True)


async def test_a_transcript_that_breaks_off_is_charged_for_what_came(folder: Path) -> None:
    async with opened(folder, prices=PRICES) as house:
        house.vendor.will(stream(*named_events(HEARD[:2]), then=cut))
        await transcribe(house)
        usage = await house.usage()
        assert (usage.outcome, 2 <= usage.meters["output_token"] <= 4) == ("cut", True)


@pytest.mark.parametrize("form", ["sse", "audio"])
async def test_speech_that_breaks_off_is_charged_for_what_came(folder: Path, form: str) -> None:
    sound = LONG_MP3[: len(LONG_MP3) // 10]
    delta = {"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode()}

    async def spoken(exchange: Exchange) -> None:
        await exchange.head(content_type="audio/mpeg")
        await exchange.piece(sound)
        exchange.hang_up()

    async with opened(folder, prices=PRICES) as house:
        house.vendor.will(spoken if form == "audio" else stream(*events(delta, done=False), then=cut))
        body = {"model": SPEAKING, "input": "Hello.", "voice": "alloy", "stream_format": form}
        async with house.posting("/v1/audio/speech", body) as reply:
            with suppress(aiohttp.ClientPayloadError):  # sound has no other way to say that it broke off
                await reply.read()
        usage = await house.usage()
        assert (usage.outcome, usage.meters["audio_output_token"]) == ("cut", pytest.approx(36 * 20, abs=20))
