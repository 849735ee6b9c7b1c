"""What is billed beside the tokens, or in their place: searches, pictures, sound; whole, streamed and cut."""

import base64
from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import CLAUDE, GEMINI, HELLO, MODEL, chat_body, chunk, completion, opened, three
from tests.answers.vendor import answer, cut, events, named_events, stream

from halley.settings import PriceConfig

SEARCH = 10_000_000
"""The price of one, in nano-dollars."""
PRICE = {"input_token": "1", "output_token": "2", "web_search": "0.01"}
TEXT = [{"type": "text", "text": "It is."}]


def priced(*models: str, **meters: str) -> dict[str, Any]:
    return {"prices": tuple(PriceConfig(model=model, meters=meters or PRICE) for model in models)}


def message(**usage: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": TEXT,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 20, **usage},
    }


SEARCHED = {"server_tool_use": {"web_search_requests": 5}}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_searches_of_anthropics_are_charged(folder: Path, *, streams: bool) -> None:
    async with opened(folder, three, **priced(CLAUDE)) as house:
        start: dict[str, Any] = {**message(), "content": [], "stop_reason": None}
        delta = {
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 20, **SEARCHED},
        }
        frames = named_events(
            [
                {"type": "message_start", "message": start},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "It is."}},
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", **delta},
                {"type": "message_stop"},
            ]
        )
        house.vendor.will(stream(*frames) if streams else answer(message(**SEARCHED)))
        body = {"model": CLAUDE, "max_tokens": 100, "messages": HELLO, "stream": streams}
        assert (await house.post("/v1/messages", body)).status == 200
        row = await house.usage()
        assert row.meters["web_search"] == 5
        assert row.price_nanos == 100 * 1_000 + 20 * 2_000 + 5 * SEARCH


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_searches_of_a_response_are_charged(folder: Path, *, streams: bool) -> None:
    async with opened(folder, three, **priced(MODEL)) as house:
        searches = [
            {
                "type": "web_search_call",
                "id": f"ws_{kind}",
                "status": "completed",
                "action": {"type": kind, "query": "a"},
            }
            for kind in ("search", "open_page")
        ]
        said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        content: list[Any] = [{"type": "output_text", "text": '"type":"web_search_call"', "annotations": []}]
        response: dict[str, Any] = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": MODEL,
            "status": "completed",
            "output": [*searches, {**said, "content": content}],
            "usage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120},
        }
        frames = named_events(
            [
                {"type": "response.created", "sequence_number": 0, "response": {**response, "output": []}},
                {"type": "response.completed", "sequence_number": 1, "response": response},
            ]
        )
        house.vendor.will(stream(*frames) if streams else answer(response))
        reply = await house.post("/v1/responses", {"model": MODEL, "input": "Hi", "store": False, "stream": streams})
        assert reply.status == 200
        assert (await house.usage()).meters["web_search"] == 1


@pytest.mark.parametrize(("version", "searches"), [("gemini-2.5-flash", 1), ("gemini-3-pro", 3)])
async def test_searches_of_geminis_are_charged_by_prompt_or_by_query(folder: Path, version: str, searches: int) -> None:
    async with opened(folder, three, **priced(GEMINI)) as house:
        reply = {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"text": "It is."}]},
                    "finishReason": "STOP",
                    "index": 0,
                    "groundingMetadata": {"webSearchQueries": ["a", "b", "c"]},
                }
            ],
            "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120},
            "modelVersion": version,
        }
        house.vendor.will(answer(reply))
        body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
        assert (await house.post(f"/v1beta/models/{GEMINI}:generateContent", body)).status == 200
        assert (await house.usage()).meters["web_search"] == searches


@pytest.mark.parametrize("streams", [True, False])
async def test_odd_searches_of_geminis_take_nothing_from_its_count(folder: Path, *, streams: bool) -> None:
    async with opened(folder, three, **priced(GEMINI)) as house:
        said = {"content": {"role": "model", "parts": [{"text": "It is."}]}, "finishReason": "STOP", "index": 0}
        told = {
            "candidates": [{**said, "groundingMetadata": {"webSearchQueries": [None]}}],
            "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120},
        }
        house.vendor.will(stream(*events(told, done=False)) if streams else answer(told))
        call = "streamGenerateContent?alt=sse" if streams else "generateContent"
        body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
        assert (await house.post(f"/v1beta/models/{GEMINI}:{call}", body)).status == 200
        meters = (await house.usage()).meters
        assert (meters["input_token"], meters["output_token"]) == (100, 20)


async def test_searches_that_a_chat_counts_are_charged(folder: Path) -> None:
    async with opened(folder, **priced(MODEL)) as house:
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "num_search_queries": 2}
        house.vendor.will(
            answer(completion(usage=usage)), stream(*events(chunk("Hi"), chunk(finish="stop", usage=usage)))
        )
        assert (await house.post("/v1/chat/completions", chat_body())).status == 200
        assert (await house.usage(1)).meters["web_search"] == 2
        assert (await house.post("/v1/chat/completions", chat_body(stream=True))).status == 200
        assert (await house.usage(2)).meters["web_search"] == 2


