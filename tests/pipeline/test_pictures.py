"""Pictures that vendors of tasks draw within one call: late, failed, asked for again, left."""

import asyncio
import re
from base64 import b64encode

import aiohttp
import pytest
from tests.app.rigs import Rig

from halley.tasks import Task, TaskState
from halley.testing.client import Reply, order_headers
from halley.testing.conformance.drive import PNG

PICTURES = "/v1/images/generations"
LONGER_THAN_THE_WAIT = "success; delay=400"
STEP_S = 5.0
"""The wait is 300 s long."""


async def drawn(rig: Rig, ending: str = "", key: str = "", model: str = "flux-pro-1.1") -> Reply:
    body = {"model": model, "prompt": "a red teapot", "size": "256x256"}
    ordering = rig.client.call("POST", PICTURES, body, headers=order_headers(ending, key))
    return await rig.while_ticking(ordering, step_s=STEP_S if ending == LONGER_THAN_THE_WAIT else 0.05)


async def test_a_picture_that_is_not_ready_is_told_in_a_way_that_no_client_repeats_by_itself(rig: Rig) -> None:
    late = await drawn(rig, LONGER_THAN_THE_WAIT)
    task, error = await rig.last_task(), late.json["error"]
    assert (late.status, error["code"], late.headers["x-should-retry"]) == (424, "picture_not_ready", "false")
    assert late.status not in (408, 409, 429)
    assert f"/v1/tasks/{task.id}" in error["message"]
    assert error["request_id"] == late.headers["halley-request-id"]


async def test_a_repeat_for_a_late_picture_is_answered_by_what_has_become_of_it(rig: Rig) -> None:
    late = await drawn(rig, LONGER_THAN_THE_WAIT, key="one")
    task = await rig.last_task()
    again = await drawn(rig, LONGER_THAN_THE_WAIT, key="one")
    assert (again.status, again.json["error"]["code"]) == (late.status, "picture_not_ready")
    await rig.ended(task.id, within_s=300)
    ready = await drawn(rig, LONGER_THAN_THE_WAIT, key="one")
    assert (ready.status, ready.headers["idempotency-replayed"]) == (200, "true")
    assert re.search(task.id, ready.json["data"][0]["url"])
    assert (await rig.last_task()).id == task.id


