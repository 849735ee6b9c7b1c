"""Same format on both sides: bytes pass through both ways, as they are and as they come."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from tests.answers.house import (
    CLAUDE,
    GEMINI,
    HELLO,
    MODEL,
    House,
    chat_body,
    chunk,
    completion,
    one,
    opened,
    three,
    usage_chunk,
)
from tests.answers.vendor import Exchange, answer, events, named_events, stream

from halley.settings import PriceConfig

ODD = (
    b'{ "model" : "gpt-4o-mini",\n "temperature":1.0, "top_p":1e0, "seed":12345678901234567890,\t"x_unknown":{"b":1E3,'
    b'"a":[1.10,null]}, "messages" :[{"content":"caf\\u00e9 \xc3\xa9 \\/","role":"user","x":-0.0}] }'
)
ODD_REPLY = (
    b'{"x": 1.0, "id":"c1","choices":[{"message":{"content":"\\u00e9","role":"assistant"},"index":0,'
    b'"finish_reason":"stop"}] , "usage": {"prompt_tokens":7,"completion_tokens":3,"total_tokens":10} }\n'
)


async def test_the_vendor_gets_the_callers_bytes_and_the_caller_the_vendors(house: House) -> None:
    house.vendor.will(answer(ODD_REPLY))
    reply = await house.post("/v1/chat/completions", ODD)
    assert (house.vendor.last.path, house.vendor.last.body) == ("/v1/chat/completions", ODD)
    assert (reply.status, reply.body) == (200, ODD_REPLY)


async def test_only_the_model_changes_where_the_vendor_calls_it_otherwise(folder: Path) -> None:
    async with opened(folder, one(model_map={MODEL: "theirs"})) as house:
        house.vendor.will(answer(ODD_REPLY))
        assert (await house.post("/v1/chat/completions", ODD)).body == ODD_REPLY
        sent = house.vendor.last.body
        for part in (b'"temperature":1.0', b'"top_p":1e0', b'{"b":1E3,"a":[1.10,null]}', b'"caf\\u00e9 \xc3\xa9 \\/"'):
            assert part in sent
        assert list(json.loads(sent)) == list(json.loads(ODD))
        assert json.loads(sent) == {**json.loads(ODD), "model": "theirs"}


async def test_credentials_are_the_operators_and_nothing_of_the_callers_is_forwarded(house: House) -> None:
    house.vendor.will(answer(completion()))
    private = {
        "cookie": "session=mine",
        "x-api-key": house.rig.key,
        "x-goog-api-key": house.rig.key,
        "x-forwarded-for": "10.0.0.1",
        "user-agent": "my-agent/1",
        "openai-organization": "org-mine",
        "openai-beta": "assistants=v2",
    }
    assert (await house.chat(headers=private)).status == 200
    seen = house.vendor.last
    assert seen.header("authorization") == ["Bearer key-of-first"]
    assert seen.header("openai-beta") == ["assistants=v2"]
    everything = repr(seen)
    assert [word for word in ("mine", "my-agent", "10.0.0.1", house.rig.key) if word in everything] == []


async def test_the_operators_cookie_of_one_call_is_not_sent_with_the_next(house: House) -> None:
    house.vendor.will(answer(completion(), headers={"set-cookie": "a=b", "x-request-id": "theirs"}))
    first, _ = await house.chat(), await house.chat()
    assert house.vendor.last.header("cookie") == []
    assert "set-cookie" not in first.headers
    assert first.headers["x-request-id"] != "theirs"


STREAMS = {
    "chat": (
        "/v1/chat/completions",
        {"stream": True, "model": MODEL, "messages": HELLO, "stream_options": {"include_usage": True}},
        [
            b": a comment\n\n",
            b'data:{"id":"1", "choices":[{"delta":{"content":"\\u00e9"},"index":0, "x":1.0}]}\n\n',
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\r\n\r\n',
            *events(usage_chunk()),
        ],
    ),
    "messages": (
        "/v1/messages",
        {"stream": True, "model": CLAUDE, "messages": HELLO, "max_tokens": 10},
        [
            *named_events([{"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}}]),
            b'event: ping\ndata: {"type": "ping"}\n\n',
            b'event: of_tomorrow\ndata: {"type":"of_tomorrow", "x": 1.0}\n\n',
            *named_events([{"type": "message_delta", "delta": {}, "usage": {"output_tokens": 5}}]),
            *named_events([{"type": "message_stop"}]),
        ],
    ),
    "content": (
        f"/v1beta/models/{GEMINI}:streamGenerateContent?alt=sse",
        {"contents": [{"parts": [{"text": "Hello"}]}]},
        [
            b'data: {"candidates": [{"content": {"parts": [{"text": "H\\u00e9"}]}}], "new": 1.0}\r\n\r\n',
            b'data: {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3}}\r\n\r\n',
        ],
    ),
    "responses": (
        "/v1/responses",
        {"stream": True, "model": MODEL, "input": "Hello", "store": False},
        [
            *named_events([{"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1"}}]),
            *named_events([{"type": "response.of_tomorrow", "sequence_number": 1, "x": 1.5}]),
            *named_events([{"type": "response.completed", "sequence_number": 2, "response": {"id": "resp_1"}}]),
        ],
    ),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_arrives_byte_by_byte_as_the_vendor_sent_it(folder: Path, name: str) -> None:
    path, body, frames = STREAMS[name]
    async with opened(folder, three) as house:
        house.vendor.will(stream(*frames))
        reply = await house.post(path, body)
        assert reply.body == b"".join(frames)
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert (await house.usage()).outcome == "succeeded"


async def test_frames_that_arrive_in_scraps_leave_whole(house: House) -> None:
    whole = b"".join(events(chunk("one"), chunk("two \u00e9"), chunk(finish="stop")))
    house.vendor.will(stream(*(whole[at : at + 7] for at in range(0, len(whole), 7))))
    assert (await house.chat(stream=True)).body == whole


async def test_each_chunk_can_be_read_before_the_vendor_sends_the_next(house: House) -> None:
    frames, read = events(*(chunk(f"word {n} ") for n in range(20)), chunk(finish="stop")), asyncio.Event()
    sent_at: list[float] = []
    loop = asyncio.get_running_loop()

    async def paced(exchange: Exchange) -> None:
        await exchange.head()
        for frame in frames:
            read.clear()
            sent_at.append(loop.time())
            await exchange.piece(frame)
            async with asyncio.timeout(1):
                await read.wait()
            await asyncio.sleep(0.01)
        await exchange.end()

    house.vendor.will(paced)
    lags_s: list[float] = []
    async with house.posting("/v1/chat/completions", chat_body(stream=True)) as response:
        for frame in frames:
            assert await response.content.readexactly(len(frame)) == frame
            lags_s.append(loop.time() - sent_at[-1])
            read.set()
    # Delayed acknowledgements show as 40 ms on many chunks; a busy machine on a few.
    assert sorted(lags_s)[len(lags_s) * 3 // 4] < 0.03


async def test_a_form_arrives_with_its_files_and_fields_and_the_vendors_name_of_the_model(folder: Path) -> None:
    sound = bytes(range(256)) * 200 + b"\r\n--not-the-boundary\r\n"
    prices = (PriceConfig(model="whisper-1", meters={"audio_second": "0.0001"}),)
    async with opened(folder, one(model_map={"whisper-1": "their-whisper"}), prices=prices) as house:
        house.vendor.will(answer({"text": "Hello", "usage": {"type": "duration", "seconds": 9}}))
        form = aiohttp.FormData()
        form.add_field("file", sound, filename="a.mp3", content_type="audio/mpeg")
        form.add_field("model", "whisper-1")
        form.add_field("temperature", "0.0")
        form.add_field("timestamp_granularities[]", "word")
        form.add_field("timestamp_granularities[]", "segment")
        reply = await house.post("/v1/audio/transcriptions", form)
        assert (reply.status, reply.headers["halley-cost"]) == (200, "0.0009")
        sent = house.vendor.last
        assert sent.header("content-type")[0].startswith("multipart/form-data; boundary=halley-")
        boundary = sent.header("content-type")[0].partition("boundary=")[2].encode()
        found = [part.partition(b"\r\n\r\n") for part in sent.body.split(b"--" + boundary)[1:-1]]
        values = [(head.decode().strip(), data.removesuffix(b"\r\n")) for head, _, data in found]
        assert [data for head, data in values if 'name="model"' in head] == [b"their-whisper"]
        assert [data for head, data in values if "granularities" in head] == [b"word", b"segment"]
        [(head, data)] = [(head, data) for head, data in values if "filename" in head]
        assert data == sound
        assert 'filename="a.mp3"' in head
        assert "content-type: audio/mpeg" in head


async def test_a_transcript_that_begins_like_json_is_text(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(answer(b"{laughs} Hello", content_type="text/plain; charset=utf-8"))
        form = aiohttp.FormData({"model": "whisper-1", "response_format": "text"})
        form.add_field("file", b"\0" * 32_000, filename="a.mp3")
        reply = await house.post("/v1/audio/transcriptions", form)
        assert (reply.status, reply.body) == (200, b"{laughs} Hello")
        assert (await house.usage()).price_nanos > 0
