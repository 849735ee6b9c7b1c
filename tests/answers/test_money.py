"""Money: what is held, what is charged for which usage, and that reply, usage row and books say the same."""

import asyncio
import json
from collections.abc import Iterable, Mapping
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
    PRICE,
    House,
    chat_body,
    chunk,
    completion,
    one,
    opened,
    soon,
    three,
)
from tests.answers.vendor import Exchange, answer, events, named_events, stream

from halley.catalogue.prices import sync_prices
from halley.kernel.money import Nanos, dollars
from halley.pipeline.answers.meter import FILE_TOKENS
from halley.pipeline.reload import reload
from halley.settings import PriceConfig

FULL_PRICE = {
    "input_token": "1",
    "cached_input_token": "0.1",
    "audio_input_token": "10",
    "output_token": "2",
    "reasoning_token": "3",
    "audio_output_token": "20",
}
DETAILED = {
    "prompt_tokens": 1_000,
    "completion_tokens": 500,
    "total_tokens": 1_500,
    "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 50},
    "completion_tokens_details": {"reasoning_tokens": 300, "audio_tokens": 7},
}


def priced(model: str = MODEL, **meters: str) -> dict[str, Any]:
    """Settings with this price alone."""
    return {"prices": (PriceConfig(model=model, meters=meters),)}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_each_part_of_the_usage_has_its_meter_and_its_price(folder: Path, *, streams: bool) -> None:
    async with opened(folder, **priced(**FULL_PRICE)) as house:
        frames = events(chunk("Hi"), chunk(finish="stop", usage=DETAILED))
        house.vendor.will(stream(*frames) if streams else answer(completion(usage=DETAILED)))
        await house.chat(stream=streams)
        usage = await house.usage()
        assert {name: count for name, count in usage.meters.items() if count} == {
            "call": 1,
            "input_token": 350,
            "cached_input_token": 600,
            "audio_input_token": 50,
            "output_token": 193,
            "reasoning_token": 300,
            "audio_output_token": 7,
        }
        assert usage.price_nanos == 350_000 + 60_000 + 500_000 + 386_000 + 900_000 + 140_000


async def test_what_has_no_price_of_its_own_is_charged_as_its_kind(house: House) -> None:
    house.vendor.will(answer(completion(usage=DETAILED)))
    await house.chat()
    assert (await house.usage()).price_nanos == 1_000 * PER_INPUT + 500 * PER_OUTPUT


@pytest.mark.parametrize(("tokens", "nanos"), [(1_000, 1_000_000), (1_001, 3_003_000)])
async def test_a_larger_request_has_its_own_price(folder: Path, tokens: int, nanos: int) -> None:
    price = {"input_token": "1", "input_token@1000+": "3", "output_token": "0"}
    async with opened(folder, **priced(**price)) as house:
        usage = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
        house.vendor.will(answer(completion(usage=usage)))
        reply = await house.chat()
        assert (await house.usage()).price_nanos == nanos
        assert reply.headers["halley-cost"] == dollars(nanos)


async def test_fractions_of_a_nano_are_rounded_up_once(folder: Path) -> None:
    async with opened(folder, **priced(input_token="0.0001", output_token="0.0001")) as house:
        house.vendor.will(answer(completion(usage={"prompt_tokens": 3, "completion_tokens": 8, "total_tokens": 11})))
        assert (await house.chat()).headers["halley-cost"] == "0.000000002"
        assert (await house.usage()).price_nanos == 2