async def test_a_repeat_for_a_picture_itself_is_answered_under_any_name_of_the_gateway(rig: Rig) -> None:
    body = {"model": "flux-pro-1.1", "prompt": "a red teapot", "size": "256x256", "response_format": "b64_json"}
    first = await rig.while_ticking(rig.client.call("POST", PICTURES, body, headers=order_headers(key="one")))
    elsewhere = rig.gateway.url.replace("127.0.0.1", "localhost") + PICTURES
    again = await rig.while_ticking(rig.client.call("POST", elsewhere, body, headers=order_headers(key="one")))
    assert (again.status, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json["data"][0]["b64_json"] == first.json["data"][0]["b64_json"]


async def test_a_picture_that_failed_is_told_with_the_id_of_its_request(rig: Rig) -> None:
    for ending in ("vendor_error", "content_moderated"):
        failed = await drawn(rig, ending)
        assert failed.json["error"]["request_id"] == failed.headers["halley-request-id"]
    moderated = await drawn(rig, "content_moderated", key="one")
    assert (moderated.status, moderated.json["error"]["code"]) == (400, "content_policy_violation")
    assert moderated.headers["x-should-retry"] == "false"
    again = await drawn(rig, "content_moderated", key="one")
    assert again.status == moderated.status
    assert again.json["error"]["message"] == moderated.json["error"]["message"]


async def test_a_refusal_that_is_kept_is_not_repeated(rig: Rig) -> None:
    refused = await drawn(rig, "invalid", key="one")
    again = await drawn(rig, "invalid", key="one")
    assert (again.status, again.headers["idempotency-replayed"]) == (refused.status, "true")
    assert again.headers["x-should-retry"] == refused.headers["x-should-retry"] == "false"


async def left(rig: Rig, model: str, key: str = "") -> Task:
    """Order, hang up once the vendor has the order, and see how it ends."""

    async def running() -> bool:
        return (await rig.last_task()).state is TaskState.RUNNING

    async with asyncio.TaskGroup() as group:
        body, headers = {"model": model, "prompt": "a red teapot"}, order_headers("success; delay=20", key)
        ordering = group.create_task(rig.client.call("POST", PICTURES, body, headers=headers))
        while not (await rig.jobs("bfl") or await rig.jobs("replicate")):
            await rig.turn(0.05)
        await rig.settle(running)
        ordering.cancel()
    return await rig.ended((await rig.last_task()).id)


async def test_who_hangs_up_cancels_the_order_where_its_vendor_can_and_pays_nothing(rig: Rig) -> None:
    task = await left(rig, "flux-schnell")
    assert (task.vendor, task.state, await rig.posted(task)) == ("replicate", TaskState.CANCELLED, 0)
    assert await rig.open_holds() == 0


async def test_an_order_goes_on_without_its_caller_where_its_vendor_cannot_cancel(rig: Rig) -> None:
    await rig.serve_only("bfl")
    assert (await left(rig, "flux-pro-1.1")).state is TaskState.SUCCEEDED


async def test_an_order_with_a_key_goes_on_without_its_caller_who_gets_it_by_a_repeat(rig: Rig) -> None:
    task = await left(rig, "flux-schnell", key="one")
    assert (task.vendor, task.state) == ("replicate", TaskState.SUCCEEDED)
    body = {"model": "flux-schnell", "prompt": "a red teapot"}
    headers = order_headers("success; delay=20", "one")
    again = await rig.while_ticking(rig.client.call("POST", PICTURES, body, headers=headers))
    assert (again.status, again.headers["idempotency-replayed"]) == (200, "true")
    assert task.id in again.json["data"][0]["url"]


async def test_a_stream_of_an_edit_is_refused_before_anything_is_held(rig: Rig) -> None:
    form = aiohttp.FormData({"model": "flux-kontext-pro", "prompt": "a fox", "stream": "true"})
    form.add_field("image", PNG, filename="a.png", content_type="image/png")
    refused = await rig.while_ticking(rig.client.call("POST", "/v1/images/edits", data=form))
    assert (refused.status, refused.json["error"]["param"]) == (400, "stream")


async def test_an_edit_is_ordered_by_links_in_json_too(rig: Rig) -> None:
    source = f"data:image/png;base64,{b64encode(PNG).decode()}"
    body = {"model": "flux-kontext-pro", "prompt": "a fox", "images": [{"image_url": source}]}
    assert (await rig.while_ticking(rig.client.call("POST", "/v1/images/edits", body))).status == 200


BROKEN = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("vendor", "fields", "param"),
    [
        ("replicate", {"model": "flux-pro-1.1", "n": 2}, "n"),
        ("bfl", {"model": "flux-pro-1.1", "n": 2}, "n"),
        ("replicate", {"model": "flux-dev", "size": "1000x999"}, "size"),
        ("bfl", {"model": "flux-kontext-pro", "size": "1024x1024"}, "size"),
        ("replicate", {"model": "flux-schnell", "n": 5}, "n"),
        ("bfl", {"model": "flux-pro-1.1", "size": "1000x999"}, "size"),
        ("bfl", {"model": "flux-kontext-pro", "image": BROKEN}, "image"),
        ("bfl", {"model": "flux-pro-1.0-canny-finetuned"}, None),
    ],
)
async def test_an_error_of_a_picture_names_the_field_that_its_caller_sent(
    rig: Rig, vendor: str, fields: dict[str, object], param: str | None
) -> None:
    await rig.serve_only(vendor)
    refused = await rig.while_ticking(rig.client.call("POST", PICTURES, {"prompt": "a fox", **fields}))
    error = refused.json["error"]
    assert (refused.status, error["param"]) == (400, param), error
    assert param is None or f"`{param}`" in error["message"]
