"""Streams: the usage at their end, breaks after the first byte, callers that leave."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import (
    CLAUDE,
    GEMINI,
    HELLO,
    MODEL,
    PER_INPUT,
    PER_OUTPUT,
    USAGE,
    House,
    chat_body,
    chunk,
    completion,
    one,
    opened,
    soon,
    three,
    usage_chunk,
)
from tests.answers.vendor import (
    Exchange,
    Script,
    answer,
    cut,
    drip,
    events,
    hang,
    named_events,
    reset,
    stream,
)

from halley.kernel.sse import DONE, Splitter
from halley.settings import PriceConfig

STREAM = (chunk("Hi"), chunk(finish="stop"))
UNMISTAKABLE = "word " * 40


async def test_usage_is_asked_for_anyway_and_hidden_from_who_did_not_ask(house: House) -> None:
    house.vendor.will(stream(*events(*STREAM, usage_chunk())))
    reply = await house.chat(stream=True)
    assert house.vendor.last.json["stream_options"] == {"include_usage": True}
    assert reply.body == b"".join(events(*STREAM))
    assert (await house.usage()).price_nanos == 100 * PER_INPUT + 20 * PER_OUTPUT


async def test_usage_is_shown_to_who_asked_and_their_bytes_are_sent(house: House) -> None:
    house.vendor.will(stream(*events(*STREAM, usage_chunk())))
    body = chat_body(stream=True, stream_options={"include_usage": True, "include_obfuscation": False})
    reply = await house.post("/v1/chat/completions", body)
    assert house.vendor.last.body == json.dumps(body).encode()
    assert reply.body == b"".join(events(*STREAM, usage_chunk()))


async def test_other_options_of_the_stream_stay_when_usage_is_asked_for(house: House) -> None:
    house.vendor.will(stream(*events(*STREAM)))
    await house.chat(stream=True, stream_options={"include_obfuscation": False})
    assert house.vendor.last.json["stream_options"] == {"include_obfuscation": False, "include_usage": True}


async def test_usage_beside_text_is_never_hidden(house: House) -> None:
    frames = events(chunk("Hi", usage=USAGE), chunk(finish="stop", usage=USAGE))
    house.vendor.will(stream(*frames))
    assert (await house.chat(stream=True)).body == b"".join(frames)
    assert (await house.usage()).price_nanos == 100 * PER_INPUT + 20 * PER_OUTPUT


@pytest.mark.parametrize("asks", [False, True], ids=["not asked", "asked"])
async def test_a_vendor_that_does_not_know_the_option_is_not_sent_it(folder: Path, *, asks: bool) -> None:
    prices = (PriceConfig(model="mistral-small-latest", meters={"input_token": "1", "output_token": "2"}),)
    async with opened(folder, one(vendor="mistral"), prices=prices) as house:
        frames = events(chunk("Hi"), chunk(finish="stop", usage=USAGE))
        house.vendor.will(stream(*frames))
        fields: dict[str, Any] = {"stream_options": {"include_usage": True}} if asks else {}
        reply = await house.chat(model="mistral-small-latest", stream=True, max_completion_tokens=77, **fields)
        sent = house.vendor.last.json
        assert "stream_options" not in sent
        assert (sent["max_tokens"], "max_completion_tokens" in sent) == (77, False)
        assert reply.body == b"".join(frames)
        assert (await house.usage()).price_nanos == 100 * PER_INPUT + 20 * PER_OUTPUT


# --- breaks -------------------------------------------------------------------------------------------------


def _claude(text: str) -> list[bytes]:
    usage = {"input_tokens": 30, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": CLAUDE,
        "usage": usage,
    }
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return named_events([{"type": "message_start", "message": message}, block, delta])


def _gemini(text: str) -> list[bytes]:
    return events({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]}, done=False)


def _responses(text: str) -> list[bytes]:
    response: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "status": "in_progress",
        "model": MODEL,
        "output": [],
    }
    item: dict[str, Any] = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    part: dict[str, Any] = {"type": "output_text", "text": "", "annotations": []}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return named_events(
        [
            {"type": "response.created", "sequence_number": 0, "response": response},
            {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item},
            {"type": "response.content_part.added", "sequence_number": 2, "part": part, **at},
            {"type": "response.output_text.delta", "sequence_number": 3, "delta": text, **at},
        ]
    )


CALLS: dict[str, tuple[str, dict[str, Any], list[bytes]]] = {
    "chat": ("/v1/chat/completions", chat_body(stream=True), events(chunk(UNMISTAKABLE), done=False)),
    "messages": (
        "/v1/messages",
        {"model": CLAUDE, "messages": HELLO, "max_tokens": 99, "stream": True},
        _claude(UNMISTAKABLE),
    ),
    "content": (
        f"/v1beta/models/{GEMINI}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]},
        _gemini(UNMISTAKABLE),
    ),
    "responses": (
        "/v1/responses",
        {"model": MODEL, "input": "Hello there", "stream": True, "store": False},
        _responses(UNMISTAKABLE),
    ),
}


async def malformed(exchange: Exchange) -> None:
    await exchange.piece(b"data: {no json\n\n")
    await hang(exchange)


BREAKS: dict[str, Script] = {
    "cut": cut,
    "reset": reset,
    "stall": hang,
    "malformed": malformed,
    "too long": drip(b": still here\n\n", 0.05),
    "ended early": Exchange.end,
}


def _check_error(name: str, received: bytes) -> None:
    """See that it ends with the words for a break, once, and with no proper end."""
    frames = [frame for _, frame in Splitter().feed(received) if frame is not None]
    values: list[dict[str, Any]] = [{} if frame.data == DONE else json.loads(frame.data) for frame in frames]
    last = values[-1]
    match name:
        case "chat":
            assert last["error"]["code"] == "outcome_unknown"
            assert DONE not in [frame.data for frame in frames]
        case "messages":
            assert (frames[-1].event, last["type"], last["error"]["type"]) == ("error", "error", "timeout_error")
            assert "message_stop" not in [frame.event for frame in frames]
        case "content":
            assert last["error"]["code"] >= 500
            assert b"finishReason" not in received
        case _:
            assert [value["type"] for value in values[-2:]] == ["response.failed", "error"]
            assert "response.completed" not in [value["type"] for value in values]
    said = [value for value in values if value.get("error") and value.get("type") != "response.failed"]
    assert len(said) == 1


@pytest.mark.parametrize("how", BREAKS)
async def test_a_break_after_the_first_byte_is_told_and_what_came_is_charged(folder: Path, how: str) -> None:
    async with opened(folder, three, stall_timeout_s=0.15, total_timeout_s=0.6) as house:
        for count, (name, (path, body, frames)) in enumerate(CALLS.items(), 1):
            house.vendor.will(stream(*frames, then=BREAKS[how]))
            reply = await house.post(path, body)
            assert (reply.status, reply.body.startswith(b"".join(frames))) == (200, True)
            _check_error(name, reply.body)
            usage = await house.usage(count)
            assert (usage.outcome, usage.attempts) == ("cut", 1)
            assert 35 <= usage.meters["output_token"] <= 50, name
            assert usage.meters["input_token"] > 0
            assert usage.price_nanos == sum(
                usage.meters[meter] * price for meter, price in (("input_token", 1_000), ("output_token", 2_000))
            )


async def test_an_error_frame_of_the_vendors_is_told_once_in_our_words(house: House) -> None:
    frames = events(chunk("Hi there"), done=False)
    error = events(
        {"error": {"message": "engine died at 10.0.0.7 with sk-secretsecretsecret", "code": 500}}, done=False
    )
    house.vendor.will(stream(*frames, *error))
    reply = await house.chat(stream=True)
    assert reply.body.startswith(frames[0])
    assert reply.body.count(b'"error"') == 1
    assert b"sk-secret" not in reply.body
    assert (await house.usage()).outcome == "cut"


# --- callers that leave ----------------------------------------------------------------------------------------


async def test_a_caller_that_leaves_a_stream_ends_the_vendors_work_and_pays_for_what_came(house: House) -> None:
    left = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await hang(exchange)
        left.set()

    house.vendor.will(stream(*events(chunk(UNMISTAKABLE), done=False), then=endless))
    response = await house.posting("/v1/chat/completions", chat_body(stream=True))
    await response.content.readany()
    response.close()
    async with asyncio.timeout(1):
        await left.wait()
    usage = await house.usage()
    assert (usage.outcome, usage.price_nanos > 35 * PER_OUTPUT) == ("cut", True)


async def test_a_caller_that_leaves_before_the_reply_ends_the_vendors_work_and_pays_nothing(house: House) -> None:
    left = asyncio.Event()

    async def thinking(exchange: Exchange) -> None:
        await hang(exchange)
        left.set()

    house.vendor.will(thinking)
    calling = asyncio.ensure_future(house.chat())  # noqa: TID251 - cancelled right here

    async def asked() -> bool:
        return bool(house.vendor.seen)

    await soon(asked)
    calling.cancel()
    async with asyncio.timeout(1):
        await left.wait()
    usage = await house.usage()
    assert (usage.outcome, usage.price_nanos) == ("cancelled", 0)


async def test_a_reply_that_is_no_stream_is_given_whole(house: House) -> None:
    house.vendor.will(answer(completion()))
    reply = await house.chat(stream=True)
    assert (reply.headers["content-type"], reply.json["object"]) == ("application/json", "chat.completion")
    assert (await house.usage()).outcome == "succeeded"
