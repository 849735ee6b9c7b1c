"""Odd parts of answers, pictures, calls and thoughts: what a caller gets of them, and what is charged."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import (
    CLAUDE,
    GEMINI,
    MODEL,
    House,
    chunk,
    completion,
    opened,
    three,
    two,
    usage_chunk,
)
from tests.answers.odd import (
    CALL,
    CHAT,
    CONTENT,
    FULL,
    GIVEN,
    MESSAGES,
    PICTURE,
    RESPONSES,
    body_for,
    candidate,
    ending,
    piece,
    told,
    values_of,
)
from tests.answers.vendor import answer, events

# --- pictures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("picture", [PICTURE, {"image_url": {"detail": "x"}}, {"image_url": 5}], ids=repr)
async def test_a_picture_that_cannot_be_read_is_the_vendors_fault(folder: Path, picture: dict[str, Any]) -> None:
    odd = completion()
    odd["choices"][0]["message"]["images"] = [picture]
    async with opened(folder, two) as house:
        house.vendor.will(answer(odd))
        house.second.will(answer(completion("Fine.")))
        reply = await house.post(MESSAGES, body_for(MESSAGES, streams=False))
        assert reply.json["content"] == [{"type": "text", "text": "Fine."}]
        assert (await house.usage()).attempts == 2


@pytest.mark.parametrize("path", [MESSAGES, CONTENT % MODEL])
async def test_a_picture_that_cannot_be_read_ends_a_stream_with_an_error(house: House, path: str) -> None:
    received = await told(house, path, *events(chunk("Hello "), done=False), then=ending(piece({"images": [PICTURE]})))
    assert "error" in values_of(received)[-1]
    assert (await house.usage()).outcome == "cut"


async def test_a_picture_that_only_its_vendor_has_ends_a_stream_with_an_error(folder: Path) -> None:
    async with opened(folder, three) as house:
        file = {"fileData": {"mimeType": "image/png", "fileUri": "files/abc"}}
        last = {"candidates": [{"content": {"role": "model", "parts": [file]}, "finishReason": "STOP"}]}
        received = await told(house, CHAT, *events(candidate("Hello "), done=False), then=ending(last), model=GEMINI)
        assert values_of(received)[-1]["error"]["code"] == "not_conveyed"


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_an_odd_picture_passes_in_its_own_format_and_the_words_are_counted(
    house: House, *, streams: bool
) -> None:
    if streams:
        frames = events(chunk("word " * 40), piece({"images": [PICTURE]}), chunk(finish="stop"))
        assert (await told(house, CHAT, *frames)) == b"".join(frames)
    else:
        odd = completion("word " * 40, usage=None)
        odd["choices"][0]["message"]["images"] = [PICTURE]
        house.vendor.will(answer(odd))
        assert (await house.chat()).json == odd
    usage = await house.usage()
    assert usage.outcome == "succeeded"
    assert 35 <= usage.meters["output_token"] <= 60


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_a_picture_among_the_parts_of_an_answer_is_conveyed(house: House, *, streams: bool) -> None:
    link = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    content = [{"type": "text", "text": "Here:"}, link]
    if streams:
        received = await told(house, CONTENT % MODEL, *events(piece({"content": content}), chunk(finish="stop")))
        values = values_of(received)
    else:
        whole = completion()
        whole["choices"][0]["message"]["content"] = content
        house.vendor.will(answer(whole))
        values = [(await house.post(f"/v1beta/models/{MODEL}:generateContent", GIVEN)).json]
    parts = [part for value in values for part in value["candidates"][0]["content"]["parts"]]
    assert parts[:2] == [{"text": "Here:"}, {"fileData": {"fileUri": "https://example.com/a.png"}}]


# --- calls --------------------------------------------------------------------------------------------------


def _calling(arguments: Any, finish: str) -> dict[str, Any]:
    call = {**CALL, "function": {"name": "f", "arguments": arguments}}
    message = {"role": "assistant", "content": "Well", "tool_calls": [call]}
    return completion(choices=[{"index": 0, "message": message, "finish_reason": finish}])


@pytest.mark.parametrize(
    ("finish", "stop_reason", "finish_reason"),
    [
        pytest.param("length", "max_tokens", "MAX_TOKENS", id="by the greatest length"),
        pytest.param("content_filter", "refusal", "SAFETY", id="by moderation"),
    ],
)
async def test_a_call_that_was_cut_short_is_left_out(
    house: House, finish: str, stop_reason: str, finish_reason: str
) -> None:
    house.vendor.will(answer(_calling('{"a": "lon', finish)))
    message = (await house.post(MESSAGES, body_for(MESSAGES, streams=False))).json
    assert (message["content"], message["stop_reason"]) == ([{"type": "text", "text": "Well"}], stop_reason)
    content = (await house.post(f"/v1beta/models/{MODEL}:generateContent", GIVEN)).json["candidates"][0]
    assert (content["content"]["parts"], content["finishReason"]) == ([{"text": "Well"}], finish_reason)
    call = piece({"tool_calls": [{"index": 0, **CALL, "function": {"name": "f", "arguments": '{"a'}}]})
    streamed = await told(house, CONTENT % MODEL, *events(chunk("Well"), call, chunk(finish=finish), usage_chunk()))
    assert [value["candidates"][0].get("finishReason") for value in values_of(streamed)] == [None, finish_reason]
    assert (await house.usage(3)).price_nanos == FULL


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_arguments_that_are_an_object_are_conveyed(house: House, *, streams: bool) -> None:
    if streams:
        call = piece({"tool_calls": [{"index": 0, **CALL, "function": {"name": "f", "arguments": {"a": 1}}}]})
        values = values_of(await told(house, MESSAGES, *events(call, chunk(finish="tool_calls"))))
        said = [value["delta"]["partial_json"] for value in values if value["type"] == "content_block_delta"]
        assert [json.loads(text) for text in said] == [{"a": 1}]
    else:
        house.vendor.will(answer(_calling({"a": 1}, "tool_calls")))
        message = (await house.post(MESSAGES, body_for(MESSAGES, streams=False))).json
        assert message["content"][1]["input"] == {"a": 1}


# --- thoughts -----------------------------------------------------------------------------------------------

THINKING = {"type": "thinking", "thinking": "", "signature": "EqQBCgIYAhIM=="}
HIDDEN = {"type": "redacted_thinking", "data": "EmwKAhgB"}


@pytest.mark.parametrize("thought", [THINKING, HIDDEN], ids=["without words", "hidden"])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "handed back"])
async def test_a_thought_goes_back_to_anthropic_as_it_came(
    folder: Path, thought: dict[str, Any], *, kept: bool
) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
    usage = {"input_tokens": 5, "output_tokens": 5}
    message = {"id": "m", "type": "message", "role": "assistant", "model": CLAUDE, "content": [thought, use]}
    async with opened(folder, three) as house:
        house.vendor.will(answer({**message, "stop_reason": "tool_use", "usage": usage}))
        tools: list[Any] = [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]
        asked: dict[str, Any] = {
            "model": CLAUDE,
            "tools": tools,
            "max_output_tokens": 4000,
            "reasoning": {"effort": "high"},
        }
        first = (await house.post(RESPONSES, {**asked, "input": "Hello"})).json
        result = {"type": "function_call_output", "call_id": "toolu_1", "output": "42"}
        if kept:
            await house.post(RESPONSES, {**asked, "input": [result], "previous_response_id": first["id"]})
        else:
            said = [{"role": "user", "content": "Hello"}, *first["output"], result]
            await house.post(RESPONSES, {**asked, "input": said})
        assert house.vendor.last.json["messages"][1]["content"] == [thought, use]
