"""Tasks as their callers meet them: waited for, cancelled, listed, kept for a month."""

import asyncio

import pytest
from tests.app.rigs import Rig

from halley.testing.wire import Break

DEV = "black-forest-labs/flux-dev"


async def test_a_wait_ends_with_the_task(rig: Rig) -> None:
    accepted = await rig.client.flux("flux-pro-1.1", "success; delay=5")
    shown = await rig.while_ticking(rig.client.task(accepted.json["id"], wait_s=30))
    assert shown["state"] == "succeeded"
    assert (await rig.task(accepted.json["id"])).ended_at is not None


async def test_a_wait_that_is_over_shows_the_task_as_it_stands(rig: Rig) -> None:
    accepted = await rig.client.flux("flux-pro-1.1", "never_finishes")
    began = rig.clock.monotonic()
    shown = await rig.while_ticking(rig.client.task(accepted.json["id"], wait_s=30))
    assert shown["state"] in ("starting", "running")
    assert 30 <= rig.clock.monotonic() - began < 33


@pytest.mark.parametrize("wait", ["61", "-1", "x"])
async def test_a_wait_out_of_bounds_is_refused_by_name(rig: Rig, wait: str) -> None:
    refused = await rig.client.call("GET", f"/v1/tasks/01m82dcpkqfaqtr7ejkpvxhv7a?wait={wait}")
    assert refused.status == 400
    assert refused.json["error"]["param"] == "wait"


async def test_prefer_wait_gives_the_picture_in_the_answer_to_the_order(rig: Rig) -> None:
    order = rig.client.replicate(DEV, "success; delay=5", headers={"prefer": "wait"})
    reply = await rig.while_ticking(order)
    assert (reply.status, reply.json["status"]) == (201, "succeeded")
    assert (await rig.client.call("GET", reply.json["output"][0])).status == 200


async def test_prefer_wait_says_starting_when_the_time_is_over(rig: Rig) -> None:
    began = rig.clock.monotonic()
    order = rig.client.replicate(DEV, "success; delay=60", headers={"prefer": "wait=3"})
    reply = await rig.while_ticking(order)
    assert reply.json["status"] == "starting"
    assert 3 <= rig.clock.monotonic() - began < 5


async def test_a_cancel_reaches_the_vendors_own_job(rig: Rig) -> None:
    accepted = await rig.client.replicate(DEV, "success; delay=60")
    await rig.turn(2)
    reply = await rig.while_ticking(rig.client.call("POST", f"/replicate/v1/predictions/{accepted.json['id']}/cancel"))
    assert (reply.status, reply.json["status"]) == (200, "canceled")
    [job] = await rig.jobs("replicate")
    assert job.cancelled_us is not None
    task = await rig.task(accepted.json["id"])
    assert (task.state, task.cost) == ("cancelled", 0)
    assert (await rig.client.get_result(task.id))["status"] == "Error"
    assert await rig.open_holds() == 0


async def test_where_the_vendor_cannot_cancel_each_format_says_so_in_its_way(rig: Rig) -> None:
    accepted = await rig.client.flux("flux-pro-1.1", "success; delay=60")
    identity = accepted.json["id"]
    await rig.turn(2)
    refused = await rig.client.call("POST", f"/v1/tasks/{identity}/cancel")
    assert (refused.status, refused.json["error"]["code"]) == (409, "cancel_not_supported")
    shown = await rig.client.call("POST", f"/replicate/v1/predictions/{identity}/cancel")
    assert (shown.status, shown.json["status"] in ("starting", "processing")) == (200, True)
    assert (await rig.ended(identity)).state == "succeeded"


async def test_a_cancel_of_what_has_ended_shows_it_as_it_is(rig: Rig) -> None:
    accepted = await rig.client.replicate()
    await rig.ended(accepted.json["id"])
    for path in (f"/replicate/v1/predictions/{accepted.json['id']}/cancel", f"/v1/tasks/{accepted.json['id']}/cancel"):
        assert (await rig.client.call("POST", path)).json.get("status", "succeeded") == "succeeded"
    assert (await rig.task(accepted.json["id"])).state == "succeeded"


@pytest.mark.parametrize("how", [Break.GONE, Break.INVALID], ids=["not found", "already completed"])
async def test_a_cancel_that_the_vendor_refuses_since_the_job_has_just_ended_shows_how_it_ended(
    rig: Rig, how: Break
) -> None:
    rig.wire.fail(how, lambda _, path: path.endswith("/cancel"))
    accepted = await rig.client.replicate(DEV, "success; delay=2")
    identity = (await rig.task(accepted.json["id"])).id
    reply = await rig.while_ticking(rig.client.call("POST", f"/v1/tasks/{identity}/cancel"))
    assert (reply.status, reply.json["state"]) == (200, "succeeded")
    assert (len(rig.wire.broken), await rig.posted(await rig.task(identity))) == (1, 25_000_000)