async def test_cost_in_the_header_is_what_the_row_and_the_books_say(house: House) -> None:
    house.vendor.will(answer(completion()))
    reply = await house.chat()
    usage = await house.usage()
    assert reply.headers["halley-cost"] == dollars(usage.price_nanos) == "0.00014"
    posted = await house.rig.world.db.read(
        lambda tx: tx.all("SELECT amount_nanos AS n FROM transfers WHERE kind IN ('post', 'excess')")
    )
    assert sum(int(row["n"]) for row in posted) == usage.price_nanos


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": 0}, "nonsense"], ids=str)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_without_usage_of_the_vendors_tokens_are_counted(house: House, usage: Any, *, streams: bool) -> None:
    text = "The quick brown fox jumps over the lazy dog"
    frames = events(chunk(text), chunk(finish="stop", usage=usage))
    house.vendor.will(stream(*frames) if streams else answer(completion(text, usage=usage)))
    assert (await house.chat(stream=streams)).status == 200
    row = await house.usage()
    assert row.outcome == "succeeded"
    assert 8 <= row.meters["output_token"] <= 11
    assert 2 <= row.meters["input_token"] <= 12
    assert row.price_nanos == row.meters["input_token"] * PER_INPUT + row.meters["output_token"] * PER_OUTPUT


FOX = "The quick brown fox jumps over the lazy dog"
UNTOLD: tuple[Any, ...] = (None, -1, 0, 0.5, "9")
BOTH: list[dict[str, Any]] = [{"total_tokens": 505}, {"prompt_tokens": 0.5, "completion_tokens": "9"}]


def one_sided(sent: str, written: str) -> list[dict[str, Any]]:
    """Usages of which one side is told, 500, and the other is not."""
    sides = [{sent: 500}, {written: 500}]
    return [*sides, *[{**side, name: n} for side, name in zip(sides, (written, sent), strict=True) for n in UNTOLD]]


def meets(meters: Mapping[str, int], told: Iterable[str]) -> bool:
    """Whether a call was counted as told, and what was not told by us: a greeting, and the fox."""
    sent, written = meters["input_token"], meters["output_token"]
    is_input = any(name.startswith(("prompt", "input")) for name in told)
    is_output = any(name.startswith(("completion", "output", "candidates")) for name in told)
    return (sent == 500 if is_input else 2 <= sent <= 12) and (written == 500 if is_output else 8 <= written <= 11)


def told_of(usage: Mapping[str, Any]) -> list[str]:
    return [name for name, count in usage.items() if count == 500]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_a_side_that_the_vendor_does_not_count_is_counted_and_the_other_stands(
    house: House, *, streams: bool
) -> None:
    for count, usage in enumerate([*one_sided("prompt_tokens", "completion_tokens"), *BOTH], 1):
        frames = events(chunk(FOX), chunk(finish="stop", usage=usage))
        house.vendor.will(stream(*frames) if streams else answer(completion(FOX, usage=usage)))
        assert (await house.chat(stream=streams)).status == 200
        row = await house.usage(count)
        assert meets(row.meters, told_of(usage)), (usage, row.meters)
        assert row.price_nanos == row.meters["input_token"] * PER_INPUT + row.meters["output_token"] * PER_OUTPUT


async def test_a_side_that_the_total_tells_is_told(house: House) -> None:
    told = ({"prompt_tokens": 500, "total_tokens": 700}, {"completion_tokens": 200, "total_tokens": 700})
    for count, usage in enumerate(told, 1):
        house.vendor.will(answer(completion(usage=usage)))
        await house.chat()
        row = await house.usage(count)
        assert (row.meters["input_token"], row.meters["output_token"]) == (500, 200)


