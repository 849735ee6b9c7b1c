"""An order in one format, run by a vendor of another: fetched in either shape, by all three spellings of its id."""

import pytest
from tests.app.rigs import Rig

from halley.kernel.ids import as_uuid
from halley.testing.gateway import leaks

CROSSINGS = [
    pytest.param("flux", "replicate", id="flux by replicate"),
    pytest.param("replicate", "bfl", id="replicate by bfl"),
]


async def _order(rig: Rig, form: str, ending: str = "") -> str:
    if form == "flux":
        reply = await rig.client.flux("flux-pro-1.1", ending, width=512, height=512, seed=7)
    else:
        reply = await rig.client.replicate("black-forest-labs/flux-1.1-pro", ending, aspect_ratio="1:1", seed=7)
    assert reply.status in (200, 201), reply
    return (await rig.last_task()).id


@pytest.mark.parametrize(("form", "vendor"), CROSSINGS)
async def test_an_order_crosses_and_is_shown_in_either_shape_by_any_spelling(rig: Rig, form: str, vendor: str) -> None:
    await rig.serve_only(vendor)
    task = await rig.ended(await _order(rig, form))
    assert (task.state, task.dialect, task.vendor) == ("succeeded", form, vendor)
    for spelling in (task.id, as_uuid(task.id), f"task_{task.id}"):
        flux = await rig.client.get_result(spelling)
        assert (flux["id"], flux["status"], flux["result"]["seed"]) == (as_uuid(task.id), "Ready", 7)
        prediction = (await rig.client.prediction(spelling)).json
        assert (prediction["id"], prediction["status"]) == (task.id, "succeeded")
        assert prediction["input"]["seed"] == 7
        own = await rig.client.task(spelling)
        assert (own["state"], own["cost"], own["model"]) == ("succeeded", "0.04", "flux-pro-1.1")
    image = await rig.client.call("GET", flux["result"]["sample"])
    assert image.status == 200
    rig.client.replies.pop()
    [job] = await rig.jobs(vendor)
    channel = rig.world.channel(task.channel_id)
    assert channel is not None
    assert leaks(rig.client, [job.id, channel.base_url, "/callbacks/"]) == []


@pytest.mark.parametrize(("form", "vendor"), CROSSINGS)
async def test_a_moderated_order_fails_in_either_shape_and_is_free(rig: Rig, form: str, vendor: str) -> None:
    await rig.serve_only(vendor)
    task = await rig.ended(await _order(rig, form, "content_moderated"))
    flux = await rig.client.get_result(task.id)
    assert flux["status"] == "Content Moderated"
    assert flux["details"]["Moderation Reasons"]
    prediction = (await rig.client.prediction(task.id)).json
    assert prediction["status"] == "failed"
    assert prediction["error"]
    assert await rig.posted(task) == 0


async def test_what_a_vendor_cannot_convey_is_left_to_the_one_that_can(rig: Rig) -> None:
    # This vendor makes eleven sizes of flux-dev, and this is none of them.
    await rig.client.flux("flux-dev", width=288, height=416)
    assert (await rig.last_task()).vendor == "bfl"


async def test_what_nobody_can_convey_is_refused_by_name_and_nothing_is_booked(rig: Rig) -> None:
    await rig.serve_only("replicate")
    refused = await rig.client.flux("flux-dev", width=288, height=416)
    assert refused.status == 400
    assert refused.json["error"]["code"] == "not_conveyed"
    assert refused.json["error"]["param"] in ("width", "height")
    assert await rig.open_holds() == 0
    assert await rig.jobs("replicate") == []


async def test_the_format_of_the_caller_is_preferred(rig: Rig) -> None:
    for _ in range(4):
        await rig.client.flux()
        assert (await rig.last_task()).vendor == "bfl"
        await rig.client.replicate()
        assert (await rig.last_task()).vendor == "replicate"


async def test_an_unknown_or_foreign_task_is_missing_in_each_format(rig: Rig) -> None:
    identity = await _order(rig, "flux")
    for asked in ("nonsense", "01m82dcpkqfaqtr7ejkpvxhv7a", as_uuid("01m82dcpkqfaqtr7ejkpvxhv7a")):
        assert (await rig.client.get_result(asked))["status"] == "Task not found"
        assert (await rig.client.prediction(asked)).status == 404
        assert (await rig.client.call("GET", f"/v1/tasks/{asked}")).status == 404
        assert (await rig.client.call("POST", f"/replicate/v1/predictions/{asked}/cancel")).status == 404
    async with rig.stranger() as stranger:
        assert (await stranger.get_result(identity))["status"] == "Task not found"
        assert (await stranger.prediction(identity)).status == 404
        assert (await stranger.call("GET", f"/v1/tasks/{identity}")).status == 404
        assert (await stranger.call("POST", f"/v1/tasks/{identity}/cancel")).status == 404
        assert (await stranger.call("GET", f"/v1/tasks/{identity}/outputs/0")).status == 404
        assert (await stranger.call("GET", "/v1/tasks")).json["data"] == []
        assert (await stranger.call("GET", "/replicate/v1/predictions")).json["results"] == []
