"""Prices that depend on how a vendor served a call: by its reply's word alone, whole, streamed and translated."""

from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import CLAUDE, GEMINI, HELLO, House, opened, three
from tests.answers.vendor import answer, events, named_events, stream

from halley.catalogue.tariff import Tariff
from halley.settings import PriceConfig

PRICE = {"input_token": "1", "output_token": "2"}


def priced(model: str, *conditions: str) -> dict[str, Any]:
    """A price that is ten times as high under each of these conditions as under the one before."""
    times = {f"@{each}": 10 * 10**place for place, each in enumerate(conditions)}
    meters = {f"{name}{at}": str(int(PRICE[name]) * by) for name in PRICE for at, by in {"": 1, **times}.items()}
    return {"prices": (PriceConfig(model=model, meters=meters),)}


PLAIN = 100 * 1_000 + 20 * 2_000
"""What a hundred tokens in and twenty out cost without a condition."""
CONTENT = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def content(**usage: Any) -> dict[str, Any]:
    counts = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
    said = {"content": {"role": "model", "parts": [{"text": "It is."}]}, "finishReason": "STOP", "index": 0}
    return {"candidates": [said], "usageMetadata": {**counts, **usage}, "modelVersion": GEMINI}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("is_translated", [False, True], ids=["as it is", "translated"])
@pytest.mark.parametrize(
    ("asked", "told", "times"),
    [
        ("priority", {"serviceTier": "priority"}, 100),
        ("flex", {"serviceTier": "flex"}, 10),
        ("flex", {"serviceTier": "standard"}, 1),
        ("priority", {}, 1),
        ("flex", {}, 1),
        (None, {"serviceTier": "priority"}, 100),
    ],
)
async def test_a_tier_of_geminis_is_charged_by_the_replys_word(
    folder: Path, *, streams: bool, is_translated: bool, asked: str | None, told: dict[str, str], times: int
) -> None:
    async with opened(folder, three, **priced(GEMINI, "service_tier=flex", "service_tier=priority")) as house:
        reply = content(**told)
        house.vendor.will(stream(*events(reply, done=False)) if streams else answer(reply))
        if is_translated:
            body: dict[str, Any] = {"model": GEMINI, "messages": HELLO, "stream": streams}
            path = "/v1/chat/completions"
        else:
            body = {**CONTENT, **({"serviceTier": asked} if asked else {})}
            path = f"/v1beta/models/{GEMINI}:{'streamGenerateContent?alt=sse' if streams else 'generateContent'}"
        assert (await house.post(path, body)).status == 200
        assert (await house.usage()).price_nanos == times * PLAIN


def message(**usage: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [{"type": "text", "text": "It is."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 20, **usage},
    }


def message_events(**usage: Any) -> list[bytes]:
    start: dict[str, Any] = {**message(**usage), "content": [], "stop_reason": None}
    end = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 20}}
    return named_events(
        [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "It is."}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", **end},
            {"type": "message_stop"},
        ]
    )


FAST = priced(CLAUDE, "inference_geo=us", "speed=fast", "speed=fast,inference_geo=us")


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("told", "times"),
    [
        ({"speed": "standard", "inference_geo": "global"}, 1),
        ({"inference_geo": "us"}, 10),
        ({"speed": "fast", "inference_geo": "not_available"}, 100),
        ({"speed": "fast", "inference_geo": "us"}, 1_000),
        ({"speed": ["fast"]}, 1),
    ],
)
async def test_speed_and_place_are_charged_by_the_replys_word(
    folder: Path, *, streams: bool, told: dict[str, Any], times: int
) -> None:
    async with opened(folder, three, **FAST) as house:
        house.vendor.will(stream(*message_events(**told)) if streams else answer(message(**told)))
        body = {"model": CLAUDE, "max_tokens": 200, "messages": HELLO, "stream": streams, "speed": "fast"}
        assert (await house.post("/v1/messages", body)).status == 200
        assert (await house.usage()).price_nanos == times * PLAIN


async def _held_for(house: House, **fields: Any) -> int:
    """What was held while the vendor was asked."""
    held: list[int] = []

    async def look(exchange: Any) -> Any:
        held.extend(await house.held())
        await answer(message())(exchange)

    house.vendor.will(look)
    await house.post("/v1/messages", {"model": CLAUDE, "max_tokens": 200, "messages": HELLO, **fields})
    (one,) = held
    return one


async def test_the_price_of_speed_is_held_for_where_it_is_ordered(folder: Path) -> None:
    async with opened(folder, three, **priced(CLAUDE, "inference_geo=us", "speed=fast")) as house:
        plain, fast = await _held_for(house), await _held_for(house, speed="fast")
        assert plain >= 10 * 200 * 2_000, "where it is served need not be ordered"
        assert plain < 100 * 200 * 2_000 <= fast


def test_the_most_leaves_out_what_only_an_order_brings_about() -> None:
    tariff = Tariff({"call": 1_000_000, "call@speed=fast": 6_000_000, "call@service_tier=flex": 2_000_000})
    assert tariff.most({"call": 1}) == 2
    assert tariff.most({"call": 1}, {"speed": "fast"}) == 6
    assert tariff.most({"call": 1}, {"speed": "slow"}) == 2