@pytest.mark.parametrize("choices", [completion("")["choices"], []], ids=["no words", "no choices"])
async def test_an_answer_without_words_of_which_no_output_is_told_has_none(house: House, choices: list[Any]) -> None:
    usage = {"prompt_tokens": 500, "completion_tokens": 0}
    house.vendor.will(answer(completion(usage=usage, choices=choices)))
    assert (await house.chat()).status == 200
    row = await house.usage()
    assert (row.meters["input_token"], row.meters["output_token"]) == (500, 0)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 500}], ids=str)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_the_text_of_a_completion_is_counted(folder: Path, usage: Any, *, streams: bool) -> None:
    model = "gpt-3.5-turbo-instruct"
    async with opened(folder, **priced(model, **PRICE)) as house:
        choice = {"index": 0, "text": FOX, "finish_reason": "stop", "logprobs": {"tokens": ["The"] * 99}}
        body = {"object": "text_completion", "choices": [choice], "usage": usage}
        house.vendor.will(stream(*events(body)) if streams else answer(body))
        asked = {"model": model, "prompt": "Hello there", "stream": streams}
        assert (await house.post("/v1/completions", asked)).status == 200
        assert meets((await house.usage()).meters, usage or ())


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_side_that_anthropic_does_not_count_is_counted(folder: Path, path: str, *, streams: bool) -> None:
    message: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": CLAUDE}
    said = {"content": [{"type": "text", "text": FOX}], "stop_reason": "end_turn"}
    async with opened(folder, three) as house:
        for count, usage in enumerate([*one_sided("input_tokens", "output_tokens"), {}], 1):
            at_first, at_last = [
                {name: n for name, n in usage.items() if name == side} for side in ("input_tokens", "output_tokens")
            ]
            frames = named_events(
                [
                    {"type": "message_start", "message": {**message, "content": [], "usage": at_first}},
                    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": FOX}},
                    {"type": "content_block_stop", "index": 0},
                    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": at_last},
                    {"type": "message_stop"},
                ]
            )
            house.vendor.will(stream(*frames) if streams else answer({**message, **said, "usage": usage}))
            asked = {"model": CLAUDE, "max_tokens": 600, "messages": HELLO, "stream": streams}
            assert (await house.post(path, asked)).status == 200
            row = await house.usage(count)
            assert row.outcome == "succeeded"
            assert meets(row.meters, told_of(usage)), (usage, row.meters)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1beta/models/%s:%s", "/v1/chat/completions"])
async def test_a_side_that_gemini_does_not_count_is_counted(folder: Path, path: str, *, streams: bool) -> None:
    content = {"role": "model", "parts": [{"text": FOX}]}
    asked: dict[str, Any] = {"model": GEMINI, "messages": HELLO, "stream": streams}
    if "%" in path:
        path %= (GEMINI, "streamGenerateContent?alt=sse" if streams else "generateContent")
        asked = {"contents": [{"parts": [{"text": "Hello there"}]}]}
    odd: list[dict[str, Any]] = [{}, {"totalTokenCount": 505}]
    async with opened(folder, three) as house:
        for count, usage in enumerate([*one_sided("promptTokenCount", "candidatesTokenCount"), *odd], 1):
            body = {
                "candidates": [{"index": 0, "content": content, "finishReason": "STOP"}],
                "usageMetadata": usage,
            }
            house.vendor.will(stream(*events(body, done=False)) if streams else answer(body))
            assert (await house.post(path, asked)).status == 200
            row = await house.usage(count)
            assert row.outcome == "succeeded"
            assert meets(row.meters, told_of(usage)), (usage, row.meters)


@pytest.mark.parametrize("usage", [{"total_tokens": 500}, {"prompt_tokens": "9", "total_tokens": 500}], ids=str)
@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/rerank", "/v1beta/models/%s:embedContent"])
async def test_a_total_alone_is_the_input_of_what_writes_nothing(
    folder: Path, path: str, usage: dict[str, Any]
) -> None:
    model = "qwen3-reranker-8b" if "rerank" in path else "qwen3-embedding-8b"
    async with opened(folder, one(vendor="siliconflow"), **priced(model, input_token="1")) as house:
        vectors = [{"index": 0, "embedding": [0.5]}]
        house.vendor.will(answer({"data": vectors, "results": [{"index": 0, "relevance_score": 1}], "usage": usage}))
        asked: dict[str, Any] = {"model": model, "input": "a"}
        if "%" in path:
            path, asked = path % model, {"content": {"parts": [{"text": "a"}]}}
        elif "rerank" in path:
            asked = {"model": model, "query": "a", "documents": ["b"]}
        reply = await house.post(path, asked)
        assert reply.status == 200, reply.body
        assert (await house.usage()).meters["input_token"] == 500


async def test_tool_calls_and_thoughts_are_counted_too(house: House) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "find", "arguments": '{"q": "' + "word " * 30 + '"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    house.vendor.will(answer(completion(usage=None, choices=[choice])))
    await house.chat()
    assert (await house.usage()).meters["output_token"] >= 30


# --- holds ----------------------------------------------------------------------------------------------------


