"""Files and outputs of ours as inputs, and bodies too large for a row."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from PIL import Image
from tests.app.rigs import Rig, opened_gateway

from halley.assets import ObjectsUnavailable, Stored
from halley.kernel import codec, pointer
from halley.testing.gateway import settings_for

LARGE = 70 * 1024


def picture(seed: int = 1, side: int = 96) -> bytes:
    noise = Image.frombytes("RGB", (side, side), Random(seed).randbytes(3 * side * side))
    with BytesIO() as file:
        noise.save(file, "PNG")
        return file.getvalue()


async def upload(rig: Rig, data: bytes) -> str:
    form = aiohttp.FormData()
    form.add_field("content", data, filename="in.png", content_type="image/png")
    return (await rig.client.call("POST", "/replicate/v1/files", data=form)).json["urls"]["get"]


@pytest.mark.parametrize("vendor", ["bfl", "replicate"])
async def test_a_file_of_ours_reaches_whichever_vendor_runs_the_order(rig: Rig, vendor: str) -> None:
    await rig.serve_only(vendor)
    link = await upload(rig, picture())
    accepted = await rig.client.call(
        "POST", "/flux/v1/flux-kontext-pro", {"prompt": "in blue", "input_image": link, "output_format": "png"}
    )
    assert accepted.status == 200, accepted
    task = await rig.ended(accepted.json["id"])
    assert task.state == "succeeded", task.failure
    [job] = await rig.jobs(vendor)
    assert link.encode() not in bytes(job.request)
    assert len(await rig.inputs(vendor, job)) == 1


@pytest.mark.parametrize("vendor", ["bfl", "replicate"])
async def test_an_output_of_ours_is_an_input_again(rig: Rig, vendor: str) -> None:
    await rig.serve_only(vendor)
    first = await rig.client.flux(width=512, height=512)
    await rig.ended(first.json["id"])
    sample = (await rig.client.get_result(first.json["id"]))["result"]["sample"]
    edited = await rig.client.call("POST", "/flux/v1/flux-kontext-pro", {"prompt": "in blue", "input_image": sample})
    assert (await rig.ended(edited.json["id"])).state == "succeeded"
    # The caller is shown what they sent.
    assert (await rig.client.prediction(edited.json["id"])).json["input"]["input_image"] == sample


async def test_a_file_of_ours_reaches_the_vendor_in_whatever_field_it_is_named(rig: Rig) -> None:
    await rig.serve_only("replicate")
    link = await upload(rig, picture())
    given: dict[str, Any] = {
        "start_image": link,
        "scenes": [{"a/b": link, "n": 1}],
        "note": f"drawn after {link}",
        "other": "https://x.org/files/1",
    }
    accepted = await rig.client.replicate(**given)
    assert accepted.json["input"]["start_image"] == link
    assert (await rig.ended(accepted.json["id"])).state == "succeeded"
    [job] = await rig.jobs("replicate")
    sent = codec.decode(bytes(job.request))["input"]
    assert (sent["note"], sent["other"]) == (given["note"], given["other"])
    for source in (sent["start_image"], sent["scenes"][0]["a/b"]):
        assert not source.startswith(rig.client.url)
        assert source.startswith("http")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        pytest.param({"start_image": "GONE"}, "input.start_image", id="not there"),
        pytest.param({"scenes": [{"picture": "GONE"}]}, "input.scenes.0.picture", id="nested"),
        pytest.param({"image_input": ["LINK"] * 33}, "input", id="too many"),
    ],
)
async def test_a_field_that_names_no_file_of_the_callers_is_told(rig: Rig, given: dict[str, Any], param: str) -> None:
    link = await upload(rig, picture())
    gone = link.rpartition("/")[0] + "/none"
    inner = pointer.rewritten(given, lambda text: {"LINK": link, "GONE": gone}[text])
    refused = await rig.client.replicate(**inner)
    assert refused.status == 422
    assert refused.json["error"]["param"] == param
    assert await rig.open_holds() == 0


async def test_a_large_order_that_finds_the_store_full_is_to_come_again_and_costs_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> Stored:
        raise ObjectsUnavailable("No space left on device")

    monkeypatch.setattr(rig.world.objects, "put", refuse)
    refused = await rig.client.flux(prompt="a cat " * (LARGE // 6))
    assert (refused.status, refused.headers["retry-after"]) == (503, "10")
    assert await rig.open_holds() == 0


async def test_a_file_of_somebody_else_is_refused_by_name(rig: Rig) -> None:
    link = await upload(rig, picture())
    async with rig.stranger() as stranger:
        refused = await stranger.call("POST", "/flux/v1/flux-kontext-pro", {"prompt": "x", "input_image": link})
    assert refused.status == 422
    assert refused.json["error"]["param"] == "input_image"
    assert await rig.open_holds() == 0
    assert await rig.jobs("bfl") == []


async def test_a_link_that_was_changed_is_refused(rig: Rig) -> None:
    first = await rig.client.flux()
    await rig.ended(first.json["id"])
    sample = (await rig.client.get_result(first.json["id"]))["result"]["sample"]
    refused = await rig.client.call(
        "POST", "/flux/v1/flux-kontext-pro", {"prompt": "x", "input_image": sample[:-2] + "zz"}
    )
    assert refused.status == 422


async def test_a_large_body_is_kept_beside_the_row_and_deleted_a_day_after_the_end(rig: Rig) -> None:
    data = picture(side=256)
    assert len(data) > LARGE
    body = {"prompt": "x", "input_image": b64encode(data).decode()}
    accepted = await rig.client.call("POST", "/flux/v1/flux-kontext-pro", body)
    task = await rig.ended(accepted.json["id"])
    assert task.body is None
    assert task.body_object is not None
    assert (await rig.client.prediction(task.id)).json["input"]["input_image"] == body["input_image"]
    await rig.pass_time(23 * 3_600, step_s=3_600)
    assert len(await _bodies(rig)) == 1

    async def deleted() -> bool:
        return (await rig.task(task.id)).body_object is None

    await rig.settle(deleted, within_s=4_000, step_s=20)
    shown = await rig.client.prediction(task.id)
    assert (shown.status, shown.json["status"]) == (200, "succeeded")
    assert await _bodies(rig) == []


async def test_a_small_body_is_in_the_row_without_its_secret(rig: Rig) -> None:
    await rig.client.flux(webhook_url="https://example.com/hook", webhook_secret="hush-hush")
    task = await rig.last_task()
    assert task.body is not None
    assert b"hush-hush" not in task.body
    assert task.webhook is not None
    assert b"hush-hush" not in task.webhook


async def test_an_order_that_was_not_taken_leaves_no_body_behind(folder: Path) -> None:
    async with opened_gateway(settings_for(folder)) as rig:
        body = {"prompt": "x", "input_image": b64encode(picture(side=256)).decode()}
        key = await rig.make_key(budget_nanos=1)
        refused = await rig.client.call(
            "POST", "/flux/v1/flux-kontext-pro", body, headers={"authorization": f"Bearer {key}"}
        )
        assert refused.status == 402
        assert await _bodies(rig) == []


async def _bodies(rig: Rig) -> list[str]:
    return [key for key in await rig.stored_objects() if key.startswith("bodies/")]
