import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.api.client import Client, Owner

from halley.accounts import store as accounts
from halley.api.app import Api
from halley.api.asgi import Reply
from halley.api.call import Call
from halley.api.routes import table
from halley.world import World


async def test_every_answer_names_its_request_and_is_never_kept(client: Client, owner: Owner):
    response = await client.get("/v1/tasks", {**owner.bearer, "x-request-id": "mine"})

    assert response.headers["halley-request-id"].startswith("req_")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["content-length"] == str(len(response.body))


async def test_head_gives_the_headers_of_get_alone(client: Client, owner: Owner):
    head = await client.send("HEAD", "/v1/tasks", owner.bearer)
    get = await client.get("/v1/tasks", owner.bearer)

    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("path", ["/v1/tasks", "/flux/v1/flux-dev", "/replicate/v1/predictions"])
async def test_a_preflight_is_answered_for_every_known_path(client: Client, path: str):
    headers = {"origin": "https://a.example", "access-control-request-method": "POST"}
    response = await client.send("OPTIONS", path, headers)

    assert (response.status, response.body) == (204, b"")
    assert response.headers["access-control-allow-origin"] == "*"
    assert "authorization" in response.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in response.headers
    assert "content-length" not in response.headers


async def test_a_preflight_of_an_unknown_path_is_404(client: Client):
    assert (await client.send("OPTIONS", "/nothing")).status == 404


@pytest.mark.parametrize(("ready", "draining"), [(False, False), (True, True)], ids=["starting", "stopping"])
async def test_while_starting_or_stopping_calls_are_sent_away_but_health_answers(
    client: Client, owner: Owner, world: World, ready: bool, draining: bool
):
    world.ready, world.draining = ready, draining
    refused = await client.get("/v1/tasks", owner.bearer)

    assert refused.status == 503
    assert refused.headers["connection"] == "close"
    assert refused.headers["retry-after"]
    assert (await client.get("/health/liveness")).status == 200
    assert (await client.get("/health/readiness")).status == 503
    assert (await client.get("/metrics")).status == 200


async def test_idle_waits_for_running_calls(world: World, owner: Owner):
    api = Api(world)
    begun, left = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        begun.set()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope = _scope("POST", "/flux/v1/flux-dev", [(b"x-key", owner.key.encode())])
    async with asyncio.TaskGroup() as group:
        group.create_task(api(scope, receive, send))
        await begun.wait()
        waiting = group.create_task(api.idle())
        await asyncio.sleep(0)
        assert not waiting.done()
        left.set()

    assert api.running == 0


async def test_no_log_and_no_metric_holds_a_key(client: Client, owner: Owner, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        await client.get(f"/v1/tasks?key={owner.key}&model=x", {"x-request-id": "theirs-1"})
        await client.get(f"/user/quota?key={owner.key}")
        await client.get("/v1/tasks?key=sk-wrong-one-0123456789")
        await client.get(f"/nothing/{owner.key}?key={owner.key}")
        await asyncio.sleep(0)  # answers are told of by the end of the turn
    records = list(caplog.records)
    scraped = (await client.get("/metrics")).body.decode()
    logged = " ".join(str(vars(record)) for record in records)

    for secret in (owner.key, "sk-wrong-one"):
        assert secret not in logged
        assert secret not in scraped
    facts = [vars(record) for record in records if record.name == "halley.access"]
    assert [(each["route"], each["status"], each["key_id"], each.get("code")) for each in facts] == [
        ("/v1/tasks", 200, owner.key_id, None),
        ("/user/quota", 200, owner.key_id, None),
        ("/v1/tasks", 401, None, "invalid_api_key"),
        ("unknown", 404, None, "unknown_path"),
    ]
    assert facts[0]["client_request_id"] == "theirs-1"


async def test_requests_are_counted_by_the_template_of_their_route(client: Client, owner: Owner):
    await client.get("/v1/tasks/0123456789abcdefghjkmnpqrs", owner.bearer)
    scraped = (await client.get("/metrics")).body.decode()

    assert 'halley_requests_total{method="GET",route="/v1/tasks/{id}",status="404"} 1.0' in scraped
    assert 'halley_tasks{state="running"} 0.0' in scraped


async def test_metrics_are_for_this_machine_only(world: World):
    assert (await Client(Api(world), peer="8.8.8.8").get("/metrics")).status == 403
    assert (await Client(Api(world), peer="10.9.1.1").get("/metrics")).status == 200
    assert (await Client(Api(world)).get("/metrics", {"x-forwarded-for": "8.8.8.8"})).status == 403


@pytest.mark.parametrize("path", ["/health/liveness", "/health/liveliness", "/healthz", "/health/readiness", "/"])
async def test_health_and_root_need_no_key(client: Client, path: str):
    assert (await client.get(path)).status == 200


@pytest.mark.parametrize("query", ["&".join("a=1" for _ in range(200)), "a=" + "x" * 20_000], ids=["fields", "bytes"])
async def test_an_endless_query_is_refused(client: Client, owner: Owner, query: str):
    assert (await client.get(f"/v1/tasks?{query}", owner.bearer)).status == 400


async def test_a_websocket_without_a_key_is_refused_in_json_where_the_server_can(world: World):
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "websocket", "path": "/v1/realtime", "extensions": {"websocket.http.response": {}}}
    await Api(world)(scope, receive, send)
    await Api(world)({"type": "websocket", "path": "/v1/realtime"}, receive, send)

    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
        "websocket.close",
    ]
    assert sent[0]["status"] == 401