def drawn(**usage: Any) -> dict[str, Any]:
    """What the tools of a response used."""
    counts = {"input_tokens": 1_050, "output_tokens": 6_240, "total_tokens": 7_290}
    details = {"input_tokens_details": {"image_tokens": 1_000, "text_tokens": 50}}
    return {"image_gen": {**counts, **details, **usage}, "web_search": {"num_requests": 2}}


def response(*calls: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": MODEL,
        "status": "completed",
        "output": [{"id": f"call_{place}", "status": "completed", **call} for place, call in enumerate(calls)],
        "usage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120},
        **fields,
    }


TOOLS_PRICE = {
    **PRICE,
    "file_search": "0.0025",
    "code_container": "0.03",
    "code_container@memory_limit=4g": "0.12",
    "drawing_input_token": "5",
    "drawing_image_input_token": "8",
    "cached_drawing_image_input_token": "2",
    "drawing_output_token": "30",
    "drawing_output_token@image_model=tiny": "3",
}
IMAGE: dict[str, Any] = {"type": "image_generation"}
CODE: dict[str, Any] = {"type": "code_interpreter", "container": {"type": "auto"}}
RAN = {"type": "code_interpreter_call", "container_id": "cntr_1"}
FOUND = {"type": "file_search_call"}
DRAWN = {"type": "image_generation_call", "result": "aGk="}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("tools", "reply", "meters", "nanos"),
    [
        (
            [IMAGE],
            response(DRAWN, tool_usage=drawn()),
            {"drawing_input_token": 50, "drawing_image_input_token": 1_000, "drawing_output_token": 6_240, "image": 1},
            50 * 5_000 + 1_000 * 8_000 + 6_240 * 30_000 + 2 * SEARCH,
        ),
        (
            [{**IMAGE, "model": "tiny"}],
            response(tool_usage=drawn(cached_tokens_details={"cached_text_tokens": 0, "cached_image_tokens": 400})),
            {"drawing_image_input_token": 600, "cached_drawing_image_input_token": 400},
            50 * 5_000 + 600 * 8_000 + 400 * 2_000 + 6_240 * 3_000 + 2 * SEARCH,
        ),
        ([CODE], response(RAN, RAN), {"code_container": 1}, 30_000_000),
        (
            [{**CODE, "container": {"type": "auto", "memory_limit": "4g"}}],
            response(RAN, {**RAN, "container_id": "cntr_2"}),
            {"code_container": 2},
            240_000_000,
        ),
        ([{"type": "file_search"}], response(FOUND, FOUND, FOUND), {"file_search": 3}, 7_500_000),
    ],
    ids=["pictures", "pictures of a named model", "code", "code in a larger container", "files"],
)
async def test_hosted_tools_of_a_response_are_charged(
    folder: Path,
    *,
    streams: bool,
    tools: list[dict[str, Any]],
    reply: dict[str, Any],
    meters: dict[str, int],
    nanos: int,
) -> None:
    async with opened(folder, three, **priced(MODEL, **TOOLS_PRICE)) as house:
        frames = named_events([{"type": "response.completed", "sequence_number": 0, "response": reply}])
        house.vendor.will(stream(*frames) if streams else answer(reply))
        body = {"model": MODEL, "input": "Hi", "store": False, "stream": streams, "tools": tools}
        assert (await house.post("/v1/responses", body)).status == 200
        row = await house.usage()
        assert row.meters.items() >= meters.items()
        assert row.price_nanos == 100 * 1_000 + 20 * 2_000 + nanos


async def test_hosted_tools_without_a_price_stand_in_the_usage(folder: Path) -> None:
    async with opened(folder, three, **priced(MODEL)) as house:
        house.vendor.will(answer(response(RAN, FOUND)))
        body = {"model": MODEL, "input": "Hi", "store": False, "tools": [CODE, {"type": "file_search"}]}
        assert (await house.post("/v1/responses", body)).status == 200
        row = await house.usage()
        assert (row.meters["code_container"], row.meters["file_search"]) == (1, 1)
        assert row.price_nanos == 100 * 1_000 + 20 * 2_000


SEARCHING = "gpt-4o-search-preview"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("told", "searches"), [({}, 1), ({"num_search_queries": 3}, 3)])
async def test_a_model_that_always_searches_has_searched(
    folder: Path, *, streams: bool, told: dict[str, int], searches: int
) -> None:
    async with opened(folder, **priced(SEARCHING)) as house:
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, **told}
        frames = events(chunk("Hi"), chunk(finish="stop", usage=usage))
        house.vendor.will(stream(*frames) if streams else answer(completion(usage=usage)))
        body = chat_body(model=SEARCHING, max_tokens=20, stream=streams)
        assert (await house.post("/v1/chat/completions", body)).status == 200
        row = await house.usage()
        assert row.meters["web_search"] == searches
        assert row.price_nanos == 100 * 1_000 + 20 * 2_000 + searches * SEARCH


