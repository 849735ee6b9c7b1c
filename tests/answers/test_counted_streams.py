"""Streams whose vendor tells no usage, or told it before the answer came: what is charged is what came."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import CLAUDE, GEMINI, HELLO, MODEL, House, chat_body, chunk, opened, three, usage_chunk
from tests.answers.vendor import Script, cut, events, named_events, stream

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
WORDS = 4_000
FILLER = "x" * 1_000
"""Beside each word, as logprobs are: the stream is several times as long as what is kept of it."""
TEXT = " word" * 1_000
EARLY = {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101}
LATE = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}


def claude_started(output: int = 1) -> list[dict[str, Any]]:
    usage = {"input_tokens": 100, "output_tokens": output}
    message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": CLAUDE, "content": []}
    return [
        {"type": "message_start", "message": {**message, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]


def claude_said(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}, **fields}


def claude_stopped(**fields: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": delta, **fields},
        {"type": "message_stop"},
    ]


def body_for(path: str, **fields: Any) -> dict[str, Any]:
    if path == MESSAGES:
        return {"model": CLAUDE, "messages": HELLO, "max_tokens": 9_000, "stream": True, **fields}
    return chat_body(stream=True, **fields)


async def output_of(house: House, path: str, frames: Iterable[bytes], then: Script | None = None, **fields: Any) -> int:
    house.vendor.will(stream(b"".join(frames), then=then))
    await house.post(path, body_for(path, **fields))
    return (await house.usage()).meters["output_token"]


# --- longer than what is kept -------------------------------------------------------------------------------


LONG: dict[str, tuple[str, list[bytes]]] = {
    "chat": (CHAT, events(*[chunk(" word", filler=FILLER)] * WORDS, done=False)),
    "messages": (MESSAGES, named_events([*claude_started(), *[claude_said(" word", filler=FILLER)] * WORDS])),
}


@pytest.mark.parametrize("name", LONG)
async def test_all_of_a_long_stream_that_was_cut_is_charged(folder: Path, name: str) -> None:
    async with opened(folder, three) as house:
        path, frames = LONG[name]
        assert WORDS * 0.99 <= await output_of(house, path, frames, cut) <= WORDS * 1.01


async def test_all_of_a_long_stream_without_a_count_is_charged(house: House) -> None:
    frames = [*LONG["chat"][1], *events(chunk(finish="stop"))]
    assert WORDS * 0.99 <= await output_of(house, CHAT, frames) <= WORDS * 1.01


async def test_a_frame_too_large_to_be_kept_leaves_room_for_the_words_behind_it(house: House) -> None:
    picture = chunk(images=[{"image_url": {"url": "data:image/png;base64," + "A" * 2_000_000}}])
    frames = events(chunk(" word"), picture, *[chunk(" word")] * 99, done=False)
    assert 100 <= await output_of(house, CHAT, frames, cut) <= 102


# --- told too early -----------------------------------------------------------------------------------------


TOLD_EARLY: dict[str, tuple[str, list[bytes]]] = {
    "messages": (MESSAGES, named_events([*claude_started(), claude_said(TEXT), *claude_stopped()])),
    "chat": (CHAT, events(chunk("", usage=EARLY), chunk(TEXT), chunk(finish="stop"))),
    "chat, the end beside the text": (CHAT, events(chunk("", usage=EARLY), chunk(TEXT, finish="stop"))),
}


@pytest.mark.parametrize("name", TOLD_EARLY)
async def test_a_usage_told_before_the_text_is_not_the_last_word(folder: Path, name: str) -> None:
    async with opened(folder, three) as house:
        assert 990 <= await output_of(house, *TOLD_EARLY[name]) <= 1_010
        usage = await house.usage()
        assert (usage.outcome, usage.meters["input_token"]) == ("succeeded", 100)


async def test_a_usage_told_before_the_text_is_not_the_last_word_of_a_translated_stream(folder: Path) -> None:
    async with opened(folder, three) as house:
        frames = TOLD_EARLY["messages"][1]
        assert 990 <= await output_of(house, CHAT, frames, model=CLAUDE) <= 1_010


def _told_at_the_end() -> dict[str, tuple[str, list[bytes]]]:
    usage = {"output_tokens": 7}
    return {
        "messages": (MESSAGES, named_events([*claude_started(), claude_said(TEXT), *claude_stopped(usage=usage)])),
        "chat, with the end": (CHAT, events(chunk(TEXT), chunk(finish="stop", usage=LATE))),
        "chat, behind the end": (CHAT, events(chunk(TEXT), chunk(finish="stop"), usage_chunk(LATE))),
        "chat, without a finish reason": (CHAT, events(chunk(TEXT), usage_chunk(LATE))),
        "chat, twice": (CHAT, events(chunk("", usage=EARLY), chunk(TEXT), chunk(finish="stop"), usage_chunk(LATE))),
    }


@pytest.mark.parametrize("name", _told_at_the_end())
async def test_a_usage_told_at_the_end_is_the_last_word(folder: Path, name: str) -> None:
    async with opened(folder, three) as house:
        assert await output_of(house, *_told_at_the_end()[name]) == 7


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
async def test_a_usage_told_at_the_end_is_the_last_word_of_a_translated_stream(folder: Path, path: str) -> None:
    other, model = (CHAT, CLAUDE) if path == MESSAGES else (MESSAGES, MODEL)
    frames = _told_at_the_end()["messages" if path == MESSAGES else "chat, behind the end"][1]
    async with opened(folder, three) as house:
        assert await output_of(house, other, frames, model=model) == 7


async def test_a_usage_told_with_geminis_last_chunk_is_the_last_word(folder: Path) -> None:
    said = {"index": 0, "content": {"role": "model", "parts": [{"text": TEXT}]}}
    counted = {"promptTokenCount": 100, "candidatesTokenCount": 7, "totalTokenCount": 107}
    last = {"index": 0, "content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP"}
    frames = events({"candidates": [said]}, {"candidates": [last], "usageMetadata": counted}, done=False)
    async with opened(folder, three) as house:
        house.vendor.will(stream(*frames))
        body = {"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]}
        await house.post(f"/v1beta/models/{GEMINI}:streamGenerateContent?alt=sse", body)
        assert (await house.usage()).meters["output_token"] == 7