async def test_the_server_is_told_that_we_are_there(world: World):
    asked = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return asked.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Api(world)({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_no_handler_and_no_format_is_given_a_credential(world: World, owner: Owner):
    seen: list[Call] = []

    async def handler(call: Call) -> Reply:
        seen.append(call)
        return Reply()

    entries = table(world.dialects)
    entry = next(entry for entry in entries if entry.path == "/v1/tasks")
    client = Client(Api(world, [msgspec.structs.replace(entry, handler=handler)]))
    await client.get(f"/v1/tasks?key={owner.key}&limit=1", {"x-key": owner.key, "cookie": owner.key, "prefer": "wait"})

    assert seen[0].query == {"limit": "1"}
    assert seen[0].incoming().headers == {"prefer": "wait"}


async def test_an_answer_that_breaks_off_cuts_the_connection(world: World, caplog: pytest.LogCaptureFixture):
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise OSError("the disk is gone")

    async def handler(call: Call) -> Reply:
        del call
        return Reply(chunks=chunks(), length=8)

    entry = next(entry for entry in table(world.dialects) if entry.path == "/healthz")
    client = Client(Api(world, [msgspec.structs.replace(entry, handler=handler)]))
    with pytest.raises(OSError, match="disk"), caplog.at_level(logging.ERROR):
        await client.get("/healthz")

    assert "broke off" in caplog.text
    assert client.api.running == 0


async def test_a_revoked_key_is_refused_once_the_callers_are_forgotten(client: Client, owner: Owner, world: World):
    assert (await client.get("/v1/tasks", owner.bearer)).status == 200
    await world.db.write("revoke", lambda tx: accounts.revoke_key(tx, owner.key_id, world.clock.now()))
    world.callers.clear()

    assert (await client.get("/v1/tasks", owner.bearer)).status == 401
    quota = await client.get(f"/user/quota?key={owner.key}")
    assert quota.status == 401
    assert isinstance(quota.json["error"], str)


def _scope(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_a_wrong_method_is_told_those_of_the_literal_path(client: Client, owner: Owner, method: str):
    response = await client.send(method, "/flux/v1/get_result", owner.bearer)

    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert "it answers GET, HEAD" in response.body.decode()


@pytest.mark.parametrize(
    ("method", "headers", "again"),
    [("GET", {}, True), ("POST", {"idempotency-key": "1"}, True), ("POST", {}, False)],
    ids=["reads", "orders with a key", "orders without one"],
)
async def test_a_call_that_is_cut_at_the_end_is_told_in_its_format(
    world: World, owner: Owner, method: str, headers: dict[str, str], again: bool
):
    began = asyncio.Event()

    async def hang(_: Call) -> Reply:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    path = {"GET": "/flux/v1/get_result", "POST": "/flux/v1/{model}"}[method]
    entry = next(entry for entry in table(world.dialects) if entry.path == path)
    client = Client(Api(world, [msgspec.structs.replace(entry, handler=hang)]))
    call = asyncio.ensure_future(  # noqa: TID251 - awaited below
        client.send(method, path.format(model="flux-dev"), {**owner.bearer, **headers})
    )
    await began.wait()
    call.cancel()
    await asyncio.wait((call,))

    assert call.cancelled()
    start, body = client.sent
    assert (start["status"], b'"detail"' in body["body"]) == (503, True)
    assert ((b"retry-after", b"5") in start["headers"]) is again
    assert ((b"x-should-retry", b"false") in start["headers"]) is not again