async def test_a_search_that_broke_off_before_anything_was_counted_is_charged(folder: Path) -> None:
    async with opened(folder, **priced(SEARCHING)) as house:
        house.vendor.will(stream(*events(chunk("Hi"), done=False), then=cut))
        await house.post("/v1/chat/completions", chat_body(model=SEARCHING, stream=True))
        assert (await house.usage()).meters["web_search"] == 1


PICTURE = "gpt-image-1"


@pytest.mark.parametrize(("is_cut", "pictures"), [(False, 2), (True, 0)], ids=["complete", "cut"])
async def test_pictures_of_a_stream_are_charged_once_it_is_complete(
    folder: Path, *, is_cut: bool, pictures: int
) -> None:
    async with opened(folder, **priced(PICTURE, image="0.04")) as house:
        partial = {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": "aGk="}
        last = {"type": "image_generation.completed", "b64_json": "aGk="}
        frames = named_events([partial] if is_cut else [partial, last, last])
        house.vendor.will(stream(*frames, then=cut if is_cut else None))
        body = {"model": PICTURE, "prompt": "a cat", "n": 2, "stream": True}
        await house.post("/v1/images/generations", body)
        row = await house.usage()
        assert (row.meters["image"], row.price_nanos) == (pictures, pictures * 40_000_000)


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "in the data alone"])
@pytest.mark.parametrize("came", [0, 1, 2, 3, 9])
async def test_a_picture_that_breaks_off_is_charged_for_what_came_of_it_and_never_as_more_than_a_whole(
    folder: Path, came: int, *, is_named: bool
) -> None:
    async with opened(folder, **priced(PICTURE, input_token="5", image_output_token="40")) as house:
        partial = {"type": "image_generation.partial_image", "b64_json": "aGk=" * 400_000}
        begun = {"type": "image_generation.begun"}
        every = [begun, *[partial] * came]
        frames = named_events(every) if is_named else events(*every, done=False)
        house.vendor.will(stream(*frames, then=cut))
        body = {"model": PICTURE, "prompt": "a cat", "quality": "low", "size": "1024x1024", "stream": True}
        await house.post("/v1/images/generations", body)
        row = await house.usage()
        tokens = min(came * 100, 272)
        assert row.meters == {"call": 1, "image": 0, "input_token": 2, "image_output_token": tokens}
        assert row.price_nanos == 2 * 5_000 + tokens * 40_000


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        ({"quality": "low"}, 408),
        ({}, 1_584),
        ({"quality": "high"}, 6_240),
        ({"quality": "high", "size": "1024x1024"}, 4_160),
        ({"quality": "low", "size": "1536x1024"}, 400),
        ({"size": "1024x1536", "n": 2}, 3_168),
    ],
)
async def test_a_picture_whose_tokens_nobody_tells_is_charged_by_its_quality_and_size(
    folder: Path, asked: dict[str, Any], tokens: int
) -> None:
    async with opened(folder, **priced(PICTURE, input_token="5", image_output_token="40")) as house:
        house.vendor.will(answer({"created": 1, "data": [{"b64_json": "aGk="}] * asked.get("n", 1)}))
        await house.post("/v1/images/generations", {"model": PICTURE, "prompt": "a cat"} | asked)
        meters = (await house.usage()).meters
        assert (meters["input_token"], meters["image_output_token"]) == (2, tokens)


@pytest.mark.parametrize("count", [0, 2])
async def test_pictures_that_nobody_tells_the_tokens_of_are_charged_as_far_as_they_came(
    folder: Path, count: int
) -> None:
    async with opened(folder, **priced(PICTURE, input_token="5", image_output_token="40")) as house:
        house.vendor.will(answer({"created": 1, "data": [{"b64_json": "aGk="}] * count}))
        await house.post("/v1/images/generations", {"model": PICTURE, "prompt": "a cat", "n": 3})
        row = await house.usage()
        assert (row.meters["image"], row.meters["image_output_token"]) == (count, count * 1_584)


async def test_speech_in_events_is_charged_for_what_came(folder: Path) -> None:
    model = "gpt-4o-mini-tts"
    async with opened(folder, **priced(model, input_token="0.6", audio_output_token="12")) as house:
        sound = base64.b64encode(bytes(48_000 * 10)).decode()
        pieces = [sound[start : start + 60_000] for start in range(0, len(sound), 60_000)]
        frames = named_events([{"type": "speech.audio.delta", "audio": piece} for piece in pieces])
        house.vendor.will(stream(*frames, then=cut))
        body = {"model": model, "input": "Hello.", "voice": "alloy", "stream_format": "sse", "response_format": "pcm"}
        await house.post("/v1/audio/speech", body)
        assert (await house.usage()).meters["audio_output_token"] >= 10 * 20