async def _held_while(house: House, **fields: Any) -> list[int]:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        asked.set()
        await go_on.wait()
        await answer(completion())(exchange)

    house.vendor.will(slow)
    calling = asyncio.ensure_future(house.chat(**fields))  # noqa: TID251 - awaited right here
    waiting = asyncio.ensure_future(asked.wait())  # noqa: TID251 - awaited right here
    async with asyncio.timeout(5):
        await asyncio.wait((calling, waiting), return_when="FIRST_COMPLETED")
        held = await house.held()
        go_on.set()
        await calling
    return held


async def test_input_and_the_most_output_are_held_during_the_call(house: House) -> None:
    [held] = await _held_while(house, max_tokens=1_000)
    assert 0 < held - 1_000 * PER_OUTPUT < 200 * PER_INPUT
    [twice] = await _held_while(house, max_tokens=1_000, n=2)
    assert 0 < twice - 2_000 * PER_OUTPUT < 200 * PER_INPUT
    assert await house.held() == []


async def test_the_models_own_limit_is_held_where_the_call_names_none(house: House) -> None:
    [held] = await _held_while(house)
    assert 0 < held - 16_384 * PER_OUTPUT < 200 * PER_INPUT


async def test_a_picture_that_is_linked_is_held_for_as_one_that_is_sent(house: House) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]
    [held] = await _held_while(house, max_tokens=1_000, messages=messages)
    assert 0 < held - 1_000 * PER_OUTPUT - FILE_TOKENS * PER_INPUT < 200 * PER_INPUT
    poor = await house.funded(FILE_TOKENS * PER_INPUT)
    refused = await house.chat(key=poor, messages=messages)
    assert refused.json["error"]["code"] == "insufficient_quota"


async def test_a_hold_takes_what_is_left_when_the_ceiling_is_not_there(house: House) -> None:
    key = await house.funded(1_000_000)
    assert await _held_while(house, key=key) == [1_000_000]
    assert (await house.usage()).price_nanos == 140_000


async def test_who_cannot_pay_a_little_is_refused_before_the_vendor(house: House) -> None:
    key = await house.funded(10_000)
    refused = await house.chat(key=key)
    assert (refused.status, refused.json["error"]["code"]) == (429, "insufficient_quota")
    assert refused.headers["x-should-retry"] == "false"
    assert (house.vendor.seen, await house.usages()) == ([], [])


async def test_usage_above_the_hold_is_charged_as_far_as_there_is_money(house: House) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 5_000, "total_tokens": 5_100}
    house.vendor.will(answer(completion(usage=usage)))
    reply = await house.chat(max_tokens=10)
    row = await house.usage()
    assert row.price_nanos == 100 * PER_INPUT + 5_000 * PER_OUTPUT
    assert reply.headers["halley-cost"] == dollars(row.price_nanos)
    poor = await house.funded(1_000_000)
    reply = await house.chat(key=poor)
    row = await house.usage(2)
    assert 1_000_000 <= row.price_nanos <= 100 * PER_INPUT + 5_000 * PER_OUTPUT
    assert reply.headers["halley-cost"] == dollars(row.price_nanos)


async def test_a_model_without_a_price_is_not_sold(folder: Path) -> None:
    async with opened(folder, one(model_map={"house-model": "x"})) as house:
        refused = await house.chat(model="house-model")
        assert (refused.status, refused.json["error"]["code"]) == (503, "model_price_missing")
        assert "[[prices]]" in refused.json["error"]["message"]
        assert (house.vendor.seen, await house.usages()) == ([], [])


