"""What is charged for pictures that came otherwise than they were ordered, or than their vendor says."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.studio import FIRST, FURTHER, GRID, PICTURE, QUALITY, SIZED, SVG, Studio, opened_studio, png

SCHNELL = "black-forest-labs/flux-schnell"
OF_SCHNELL = 3_000_000
"""Its price, which is also what its vendor bills."""


@pytest.fixture
async def studio(folder: Path) -> AsyncIterator[Studio]:
    async with opened_studio(folder) as running:
        yield running


@pytest.mark.parametrize("told", [0, 1, 3, 9])
async def test_pictures_are_charged_by_our_own_count(studio: Studio, told: int) -> None:
    studio.delivers(*[png()] * 3)
    studio.told = {"metrics": {"image_count": told}}
    task = await studio.replicate(num_outputs=4)
    usage = await studio.usage(task)
    assert (usage.price_nanos, usage.meters["image"]) == (3 * PICTURE, 3)


@pytest.mark.parametrize("told", [0, 1.01, None], ids=["none", "the same", "nothing"])
async def test_inputs_that_were_counted_at_the_beginning_are_charged_though_the_end_counts_none(
    studio: Studio, told: float | None
) -> None:
    studio.accepted = {"input_mp": 1.01, "output_mp": 0.07}
    studio.told = {} if told is None else {"input_mp": told, "output_mp": 0.07}
    task = await studio.flux("flux-2-pro", input_image="https://example.com/a.png")
    usage = await studio.usage(task)
    assert (usage.price_nanos, usage.meters["input_megapixel"]) == (45_150_000, 1_010_000)


async def test_an_output_of_no_pixels_by_its_vendors_word_is_charged_by_its_size(studio: Studio) -> None:
    studio.delivers(png(1_500))
    studio.told = {"output_mp": 0}
    usage = await studio.usage(await studio.flux("flux-2-pro", width=1_504, height=1_504))
    assert usage.meters["further_output_megapixel"] == 1_500 * 1_500 - 1_000_000


@pytest.mark.parametrize(
    ("files", "price"),
    [
        ([SVG, SVG], 2 * FIRST + 2 * FURTHER // 2),
        ([SVG, png(2_000)], 2 * FIRST + FURTHER // 2 + 3 * FURTHER),
        ([png(), png()], 2 * FIRST),
    ],
    ids=["none", "one", "both"],
)
async def test_outputs_whose_size_cannot_be_read_are_counted_one_by_one(
    studio: Studio, files: list[bytes], price: int
) -> None:
    studio.delivers(*files)
    task = await studio.replicate(SIZED, num_outputs=4, width=1_500, height=1_000)
    usage = await studio.usage(task)
    assert (usage.price_nanos, usage.meters["first_output_megapixel"]) == (price, 2)


@pytest.mark.parametrize("field", ["num_outputs", "number_of_images", "max_images", "num_images", "n"])
async def test_pictures_are_held_by_whichever_name_they_are_counted(studio: Studio, field: str) -> None:
    studio.delivers(*[png()] * 8)
    task = await studio.replicate(GRID, **{field: 8})
    assert (task.held, await studio.rig.posted(task)) == (8 * PICTURE, 8 * PICTURE)


async def test_a_keys_budget_counts_all_the_pictures_of_an_order(studio: Studio) -> None:
    key = await studio.rig.make_key(livemode=True, budget_nanos=5 * PICTURE)
    headers = {"authorization": f"Bearer {key}"}
    refused = await studio.rig.client.replicate(GRID, headers=headers, number_of_images=8)
    assert refused.status == 402, refused.text
    assert studio.vendor.seen == []


@pytest.mark.parametrize(
    ("model", "fields", "charged"),
    [
        (SCHNELL, {}, OF_SCHNELL),
        (SCHNELL, {"num_outputs": 2}, 2 * OF_SCHNELL),
        (GRID, {"num_outputs": 1}, PICTURE),
        (GRID, {"number_of_images": 3}, 3 * PICTURE),
        (GRID, {}, 4 * PICTURE),
    ],
    ids=["implied", "named", "one of a foreign model", "named of a foreign model", "nobody knows how many"],
)
async def test_no_more_is_charged_than_was_ordered_and_the_rest_is_exposure(
    studio: Studio, model: str, fields: dict[str, Any], charged: int
) -> None:
    studio.delivers(*[png()] * 4)
    task = await studio.replicate(model, **fields)
    usage = await studio.usage(task)
    each = OF_SCHNELL if model == SCHNELL else PICTURE
    assert (usage.price_nanos, usage.exposure_nanos) == (charged, 4 * each - charged)
    assert usage.outcome == "succeeded"
    assert len((await studio.rig.client.task(task.id))["outputs"]) == 4


@pytest.mark.parametrize(("quality", "price"), [("high", 25 * PICTURE), ("low", PICTURE)])
async def test_a_price_under_a_condition_holds_also_where_the_field_is_part_of_the_input(
    studio: Studio, quality: str, price: int
) -> None:
    task = await studio.replicate(QUALITY, quality=quality)
    assert (task.held, (await studio.usage(task)).price_nanos) == (price, price)
