"""Files that nobody opens: held for by the most that they may take, counted and limited by what is likely."""

from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import House, chunk, completion, opened
from tests.answers.vendor import answer, cut, events, stream

from halley.pipeline.answers.meter import FILE_TOKENS
from halley.settings import PriceConfig

CONTEXT = 128_000
"""Of the model."""
PDF = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64," + "A" * 900_000}}
NAMED = {"type": "file", "file": {"file_id": "file-1"}}
PICTURES = [{"type": "image_url", "image_url": {"url": "https://example.com/a"}}] * 100


def telling(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": "Sum it up"}, *parts]}]


def scripted(house: House, how: str) -> bool:
    """Let the vendor answer without a count; whether it is to be asked for a stream."""
    frames = events(chunk("Hi"), chunk(finish="stop"))
    streams = {"whole": answer(completion(usage=None)), "cut": stream(*frames[:1], then=cut), "all": stream(*frames)}
    house.vendor.will(streams[how])
    return how != "whole"


@pytest.mark.parametrize("how", ["whole", "cut", "all"])
@pytest.mark.parametrize("part", [PDF, NAMED], ids=["sent", "named"])
async def test_a_document_that_no_vendor_counts_is_charged_by_what_is_likely(
    house: House, how: str, part: dict[str, Any]
) -> None:
    await house.chat(stream=scripted(house, how), messages=telling(part))
    assert FILE_TOKENS < (await house.usage()).meters["input_token"] < FILE_TOKENS + 100
    excess = await house.rig.world.db.read(lambda tx: tx.all("SELECT id FROM transfers WHERE kind = 'excess'"))
    assert list(excess) == []


@pytest.mark.parametrize("how", ["whole", "cut"])
@pytest.mark.parametrize("said", [telling(*PICTURES), telling({"type": "text", "text": "a word, " * 100_000})])
async def test_no_more_is_charged_than_the_model_takes(house: House, how: str, said: list[Any]) -> None:
    await house.chat(stream=scripted(house, how), messages=said)
    assert (await house.usage()).meters["input_token"] == CONTEXT


@pytest.mark.parametrize(
    ("parts", "per_minute"),
    [([NAMED], 10_000), ([PDF], 40_000), (PICTURES, CONTEXT)],
    ids=["named", "sent", "more than the model takes"],
)
async def test_a_limit_of_tokens_counts_what_is_likely(house: House, parts: list[Any], per_minute: int) -> None:
    house.vendor.will(answer(completion()))
    key = await house.rig.make_key(livemode=True, tokens_per_minute=per_minute)
    assert (await house.chat(key=key, messages=telling(*parts))).status == 200


async def test_a_model_that_nobody_knows_is_limited_by_all_that_is_sent(folder: Path) -> None:
    async with opened(folder, prices=(PriceConfig(model="gpt-of-ours", meters={"input_token": "1"}),)) as house:
        key = await house.rig.make_key(livemode=True, tokens_per_minute=CONTEXT)
        refused = await house.chat(key=key, model="gpt-of-ours", messages=telling(*PICTURES))
        assert (refused.status, refused.json["error"]["code"]) == (429, "rate_limit_exceeded")