async def test_usage_of_other_formats_is_read_and_charged(folder: Path) -> None:
    async with opened(folder, three) as house:
        claude = {"input_tokens": 10, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 20}
        house.vendor.will(answer({"type": "message", "content": [], "usage": {**claude, "output_tokens": 5}}))
        await house.post("/v1/messages", {"model": CLAUDE, "max_tokens": 9, "messages": HELLO})
        row = await house.usage(1)
        assert (row.meters["input_token"], row.meters["cached_input_token"]) == (10, 70)
        assert (row.meters["cache_write_token"], row.price_nanos) == (20, 100 * PER_INPUT + 5 * PER_OUTPUT)
        told = {"promptTokenCount": 100, "candidatesTokenCount": 20, "thoughtsTokenCount": 30, "totalTokenCount": 150}
        house.vendor.will(answer({"candidates": [{"content": {"parts": []}}], "usageMetadata": told}))
        await house.post(f"/v1beta/models/{GEMINI}:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]})
        row = await house.usage(2)
        assert (row.meters["reasoning_token"], row.price_nanos) == (30, 100 * PER_INPUT + 50 * PER_OUTPUT)


# --- limits of the key ----------------------------------------------------------------------------------------


async def test_what_is_left_of_the_keys_minute_stands_in_the_headers(house: House) -> None:
    house.vendor.will(answer(completion()), stream(*events(chunk("Hi"), chunk(finish="stop"))))
    key = await house.rig.make_key(livemode=True, requests_per_minute=2)
    first, second, refused = [await house.chat(key=key, stream=bool(n)) for n in range(3)]
    assert [each.status for each in (first, second, refused)] == [200, 200, 429]
    assert [each.headers["x-ratelimit-remaining-requests"] for each in (first, second, refused)] == ["1", "0", "0"]
    assert {each.headers["x-ratelimit-limit-requests"] for each in (first, second, refused)} == {"2"}
    assert (first.headers["x-ratelimit-reset-requests"], refused.headers["retry-after"]) == ("30s", "30")
    assert "x-ratelimit-limit-tokens" not in first.headers
    assert len(house.vendor.seen) == 2


async def _tokens_left(house: House, key: str) -> int:
    return int((await house.chat(key=key)).headers["x-ratelimit-remaining-tokens"])


async def test_the_tokens_of_a_key_are_corrected_by_what_was_used(house: House) -> None:
    usage = {"prompt_tokens": 3_000, "completion_tokens": 1_000, "total_tokens": 4_000}
    house.vendor.will(answer(completion(usage=usage)))
    key = await house.rig.make_key(livemode=True, tokens_per_minute=10_000)
    first, second = await _tokens_left(house, key), await _tokens_left(house, key)
    assert 9_900 < first < 10_000
    assert first - second == 4_000


async def test_the_tokens_of_a_call_that_failed_are_given_back(house: House) -> None:
    house.vendor.will(answer(b"{}", status=500))
    key = await house.rig.make_key(livemode=True, tokens_per_minute=10_000)
    assert (await house.chat(key=key)).status == 502
    house.vendor.will(answer(completion()))
    assert await _tokens_left(house, key) > 9_950


async def test_a_key_out_of_tokens_is_refused_with_headers(house: House) -> None:
    key = await house.rig.make_key(livemode=True, tokens_per_minute=20)
    refused = await house.post("/v1/chat/completions", chat_body(user="x" * 200), key=key)
    assert (refused.status, refused.headers["x-ratelimit-limit-tokens"]) == (429, "20")
    assert house.vendor.seen == []


async def test_vendors_rate_limit_headers_are_not_passed_on(house: House) -> None:
    house.vendor.will(answer(completion(), headers={"x-ratelimit-remaining-requests": "7", "openai-organization": "o"}))
    reply = await house.chat()
    assert "x-ratelimit-remaining-requests" not in reply.headers
    assert "openai-organization" not in reply.headers


async def test_every_reply_names_its_request(house: House) -> None:
    house.vendor.will(answer(completion()))
    first, second = await house.chat(), await house.chat()
    assert first.headers["halley-request-id"] != second.headers["halley-request-id"]


# --- bodies that only look like JSON from outside ---------------------------------------------------------------

BROKEN = {"number": b'{"a": 1e99999}', "UTF-8": b'{"include_usage": "\xff"}', "digits": b'{"a": ' + b"9" * 5_000 + b"}"}


@pytest.mark.parametrize("field", ["stream_options", "n", "max_tokens", "messages", "prompt"])
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_a_field_that_cannot_be_read_holds_nothing(
    house: House, broken: bytes, field: str, *, streams: bool
) -> None:
    if streams:
        house.vendor.will(stream(*events(chunk("Hi"), chunk(finish="stop"))))
    else:
        house.vendor.will(answer(completion()))
    said = {"model": MODEL, "messages": HELLO, "stream": streams}
    said.pop(field, None)
    body = b'%b, "%b": %b}' % (json.dumps(said).encode()[:-1], field.encode(), broken)
    reply = await house.post("/v1/chat/completions", body)
    assert reply.status in (200, 400), reply.body

    async def over() -> bool:
        return not (await house.held() or house.rig.world.answering)

    await soon(over)


async def test_usage_is_asked_for_whatever_else_than_true_the_caller_says(house: House) -> None:
    house.vendor.will(stream(*events(chunk("Hi"), chunk(finish="stop"))))
    await house.chat(stream=True, stream_options={"include_usage": "false"})
    assert house.vendor.seen[0].json["stream_options"]["include_usage"] is True


@pytest.mark.parametrize(("size", "held"), [("1024x1024", 500_000_000), ("512x512", 20_000_000)])
async def test_an_order_of_a_task_is_held_for_and_charged_by_the_price_of_its_size(
    folder: Path, size: str, held: int
) -> None:
    price = PriceConfig(model="flux-pro-1.1", meters={"image": "0.02", "image@size=1024x1024": "0.50"})
    async with opened(folder, sandbox=True, prices=(price,)) as house:
        key = await house.rig.make_key(livemode=False)
        ordering = house.post(
            "/v1/images/generations", {"model": "flux-pro-1.1", "prompt": "cat", "size": size}, key=key
        )
        reply = await house.rig.while_ticking(ordering)
        assert (reply.status, reply.headers["halley-cost"]) == (200, dollars(Nanos(held)))


async def test_a_task_whose_price_counts_nothing_of_it_is_not_sold(folder: Path) -> None:
    price = PriceConfig(model="flux-pro-1.1", meters={"output_token": "0.50"})
    async with opened(folder, sandbox=True, prices=(price,)) as house:
        key = await house.rig.make_key(livemode=False)
        reply = await house.post("/v1/images/generations", {"model": "flux-pro-1.1", "prompt": "cat"}, key=key)
        assert reply.json["error"]["code"] == "model_price_missing"


async def imported_before(house: House, model: str, meters: dict[str, int]) -> None:
    """Let the database have a set of prices that no import makes any more."""
    world = house.rig.world
    wanted = {model: ("import:old.json", meters)}
    await world.db.write("import", lambda tx: sync_prices(tx, wanted, world.ids, world.clock.now()))
    await reload(world, {})


async def test_a_call_that_no_case_of_an_old_price_holds_for_pays_the_dearest(folder: Path) -> None:
    async with opened(folder, prices=()) as house:
        tiers = {"flex": (500_000_000, 500_000_000), "priority": (1_000_000_000, 2_000_000_000)}
        meters = {f"input_token@service_tier={tier}": price for tier, (price, _) in tiers.items()}
        meters |= {f"output_token@service_tier={tier}": price for tier, (_, price) in tiers.items()}
        await imported_before(house, MODEL, meters)
        house.vendor.will(answer(completion()))
        reply = await house.chat()
        assert reply.headers["halley-cost"] == dollars(Nanos(100 * PER_INPUT + 20 * PER_OUTPUT))


async def test_a_task_that_no_case_of_an_old_price_holds_for_pays_the_dearest(folder: Path) -> None:
    async with opened(folder, sandbox=True, prices=()) as house:
        meters = {"image@size=1024x1024": 500_000_000_000_000, "image@size=256x256": 10_000_000_000_000}
        await imported_before(house, "flux-pro-1.1", meters)
        key = await house.rig.make_key(livemode=False)
        order = {"model": "flux-pro-1.1", "prompt": "cat", "size": "512x512"}
        reply = await house.rig.while_ticking(house.post("/v1/images/generations", order, key=key))
        assert (reply.status, reply.headers["halley-cost"]) == (200, "0.5")
