from typing import Any

import pytest
from tests.api.client import Client, Owner, finish, make_asset, make_task

from halley.console.commands.world import NewWebhookSecret, new_webhook_secret
from halley.kernel.ids import as_uuid
from halley.kernel.vault import Vault
from halley.testing.clock import FakeClock
from halley.world import World

PIXEL = b"\x89PNG\r\n\x1a\n" + b"picture" * 100


async def test_a_task_is_shown_in_our_own_shape(client: Client, owner: Owner, world: World):
    task_id = await make_task(world, owner)
    await make_asset(world, owner, task_id, PIXEL)
    await finish(world, task_id)

    response = await client.get(f"/v1/tasks/{task_id}", {**owner.bearer, "host": "localhost:1234"})

    shown = response.json
    assert response.headers["halley-cost"] == "0.025"
    assert (shown["id"], shown["object"], shown["state"]) == (f"task_{task_id}", "task", "succeeded")
    assert (shown["cost"], shown["livemode"], shown["dialect"]) == ("0.025", False, "flux")
    assert shown["created_at"] == "2026-11-01T12:00:00.000000Z"
    assert shown["outputs"][0]["url"].startswith(f"http://localhost:1234/assets/{task_id}/0.png?")


@pytest.mark.parametrize("spelling", ["base32", "uuid", "prefixed"])
async def test_every_spelling_of_an_id_is_found_in_every_format(
    client: Client, owner: Owner, world: World, spelling: str
):
    task_id = await make_task(world, owner)
    asked = {"base32": task_id, "uuid": as_uuid(task_id), "prefixed": f"task_{task_id}"}[spelling]

    flux = await client.get(f"/flux/v1/get_result?id={asked}", owner.bearer)
    other = await client.get(f"/replicate/v1/predictions/{asked}", owner.bearer)
    ours = await client.get(f"/v1/tasks/{asked}", owner.bearer)

    assert (flux.json["status"], other.json["status"], ours.json["state"]) == ("Pending", "starting", "starting")


@pytest.mark.parametrize("asked", ["unknown", "'; DROP TABLE tasks; --", "%", "0" * 26, "x" * 1_000])
async def test_an_unknown_id_is_not_there(client: Client, owner: Owner, asked: str):
    flux = await client.get(f"/flux/v1/get_result?id={asked.replace(' ', '+').replace('%', '%25')}", owner.bearer)

    assert (flux.status, flux.json["status"]) == (200, "Task not found")
    path = asked.replace(" ", "%20").replace("%", "%25") if asked == "%" else asked.replace(" ", "%20")
    assert (await client.get(f"/replicate/v1/predictions/{path}", owner.bearer)).status == 404
    assert (await client.get(f"/v1/tasks/{path}", owner.bearer)).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/tasks/{id}"),
        ("GET", "/v1/tasks/{id}?wait=5"),
        ("POST", "/v1/tasks/{id}/cancel"),
        ("GET", "/v1/tasks/{id}/outputs/0"),
        ("HEAD", "/v1/tasks/{id}/outputs/0"),
        ("GET", "/replicate/v1/predictions/{id}"),
        ("POST", "/replicate/v1/predictions/{id}/cancel"),
    ],
)
async def test_a_foreign_task_is_404_on_every_verb(
    client: Client, owner: Owner, stranger: Owner, world: World, method: str, path: str
):
    task_id = await make_task(world, owner)
    await make_asset(world, owner, task_id, PIXEL)
    await finish(world, task_id)

    assert (await client.send(method, path.format(id=task_id), stranger.bearer)).status == 404
    assert (await client.get(f"/flux/v1/get_result?id={task_id}", stranger.bearer)).json["status"] == "Task not found"
    assert (await client.get("/v1/tasks", stranger.bearer)).json["data"] == []


async def test_pages_go_through_all_tasks_newest_first(client: Client, owner: Owner, world: World):
    made = [f"task_{await make_task(world, owner)}" for _ in range(5)]
    pages: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(3):
        pages.append((await client.get(f"/v1/tasks?limit=2&cursor={cursor}", owner.bearer)).json)
        cursor = pages[-1]["next_cursor"]

    assert [task["id"] for page in pages for task in page["data"]] == made[::-1]
    assert [page["has_more"] for page in pages] == [True, True, False]
    assert cursor is None


async def test_lists_are_filtered_by_state_model_format_and_time(
    client: Client, owner: Owner, world: World, clock: FakeClock
):
    first = await make_task(world, owner)
    await finish(world, first)
    clock.advance(3_600)
    second = await make_task(world, owner, dialect="replicate", model="flux-pro-1.1")

    async def found(query: str) -> list[str]:
        listed = (await client.get(f"/v1/tasks?{query}", owner.bearer)).json["data"]
        return [task["id"].removeprefix("task_") for task in listed]

    assert await found("state=succeeded") == [first]
    assert await found("state=starting,running") == [second]
    assert await found("state=succeeded,running") == [second, first]
    assert await found("model=flux-pro-1.1") == [second]
    assert await found("dialect=flux") == [first]
    assert await found("created_after=2026-11-01T12:30:00Z") == [second]
    assert await found("created_after=2026-11-01T13:30:00+01:00") == [second]
    assert await found("created_before=1793537999") == [first]
    assert await found("model=' OR 1=1 --".replace(" ", "%20")) == []
    assert await found("model=%25") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "state=done",
        "cursor=1",
        "cursor=after.%27",
        "created_after=soon",
        "created_after=2026-13-45",
        "model=" + "x" * 300,
    ],
)
async def test_a_wrong_filter_is_a_400_that_names_it(client: Client, owner: Owner, query: str):
    response = await client.get(f"/v1/tasks?{query}", owner.bearer)

    assert response.status == 400
    assert response.json["error"]["param"] == query.partition("=")[0]


