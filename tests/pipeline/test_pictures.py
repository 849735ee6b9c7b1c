"""Pictures that vendors of tasks draw within one call: late, failed, asked for again."""

import re

from tests.app.rigs import Rig

from halley.testing.client import Reply, order_headers

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