async def test_a_cancel_that_the_vendor_refuses_of_a_task_that_runs_on_is_told_in_each_format(rig: Rig) -> None:
    rig.wire.fail(Break.GONE, lambda _, path: path.endswith("/cancel"), times=2)
    identity = (await rig.client.replicate(DEV, "success; delay=60")).json["id"]
    own, theirs = f"/v1/tasks/{identity}/cancel", f"/replicate/v1/predictions/{identity}/cancel"
    for path in (own, theirs):
        refused = await rig.while_ticking(rig.client.call("POST", path, headers={"idempotency-key": path[:8]}))
        assert (refused.status, refused.json["error"]["code"]) == (409, "not_cancelled")
        assert "runs on" in refused.json["error"]["message"]
    again = await rig.while_ticking(rig.client.call("POST", theirs, headers={"idempotency-key": theirs[:8]}))
    assert (again.status, again.json["status"]) == (200, "canceled")
    assert (await rig.ended(identity)).state == "cancelled"


async def test_lists_show_only_what_was_ordered_in_their_format(rig: Rig) -> None:
    await rig.client.flux()
    accepted = await rig.client.replicate()
    listed = (await rig.client.call("GET", "/replicate/v1/predictions")).json
    assert [one["id"] for one in listed["results"]] == [accepted.json["id"]]
    assert len((await rig.client.call("GET", "/v1/tasks")).json["data"]) == 2


async def test_lists_are_paged_and_filtered(rig: Rig) -> None:
    names = [(await rig.client.flux("flux-pro-1.1" if n % 2 else "flux-dev")).json["id"] for n in range(5)]
    await asyncio.gather(*[rig.client.task(name) for name in names])
    for name in names:
        await rig.ended(name)
    seen: list[str] = []
    query = "limit=2&state=succeeded"
    while True:
        page = (await rig.client.call("GET", f"/v1/tasks?{query}")).json
        seen += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        query = f"limit=2&state=succeeded&cursor={page['next_cursor']}"
    tasks = [f"task_{(await rig.task(name)).id}" for name in names]
    assert seen == tasks[::-1]
    assert len((await rig.client.call("GET", "/v1/tasks?model=flux-dev")).json["data"]) == 3
    assert (await rig.client.call("GET", "/v1/tasks?state=failed")).json["data"] == []


async def test_outputs_are_kept_for_a_month_and_their_links_renewed(rig: Rig) -> None:
    accepted = await rig.client.flux()
    identity = (await rig.ended(accepted.json["id"])).id
    await rig.pass_time(29 * 86_400, step_s=43_200)
    sample = (await rig.client.get_result(identity))["result"]["sample"]
    assert (await rig.client.call("GET", sample)).status == 200
    await rig.pass_time(86_400, step_s=21_600)

    async def expired() -> bool:
        return (await rig.client.task(identity))["outputs_expired"]

    await rig.settle(expired)
    assert await rig.stored_objects() == []
    assert (await rig.client.call("GET", sample)).status in (403, 404, 410)
    own = await rig.client.task(identity)
    assert (own["state"], own["outputs"], own["outputs_expired"]) == ("succeeded", [], True)
    prediction = (await rig.client.prediction(identity)).json
    assert (prediction["status"], prediction["output"], prediction["data_removed"]) == ("succeeded", None, True)


async def test_a_download_that_fails_for_a_while_costs_no_picture(rig: Rig) -> None:
    rig.wire.fail(Break.BROKEN, lambda _, path: path.startswith("/results/"), times=6)
    accepted = await rig.client.flux()
    task = await rig.ended(accepted.json["id"], within_s=300)
    assert task.state == "succeeded"
    assert len(rig.wire.broken) == 6


async def test_a_revoked_key_is_refused_within_a_second(rig: Rig) -> None:
    key = await rig.make_key()
    headers = {"authorization": f"Bearer {key}"}
    assert (await rig.client.call("GET", "/v1/tasks", headers=headers)).status == 200
    await rig.revoke(key)

    async def refused() -> bool:
        return (await rig.client.call("GET", "/v1/tasks", headers=headers)).status == 401

    began = rig.clock.monotonic()
    await rig.settle(refused, within_s=2, step_s=0.1)
    assert rig.clock.monotonic() - began <= 1.1


async def test_a_test_key_without_money_is_refused_and_told_what_was_needed(rig: Rig) -> None:
    key = await rig.make_key(budget_nanos=50_000_000)
    headers = {"authorization": f"Bearer {key}"}
    body = {"prompt": "x"}
    assert (await rig.client.call("POST", "/flux/v1/flux-pro-1.1", body, headers=headers)).status == 200
    refused = await rig.client.call("POST", "/flux/v1/flux-pro-1.1", body, headers=headers)
    assert refused.status == 402
    assert "0.04" in refused.json["error"]["message"]
    assert "0.01" in refused.json["error"]["message"]
    assert len(await rig.jobs("bfl")) == 1


async def test_a_failed_order_gives_the_budget_back(rig: Rig) -> None:
    key = await rig.make_key(budget_nanos=50_000_000)
    headers = {"authorization": f"Bearer {key}", "halley-test": "outcome=vendor_error"}
    for _ in range(3):
        reply = await rig.client.call("POST", "/flux/v1/flux-pro-1.1", {"prompt": "x"}, headers=headers)
        assert reply.status == 200
        await rig.ended(reply.json["id"])