@pytest.mark.parametrize("wait", ["-1", "61", "x", "1.5"])
async def test_a_wrong_wait_is_a_400(client: Client, owner: Owner, wait: str):
    assert (await client.get(f"/v1/tasks/{'0' * 26}?wait={wait}", owner.bearer)).status == 400


async def test_a_format_lists_its_own_tasks_and_its_cursors_work(client: Client, owner: Owner, world: World):
    await make_task(world, owner, dialect="flux")
    made = [await make_task(world, owner, dialect="replicate") for _ in range(3)]
    page = (await client.get("/replicate/v1/predictions", owner.bearer)).json

    assert [each["id"] for each in page["results"]] == made[::-1]
    following = await client.get(f"/replicate/v1/predictions?cursor=after.{made[1]}", owner.bearer)
    assert [each["id"] for each in following.json["results"]] == [made[0]]
    assert f"cursor=before.{made[0]}" in following.json["previous"]


async def test_a_fetch_without_an_id_names_the_field(client: Client, owner: Owner):
    response = await client.get("/flux/v1/get_result", owner.bearer)

    assert response.json["error"]["param"] == "id"


async def test_a_cancel_that_no_vendor_can_do_is_409_here_and_the_unchanged_task_there(
    client: Client, owner: Owner, world: World
):
    task_id = await make_task(world, owner)

    ours = await client.post(f"/v1/tasks/{task_id}/cancel", {}, owner.bearer)
    theirs = await client.post(f"/replicate/v1/predictions/{task_id}/cancel", {}, owner.bearer)

    assert (ours.status, ours.json["error"]["code"]) == (409, "cancel_not_supported")
    assert (theirs.status, theirs.json["status"]) == (200, "starting")


async def test_an_idempotency_key_must_be_readable(client: Client, owner: Owner):
    response = await client.post("/flux/v1/flux-dev", {}, {**owner.bearer, "idempotency-key": "x" * 300})

    assert response.json["error"]["param"] == "Idempotency-Key"


async def test_an_order_without_a_channel_is_refused_in_the_format(client: Client, owner: Owner):
    flux = await client.post("/flux/v1/no-such-model", {"prompt": "x"}, owner.bearer)
    alias = await client.post("/v1/flux-dev", {}, owner.bearer)
    not_json = await client.send("POST", "/flux/v1/flux-dev", owner.bearer, [b"{"])

    assert (flux.status, flux.json["error"]["code"]) == (503, "model_not_found")
    assert flux.headers["x-should-retry"] == "false"
    assert alias.json["error"]["param"] == "prompt"
    assert (not_json.status, "detail" in not_json.json) == (400, True)


async def test_models_are_listed_for_both_kinds_of_client(client: Client, owner: Owner):
    ours = (await client.get("/v1/models", owner.bearer)).json
    theirs = (await client.get("/replicate/v1/models", owner.bearer)).json

    assert ours["object"] == "list"
    assert "flux-dev" in {model["id"] for model in ours["data"]}
    assert (await client.get("/v1/models/flux-dev", owner.bearer)).json["id"] == "flux-dev"
    assert (await client.get("/v1/models/nothing", owner.bearer)).status == 404
    assert theirs["results"]


async def test_a_project_has_one_webhook_secret_that_stays(client: Client, owner: Owner, stranger: Owner):
    path = "/replicate/v1/webhooks/default/secret"
    first = (await client.get(path, owner.bearer)).json["key"]

    assert first.startswith("whsec_")
    assert (await client.get(path, owner.bearer)).json["key"] == first
    assert (await client.get(path, stranger.bearer)).json["key"] != first


async def test_a_webhook_secret_that_was_lost_with_the_gateways_own_says_how_it_is_replaced(
    client: Client, owner: Owner, world: World
):
    path = "/replicate/v1/webhooks/default/secret"
    lost = (await client.get(path, owner.bearer)).json["key"]
    world.vault = Vault(b"another secret of the gateway, of a restore without it")
    refused = await client.get(path, owner.bearer)

    assert refused.status == 409
    assert "halley webhooks rotate" in str(refused.json)
    args = NewWebhookSecret(account="alice")
    made = await new_webhook_secret(world, args, lambda _: None)
    assert made.test_secret.startswith("whsec_")
    assert made.test_secret not in (lost, made.secret)
    assert (await client.get(path, owner.bearer)).json["key"] == made.test_secret


@pytest.mark.parametrize("path", ["/callbacks/replicate/x", "/callbacks/nobody/x", f"/callbacks/bfl/{'0' * 26}.mac"])
async def test_a_callback_to_an_address_that_we_did_not_make_is_404(client: Client, path: str):
    assert (await client.post(path, {})).status == 404


async def test_nothing_of_a_callback_is_read_before_its_address_is_known(client: Client):
    response = await client.send("POST", "/callbacks/replicate/x", (), [b"x" * 100_000] * 3)

    assert (response.status, client.chunks_read) == (404, 0)


async def test_a_huge_callback_is_refused(client: Client, owner: Owner, world: World):
    task_id = await make_task(world, owner)
    path = f"/callbacks/replicate/{task_id}.{world.vault.mac('callback', task_id)}"
    response = await client.send("POST", path, (), [b"x" * 200_000] * 3)

    assert (response.status, client.chunks_read) == (413, 2)
