"""Vendors that are close to a format: what a caller gets of them, and what is charged."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.answers.house import (
    CLAUDE,
    GEMINI,
    HELLO,
    MODEL,
    USAGE,
    House,
    chunk,
    completion,
    opened,
    three,
    two,
    usage_chunk,
)
from tests.answers.odd import (
    ARRAY,
    CALL,
    CHAT,
    CONTENT,
    ERROR,
    FULL,
    MESSAGES,
    RESPONSES,
    body_for,
    candidate,
    piece,
    told,
    values_of,
)
from tests.answers.vendor import NESTED, Exchange, Script, answer, cut, events, named_events, reset

from halley.settings import PriceConfig

# --- ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("then", [cut, reset, Exchange.end], ids=["cut", "reset", "closed"])
async def test_an_empty_finish_reason_is_no_end(house: House, then: Script) -> None:
    frames = events(piece({"content": "Hel"}, ""), piece({"content": "lo wor"}, ""), done=False)
    received = await told(house, CHAT, *frames, then=then)
    assert values_of(received)[-1]["error"]["code"] == "outcome_unknown"
    assert (await house.usage()).outcome == "cut"


async def test_an_end_that_is_told_twice_is_the_end_of_one_answer(house: House) -> None:
    ended = [piece({"content": "a"}), piece({"content": "b"}, index=1), piece({}, "stop"), piece({}, "stop")]
    received = await told(house, CHAT, *events(*ended, done=False), then=cut, n=2)
    assert "error" in values_of(received)[-1]
    assert (await house.usage()).outcome == "cut"


@pytest.mark.parametrize(
    "last",
    [
        pytest.param([candidate("a", finishReason=None)], id="null"),
        pytest.param([candidate("a", finishReason="FINISH_REASON_UNSPECIFIED")], id="not specified"),
        pytest.param([candidate("a", 0, finishReason="STOP"), candidate("b", 1)], id="the other goes on"),
        pytest.param(
            [
                {
                    "candidates": [
                        {"content": {"parts": [{"functionCall": {"name": "f", "args": {"finishReason": "x"}}}]}}
                    ]
                }
            ],
            id="an argument",
        ),
        pytest.param(
            [{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"blockReason": "x"}}}]}}]}],
            id="another",
        ),
    ],
)
async def test_what_looks_like_geminis_end_is_none(folder: Path, last: list[Any]) -> None:
    async with opened(folder, three) as house:
        config = {"candidateCount": len(last)}
        received = await told(house, CONTENT % GEMINI, *events(*last, done=False), then=cut, generationConfig=config)
        assert values_of(received)[-1]["error"]["code"] == 504
        assert (await house.usage()).outcome == "cut"


@pytest.mark.parametrize(
    ("came", "outcome"),
    [
        pytest.param([candidate("a"), candidate("b", finishReason="STOP")], "succeeded", id="one"),
        pytest.param(
            [candidate("a", 0), candidate("b", 2, finishReason="STOP"), candidate("c", 0, finishReason="STOP")],
            "succeeded",
            id="two",
        ),
        pytest.param([candidate("a", 0, finishReason="STOP"), candidate("b", 1)], "cut", id="the other goes on"),
        pytest.param([candidate("a")], "cut", id="none ended"),
        pytest.param([{"usageMetadata": {"promptTokenCount": 5}}], "cut", id="none came"),
    ],
)
async def test_fewer_candidates_than_gemini_was_asked_for_are_all_once_it_closes(
    folder: Path, came: list[Any], outcome: str
) -> None:
    async with opened(folder, three) as house:
        frames = events(*came, done=False)
        received = await told(house, CONTENT % GEMINI, *frames, generationConfig={"candidateCount": 3})
        assert received.startswith(b"".join(frames))
        assert ("error" in values_of(received)[-1]) == (outcome == "cut")
        usage = await house.usage()
        assert usage.outcome == outcome
        assert outcome == "cut" or usage.meters["output_token"] == 5


async def test_fewer_candidates_than_gemini_was_asked_for_are_not_all_when_it_is_cut(folder: Path) -> None:
    async with opened(folder, three) as house:
        frames = events(candidate("a", finishReason="STOP"), done=False)
        received = await told(house, CONTENT % GEMINI, *frames, then=cut, generationConfig={"candidateCount": 2})
        assert "error" in values_of(received)[-1]


async def test_a_chat_whose_chunks_have_a_type_of_null_ends(house: House) -> None:
    frames = events(chunk("Hi", type=None), chunk(finish="stop", type=None), usage_chunk(), done=False)
    assert "error" not in values_of(await told(house, CHAT, *frames))[-1]
    assert (await house.usage()).outcome == "succeeded"


async def test_a_type_that_is_no_text_is_no_end(house: House) -> None:
    frames = events({"type": ["response.completed"], "x": "response.completed"}, done=False)
    assert "error" in values_of(await told(house, RESPONSES, *frames))[-1]


async def test_a_prompt_that_gemini_blocks_is_answered(folder: Path) -> None:
    async with opened(folder, three) as house:
        frames = events({"promptFeedback": {"blockReason": "SAFETY"}}, done=False)
        received = await told(house, CONTENT % GEMINI, *frames, then=cut)
        assert received == b"".join(frames)


def _response(*last: dict[str, Any]) -> list[dict[str, Any]]:
    response: dict[str, Any] = {"id": "resp_1", "object": "response", "status": "in_progress", "model": MODEL}
    response |= {"output": [], "error": None, "instructions": "Be brief"}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item: dict[str, Any] = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    said: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_text.delta", "delta": "Hi", **at},
        *({**one, "response": {**response, **one["response"]}} for one in last),
    ]
    return [{**event, "sequence_number": number + 4} for number, event in enumerate(said)]


COUNTED = {"usage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}}


@pytest.mark.parametrize("then", [cut, Exchange.end], ids=["cut", "closed"])
async def test_events_that_are_named_in_their_data_alone_end_a_response(house: House, then: Script) -> None:
    done = {"type": "response.completed", "response": {"status": "completed", **COUNTED}}
    frames = events(*_response(done), done=False)
    assert (await told(house, RESPONSES, *frames, then=then)) == b"".join(frames)
    usage = await house.usage()
    assert (usage.outcome, usage.price_nanos) == ("succeeded", FULL)


async def test_a_message_ends_with_an_event_that_is_named_in_its_data_alone(folder: Path) -> None:
    async with opened(folder, three) as house:
        message: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": CLAUDE}
        start: dict[str, Any] = {
            "type": "message_start",
            "message": {**message, "usage": {"input_tokens": 3, "output_tokens": 1}},
        }
        frames = events(start, {"type": "message_stop"}, done=False)
        assert (await told(house, MESSAGES, *frames, then=cut, model=CLAUDE)) == b"".join(frames)
        assert (await house.usage()).outcome == "succeeded"


@pytest.mark.parametrize("path", [CHAT, MESSAGES, CONTENT % MODEL])
@pytest.mark.parametrize("then", [cut, reset, Exchange.end], ids=["cut", "reset", "closed"])
async def test_half_a_frame_behind_the_end_breaks_nothing(house: House, path: str, then: Script) -> None:
    frames = b"".join(events(chunk("Hello"), chunk(finish="stop"), done=False))
    received = await told(house, path, frames + b'data: {"id":"x","choices":[],"usa', then=then)
    assert b"error" not in received
    assert (await house.usage()).outcome == "succeeded"


async def test_done_without_a_finish_reason_ends_every_answer(house: House) -> None:
    call = piece({"tool_calls": [{"index": 0, **CALL}]})
    frames = events(chunk("Hello"), call, usage_chunk())
    received = await told(house, CONTENT % MODEL, *frames)
    parts = [part for value in values_of(received) for part in value["candidates"][0]["content"]["parts"]]
    assert [part["functionCall"]["args"] for part in parts if "functionCall" in part] == [{"a": 1}]
    assert values_of(received)[-1]["candidates"][0]["finishReason"] == "STOP"
    message = values_of(await told(house, MESSAGES, *frames))
    kinds = [value["type"] for value in message]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 2
    assert message[-2]["delta"]["stop_reason"] == "tool_use"


# --- faults -------------------------------------------------------------------------------------------------


async def malformed(exchange: Exchange) -> None:
    await exchange.piece(b"data: {no json\n\n")
    await exchange.end()


@pytest.mark.parametrize("named", [True, False], ids=["named", "data only"])
@pytest.mark.parametrize("then", [cut, malformed], ids=["cut", "malformed"])
async def test_a_broken_response_fails_under_its_own_id(house: House, then: Script, *, named: bool) -> None:
    frames = named_events(_response()) if named else events(*_response(), done=False)
    values = values_of(await told(house, RESPONSES, *frames, then=then))
    assert [value["type"] for value in values[3:]] == ["response.failed", "error"]
    assert [value["sequence_number"] for value in values] == [4, 5, 6, 7, 8]
    failed = values[3]["response"]
    assert (failed["id"], failed["status"], failed["instructions"]) == ("resp_1", "failed", "Be brief")
    assert failed["error"]["code"] == "server_error"


async def test_a_response_that_failed_is_charged_by_its_vendors_count(house: House) -> None:
    error = {"code": "server_error", "message": "it broke"}
    failed = {"type": "response.failed", "response": {"status": "failed", "error": error, **COUNTED}}
    values = values_of(await told(house, RESPONSES, *named_events(_response(failed))))
    assert [value["type"] for value in values[3:]] == ["response.failed", "error"]
    assert {value["response"]["id"] for value in values if "response" in value} == {"resp_1"}
    usage = await house.usage()
    assert (usage.outcome, usage.price_nanos) == ("cut", FULL)


KINDS: dict[str, dict[str, Any]] = {
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": "Hello"},
    "/v1/images/generations": {"model": "dall-e-3", "prompt": "a cat"},
    "/v1/audio/speech": {"model": "tts-1", "input": "Hello", "voice": "alloy"},
    "/v1/moderations": {"model": "omni-moderation-latest", "input": "Hello"},
    "/v1/chat/completions": {"model": MODEL, "messages": HELLO},
}
PER_CALL = tuple(PriceConfig(model=body["model"], meters={"call": "1"}) for body in KINDS.values())


@pytest.mark.parametrize("path", KINDS)
async def test_an_error_with_status_200_is_no_answer_and_another_channel_is_asked(folder: Path, path: str) -> None:
    async with opened(folder, two, prices=PER_CALL) as house:
        house.vendor.will(answer(ERROR))
        house.second.will(answer({"data": [{"embedding": [1.0]}], "choices": completion()["choices"], "usage": USAGE}))
        assert "data" in (await house.post(path, KINDS[path])).json
        house.second.will(answer(ERROR))
        refused = await house.post(path, KINDS[path])
        assert (refused.status, refused.json["error"]["code"]) == (502, "vendor_failed")
        assert [(row.outcome, row.attempts) for row in await house.usages()] == [("succeeded", 2), ("failed", 2)]


@pytest.mark.parametrize("straight", [True, False])
@pytest.mark.parametrize("more", [{}, {"choices": []}], ids=["bare", "without choices"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_an_error_with_status_200_that_counts_something_is_no_answer_either(
    folder: Path, path: str, more: dict[str, Any], *, straight: bool
) -> None:
    async with opened(folder, two) as house:
        house.vendor.will(answer({**ERROR, **more, "usage": USAGE}))
        house.second.will(answer(completion()))
        headers = {} if straight else {"idempotency-key": "k"}
        assert (await house.post(path, body_for(path, streams=False), headers=headers)).status == 200
        assert [(row.outcome, row.attempts, row.price_nanos) for row in await house.usages()] == [
            ("succeeded", 2, FULL)
        ]


async def test_a_response_that_failed_is_given_as_it_is_and_charged_by_its_vendors_count(house: House) -> None:
    failed: dict[str, Any] = {
        "object": "response",
        "id": "resp_1",
        "status": "failed",
        "error": ERROR["error"],
        "output": [],
    }
    house.vendor.will(answer({**failed, **COUNTED}))
    told = await house.post(RESPONSES, {**body_for(RESPONSES, streams=False), "store": False})
    assert (told.status, told.json["status"]) == (200, "failed")
    assert (await house.usage()).price_nanos == FULL


async def test_embeddings_without_vectors_are_no_answer(folder: Path) -> None:
    async with opened(folder, prices=PER_CALL) as house:
        house.vendor.will(answer({"message": "no", "code": 50_501}))
        assert (await house.post("/v1/embeddings", KINDS["/v1/embeddings"])).status == 502
        assert (await house.usage()).price_nanos == 0


async def test_an_error_field_beside_an_answer_is_the_vendors_business(folder: Path) -> None:
    async with opened(folder, prices=PER_CALL) as house:
        whole = {"data": [{"url": "https://example.com/a.png"}], "error": {"code": None}}
        house.vendor.will(answer(whole))
        assert (await house.post("/v1/images/generations", KINDS["/v1/images/generations"])).json == whole


async def nested(exchange: Exchange) -> None:
    await exchange.piece(b"data: " + NESTED + b"\n\n")
    await exchange.end()


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES, CONTENT % MODEL])
async def test_an_answer_that_is_nested_too_deeply_is_one_that_cannot_be_read(house: House, path: str) -> None:
    whole, errors = path.replace(":streamGenerateContent?alt=sse", ":generateContent"), list[dict[str, Any]]()
    for count, body in enumerate((b'{"choices": [', NESTED), 1):
        house.vendor.will(answer(body))
        reply = await house.post(whole, body_for(path, streams=False))
        errors.append({**reply.json["error"], "status": reply.status, "request_id": "", "details": ()})
        usage = await house.usage(count)
        assert (usage.outcome, usage.price_nanos) == ("lost", 0)
        assert usage.exposure_nanos > 0
    assert errors[0] == errors[1]
    assert errors[0]["status"] >= 500


@pytest.mark.parametrize("path", [CHAT, MESSAGES, CONTENT % MODEL])
async def test_a_frame_that_is_nested_too_deeply_ends_a_stream_with_an_error(house: House, path: str) -> None:
    received = await told(house, path, *events(chunk("Hello "), done=False), then=nested)
    assert values_of(received)[-1]["error"]["code"] in ("outcome_unknown", 504)
    usage = await house.usage()
    assert (usage.outcome, usage.meters["output_token"]) == ("cut", 2)


# --- spelling -----------------------------------------------------------------------------------------------

EMOJI = [
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a \\ud83d"},"finish_reason":null}]}\n\n',
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"\\ude00 b"},"finish_reason":null}]}\n\n',
]


async def test_a_character_that_is_cut_in_two_passes_and_is_put_together_for_others(house: House) -> None:
    frames = [*EMOJI, *events(chunk(finish="stop"))]
    assert (await told(house, CHAT, *frames)) == b"".join(frames)
    values = values_of(await told(house, CONTENT % MODEL, *frames))
    parts = [part["text"] for value in values for part in value["candidates"][0]["content"]["parts"]]
    assert "".join(parts) == "a 😀 b"
    usages = [await house.usage(2), *await house.usages()]
    assert {row.outcome for row in usages} == {"succeeded"}
    assert len({row.meters["output_token"] for row in usages}) == 1


async def test_half_a_character_in_a_whole_answer_breaks_nothing(house: House) -> None:
    data = json.dumps(completion("a \ud83d b")).encode()
    house.vendor.will(answer(data))
    assert (await house.chat()).body == data
    message = (await house.post(MESSAGES, body_for(MESSAGES, streams=False))).json
    assert message["content"][0]["text"] == "a \ufffd b"
    assert (await house.usage(2)).price_nanos == FULL


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_a_response_with_half_a_character_is_kept(house: House, *, streams: bool) -> None:
    done = {"type": "response.completed", "response": {"status": "completed", "instructions": "\ud83d", **COUNTED}}
    frames = named_events(_response(done))
    if streams:
        assert (await told(house, RESPONSES, *frames)) == b"".join(frames)
    else:
        house.vendor.will(answer(json.loads(frames[-1].partition(b"data: ")[2])["response"]))
        await house.post(RESPONSES, body_for(RESPONSES, streams=False))
    url = f"{house.rig.gateway.url}/v1/responses/resp_1"
    async with house.session.get(url, headers=house.headers) as response:
        assert (await response.json())["instructions"] == "\ufffd"


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param([b"data:\n\n"], id="no data"),
        pytest.param([b"data: \n\n"], id="a blank"),
        pytest.param([b"event: ping\ndata:\n\n"], id="an event without data"),
    ],
)
async def test_an_empty_frame_says_nothing(house: House, odd: list[bytes]) -> None:
    frames = [*events(chunk("Hello"), done=False), *odd, *events(chunk(" you"), chunk(finish="stop"))]
    assert (await told(house, CHAT, *frames)) == b"".join(frames)
    values = values_of(await told(house, MESSAGES, *frames))
    assert values[-1]["type"] == "message_stop"


async def test_done_may_have_blanks_behind_it(house: House) -> None:
    frames = [*events(chunk("a"), done=False), b"data: [DONE] \n\n"]
    assert (await told(house, CHAT, *frames)) == b"".join(frames)
    assert values_of(await told(house, MESSAGES, *frames))[-1]["type"] == "message_stop"


async def test_done_is_no_item_of_an_array(folder: Path) -> None:
    async with opened(folder, three) as house:
        received = await told(house, ARRAY % GEMINI, *events(candidate("Hi", finishReason="STOP")))
        assert json.loads(received) == [candidate("Hi", finishReason="STOP")]


async def test_a_byte_order_mark_costs_no_words(house: House) -> None:
    frames = [b"\xef\xbb\xbf", *events(chunk("Hello"), chunk(finish="stop"))]
    assert (await told(house, CHAT, *frames)) == b"".join(frames)
    assert b"Hello" in (await told(house, MESSAGES, *frames))


async def test_a_chunk_of_azures_filters_is_not_taken_for_the_usage(house: House) -> None:
    filters = {**usage_chunk(None), "prompt_filter_results": [{"prompt_index": 0}]}
    received = await told(house, CHAT, *events(filters, chunk("Hi"), chunk(finish="stop"), usage_chunk()))
    assert received == b"".join(events(filters, chunk("Hi"), chunk(finish="stop")))


@pytest.mark.parametrize(
    ("wanted", "text", "status"),
    [
        pytest.param("text", b'"Hello there"', 200, id="a string"),
        pytest.param("srt", b"1\n00:00:00,000 --> 00:00:01,000\nHello\n", 200, id="subtitles"),
        pytest.param("json", b"Hello there", 502, id="no JSON where JSON is wanted"),
    ],
)
async def test_a_transcript_that_is_labelled_json(folder: Path, wanted: str, text: bytes, status: int) -> None:
    prices = (PriceConfig(model="whisper-1", meters={"audio_second": "1"}),)
    async with opened(folder, prices=prices) as house:
        house.vendor.will(answer(text))
        form = aiohttp.FormData({"model": "whisper-1", "response_format": wanted})
        form.add_field("file", b"RIFF" * 4000, filename="a.wav", content_type="audio/wav")
        reply = await house.post("/v1/audio/transcriptions", form)
        assert (reply.status, reply.body == text) == (status, status == 200)
        assert ((await house.usage()).price_nanos > 0) == (status == 200)
