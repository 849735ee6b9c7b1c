"""What hinders a session is told before the upgrade, as an HTTP error in OpenAI's shape."""

import aiohttp
import pytest
from tests.app.rigs import Rig
from tests.realtime.talking import MODEL, Door

from halley.accounts.model import BudgetPeriod
from halley.api.websocket import PATH
from halley.kernel.money import Nanos
from halley.routing import Bounds

AT = f"{PATH}?model={MODEL}"


@pytest.mark.parametrize(
    ("path", "key", "status", "code", "param"),
    [
        pytest.param(AT, "sk-test-nobody", 401, "invalid_api_key", None, id="unknown key"),
        pytest.param(AT, "", 401, "invalid_api_key", None, id="no key"),
        pytest.param(PATH, None, 400, "invalid_request", "model", id="no model"),
        pytest.param(f"{PATH}?model=", None, 400, "invalid_request", "model", id="empty model"),
        pytest.param(f"{PATH}?model={'x' * 400}", None, 400, "invalid_request", "model", id="endless model"),
        pytest.param(f"{PATH}?model=no-such-model", None, 503, "model_not_found", "model", id="unknown model"),
        pytest.param(f"{PATH}?model=gpt-5.4-mini", None, 400, "invalid_request", "model", id="model for chats"),
        pytest.param(f"{PATH}?model=whisper-1", None, 400, "invalid_request", "model", id="model for transcriptions"),
        pytest.param(f"/v1/chat/completions?model={MODEL}", None, 404, "unknown_path", None, id="another path"),
    ],
)
async def test_a_session_is_refused(door: Door, path: str, key: str | None, status: int, code: str, param: str | None):
    told, body, headers = await door.refused(path, door.rig.key if key is None else key)
    error = body["error"]
    assert (told, error["code"], error["param"]) == (status, code, param)
    assert headers["content-type"] == "application/json"
    assert headers["halley-request-id"] == error["request_id"]


async def test_a_key_limited_to_other_models_is_refused(door: Door, rig: Rig):
    status, body, _ = await door.refused(AT, await rig.make_key(models=("gpt-5*",)))
    assert (status, body["error"]["code"]) == (403, "permission_denied")


async def test_a_session_counts_against_the_keys_requests_as_each_further_answer_does(door: Door, rig: Rig):
    key = await rig.make_key(requests_per_minute=2)
    async with door.talk(key=key) as talk:
        assert talk.headers["x-ratelimit-remaining-requests"] == "1"
        await talk.started()
        await talk.answered()
        await talk.answered("Again.")
        await talk.tell("response.create", event_id="third")
        error = (await talk.until("error"))["error"]
    status, body, headers = await door.refused(AT, key)
    assert (error["code"], error["event_id"]) == ("rate_limit_exceeded", "third")
    assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
    assert int(headers["retry-after"]) > 0


async def test_a_key_without_the_money_for_a_turn_is_refused(door: Door, rig: Rig):
    status, body, _ = await door.refused(
        AT, await rig.make_key(budget_nanos=Nanos(1_000), budget_period=BudgetPeriod.TOTAL)
    )
    assert (status, body["error"]["code"]) == (429, "insufficient_quota")


async def test_a_draining_gateway_takes_no_session(door: Door, rig: Rig):
    rig.world.draining = True
    status, body, headers = await door.refused(AT, rig.key)
    assert (status, body["error"]["code"], headers["retry-after"]) == (503, "not_ready", "5")


@pytest.mark.parametrize(
    ("ending", "status", "code"),
    [
        pytest.param("unauthorized", 503, "vendor_account_unusable", id="vendor refuses us"),
        pytest.param("rate_limited", 429, "vendor_rate_limited", id="vendor is busy"),
        pytest.param("vendor_error", 502, "vendor_failed", id="vendor fails"),
        pytest.param("connect_refused", 503, "vendor_unreachable", id="nobody listens"),
    ],
)
async def test_a_vendor_that_refuses_the_upgrade_costs_nothing(door: Door, ending: str, status: int, code: str):
    told, body, _ = await door.refused(AT, door.rig.key, **{"halley-test": f"outcome={ending}"})
    (row,) = await door.usage()
    assert (told, body["error"]["code"]) == (status, code)
    assert (row["outcome"], row["price_nanos"], row["attempts"]) == ("failed", 0, 1)
    assert await door.rig.open_holds() == 0


async def test_a_live_key_orders_no_endings(door: Door, rig: Rig):
    live = await rig.make_key(livemode=True)
    status, body, _ = await door.refused(AT, live, **{"halley-test": "outcome=vendor_error"})
    assert (status, body["error"]["param"]) == (400, "Halley-Test")


@pytest.mark.parametrize(
    ("headers", "protocols", "query"),
    [
        pytest.param({"authorization": "Bearer {key}"}, (), "", id="bearer"),
        pytest.param({"authorization": "{key}"}, (), "", id="bare"),
        pytest.param({"api-key": "{key}"}, (), "", id="api-key"),
        pytest.param({"x-api-key": "{key}"}, (), "", id="x-api-key"),
        pytest.param({}, (), "&key={key}", id="query"),
        pytest.param({}, ("realtime", "openai-insecure-api-key.{key}"), "", id="subprotocol"),
    ],
)
async def test_the_key_may_be_sent_in_each_way(
    door: Door, headers: dict[str, str], protocols: tuple[str, ...], query: str
):
    key = door.rig.key
    sent = {name: value.format(key=key) for name, value in headers.items()}
    offered = tuple(each.format(key=key) for each in protocols)
    origin = {"origin": "https://elsewhere.example"}
    async with door.talk(key="", headers={**sent, **origin}, protocols=offered, query=query.format(key=key)) as talk:
        await talk.until("session.created")
        assert talk.connection.protocol == ("realtime" if offered else None)
        assert talk.headers["halley-request-id"].startswith("req_")
        assert key not in str(talk.headers)


async def test_a_key_and_another_one_are_refused(door: Door, rig: Rig):
    status, body, _ = await door.refused(f"{AT}&key=sk-test-other", rig.key)
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")


async def test_a_channel_has_its_sessions_at_once_and_no_more(door: Door, rig: Rig):
    async with door.talk() as talk:
        await talk.until("session.created")
        running: Bounds = rig.world.bounds
        (channel,) = [each for each in rig.world.sandbox if each.vendor == "openai"]
        assert running.running(channel.id) == 1
    async with door.talk() as talk:
        await talk.until("session.created")
        assert running.running(channel.id) == 1


async def test_what_is_no_websocket_is_answered_as_http(door: Door):
    async with aiohttp.ClientSession() as session, session.get(door.url + AT) as reply:
        assert reply.status in (401, 404, 426)


async def test_a_refused_upgrade_and_a_session_are_counted(door: Door, rig: Rig):
    await door.refused(PATH, rig.key)
    async with door.talk() as talk:
        await talk.until("session.created")
    counted = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for metric in rig.world.metrics.requests.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    assert counted[PATH, "400"] == 1
