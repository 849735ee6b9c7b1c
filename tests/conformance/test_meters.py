"""Every model of every vendor: the bill is what the vendor counted at our price, and its own cost is kept beside it."""

from base64 import b64encode
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image
from tests.app.rigs import Rig, opened_gateway, priced_at_twice_the_cost

from halley.catalogue.model import Model, read_models
from halley.settings import PriceConfig
from halley.testing.client import Reply
from halley.testing.gateway import settings_for
from halley.vendors import load_vendors
from halley.vendors.bfl.fields import MODELS, Kind

VENDORS = load_vendors()
BFL = {model.id: model for model in read_models(VENDORS["bfl"])}
REPLICATE = {model.id: model for model in read_models(VENDORS["replicate"])}
OWN = {"prompt": "a red teapot", "finetune_id": "mine"}


def picture(width: int, height: int) -> str:
    with BytesIO() as file:
        Image.new("RGB", (width, height), "teal").save(file, "PNG")
        return b64encode(file.getvalue()).decode()


def body_of(model: str) -> dict[str, Any]:
    """An order of a model with whatever it cannot do without."""
    body: dict[str, Any] = {"prompt": "a red teapot", "output_format": "png"}
    for name, field in MODELS[model].items():
        if field.required and name not in body:
            body[name] = picture(256, 256) if field.kind is Kind.IMAGE else "mine"
    if model.startswith(("flux-pro-1.0-depth", "flux-pro-1.0-canny")):
        body["control_image"] = picture(256, 256)
    return body


@pytest.fixture(scope="module", params=["bfl", "replicate"])
def vendor_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def prices(vendor_name: str) -> tuple[PriceConfig, ...]:
    return priced_at_twice_the_cost(VENDORS[vendor_name])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    vendor_name: str, prices: tuple[PriceConfig, ...], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rig]:
    async with opened_gateway(settings_for(tmp_path_factory.mktemp("g") / "d", prices=prices)) as rig:
        await rig.serve_only(vendor_name)
        yield rig


async def _billed(rig: Rig, reply: Reply) -> tuple[int, int, dict[str, int]]:
    """What the caller paid, what the vendor billed, and what was counted."""
    assert reply.status in (200, 201), reply
    task = await rig.ended(reply.json["id"])
    assert task.state == "succeeded", task.failure
    usage = await rig.usage(task)
    assert usage is not None
    assert usage.vendor_cost_nanos is not None
    assert await rig.posted(task) == usage.price_nanos == task.cost
    assert await rig.differences() == ()
    return usage.price_nanos, usage.vendor_cost_nanos, usage.meters


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("vendor_name", ["bfl"], indirect=True)
@pytest.mark.parametrize("model", BFL.values(), ids=BFL)
async def test_each_model_is_billed_as_its_vendor_bills_it(shared: Rig, model: Model) -> None:
    price, cost, _ = await _billed(shared, await shared.client.call("POST", f"/flux/v1/{model.id}", body_of(model.id)))
    assert price == 2 * cost


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("vendor_name", ["bfl"], indirect=True)
@pytest.mark.parametrize(
    ("size", "inputs"),
    [((256, 256), 0), ((1024, 1024), 0), ((2048, 1024), 0), ((1024, 1024), 1), ((1440, 1440), 3)],
    ids=["small", "one", "two", "one and an input", "two and three inputs"],
)
async def test_megapixels_are_billed_as_the_vendor_counts_them(shared: Rig, size: tuple[int, int], inputs: int) -> None:
    body: dict[str, Any] = {"prompt": "x", "width": size[0], "height": size[1]}
    body |= {"input_image" if n == 0 else f"input_image_{n + 1}": picture(1000, 700) for n in range(inputs)}
    price, cost, meters = await _billed(shared, await shared.client.call("POST", "/flux/v1/flux-2-pro", body))
    assert price == 2 * cost
    # The vendor counts in hundredths of a megapixel.
    output = round(size[0] * size[1] / 1e6, 2)
    further = max(0.0, output - 1)
    dollars = 0.03 + 0.015 * further + 0.015 * round(0.7 * inputs, 2)
    assert cost / 1e9 == pytest.approx(dollars, abs=1e-6)
    assert meters["input_megapixel"] == inputs * 700_000


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("vendor_name", ["bfl"], indirect=True)
async def test_inputs_are_held_at_four_megapixels_and_posted_as_counted(shared: Rig) -> None:
    body = {"prompt": "x", "width": 1024, "height": 1024, "input_image": picture(1000, 1000)}
    reply = await shared.client.call("POST", "/flux/v1/flux-2-pro", body, headers={"halley-test": "delay=5"})
    held = (await shared.task(reply.json["id"])).held
    price, _, _ = await _billed(shared, reply)
    assert held == 2 * (30_000_000 + 15_000 * 48_576 // 1_000 + 4 * 15_000_000)
    assert price < held


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("vendor_name", ["replicate"], indirect=True)
@pytest.mark.parametrize("model", REPLICATE.values(), ids=REPLICATE)
async def test_each_model_of_the_other_vendor_is_billed_by_image(shared: Rig, model: Model) -> None:
    given: dict[str, Any] = {"prompt": "x"} | ({"finetune_id": "mine"} if "finetuned" in model.id else {})
    path = f"/replicate/v1/models/{model.vendor_model}/predictions"
    price, cost, meters = await _billed(shared, await shared.client.call("POST", path, {"input": given}))
    assert price == 2 * cost == 2 * model.cost["image"] // 1_000_000
    assert meters["image"] == 1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("vendor_name", ["replicate"], indirect=True)
async def test_several_images_of_one_order_are_billed_each(shared: Rig) -> None:
    reply = await shared.client.replicate("black-forest-labs/flux-schnell", num_outputs=3)
    price, cost, meters = await _billed(shared, reply)
    assert (price, cost, meters["image"]) == (18_000_000, 9_000_000, 3)
    assert len((await shared.client.task(reply.json["id"]))["outputs"]) == 3
