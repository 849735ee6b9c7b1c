"""Responses through a whole gateway: kept, fetched, listed, deleted and expired."""

import asyncio
import json
from collections.abc import AsyncIterable, Sequence

import pytest
from tests.responses.calls import CLAUDE, GEMINI, OPENAI, Responses, error_of, events_of

from halley.assets import Found, ObjectStore, Stored
from halley.testing.wire import Break

EACH_FORMAT = pytest.mark.parametrize("model", [OPENAI, CLAUDE, GEMINI])


class Full(ObjectStore):
    """A store that has room for one more object."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self._room = 1

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> Stored:
        self._room -= 1
        if self._room < 0:
            raise OSError("no space left on device")
        return await self._inner.put(key, chunks, bytes_max=bytes_max)

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> Found:
        return await self._inner.get(key, start=start, end=end)

    async def delete(self, keys: Sequence[str]) -> None:
        await self._inner.delete(keys)

    async def remove_unfinished(self, before: int) -> int:
        return await self._inner.remove_unfinished(before)


@EACH_FORMAT
async def test_a_response_is_fetched_as_it_was_shown(responses: Responses, model: str):
    reply = await responses.call("Hello", model)
    fetched = await responses.fetch(reply.json["id"])
    assert (fetched.status, fetched.body) == (200, reply.body)
    assert fetched.headers["content-type"] == "application/json"


@EACH_FORMAT
async def test_a_streamed_response_is_kept_before_its_end_is_heard(responses: Responses, model: str):
    events = events_of(await responses.call("Hello", model, stream=True))
    kind, last = events[-1]
    assert kind == "response.completed"
    assert (await responses.fetch(last["response"]["id"])).json == last["response"]


async def test_the_row_is_there_when_the_last_event_arrives(responses: Responses):
    client = responses.rig.client
    body = {"model": CLAUDE, "input": "Hello", "stream": True}
    async with asyncio.timeout(10), client._session.post(f"{client.url}/v1/responses", json=body) as reply:  # pyright: ignore[reportPrivateUsage] - the only way to read it by pieces
        async for piece in reply.content.iter_any():
            if b"event: response.completed" in piece:
                assert len(await responses.kept()) == 1


async def test_an_incomplete_response_is_kept_too(responses: Responses):
    events = events_of(await responses.call("Go on. [[halley outcome=length]]", stream=True))
    assert events[-1][0] == "response.incomplete"
    assert (await responses.fetch(events[-1][1]["response"]["id"])).json["status"] == "incomplete"


@EACH_FORMAT
@pytest.mark.parametrize("outcome", ["cut_stream", "error_frame", "malformed_frame"])
async def test_nothing_is_kept_of_a_stream_that_broke(responses: Responses, model: str, outcome: str):
    await responses.call(f"Hello. [[halley outcome={outcome}]]", model, stream=True)
    assert await responses.kept() == []


@EACH_FORMAT
@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_is_kept_that_the_caller_wants_forgotten(responses: Responses, model: str, stream: bool):
    assert (await responses.call("Hello", model, store=False, stream=stream)).status == 200
    assert await responses.kept() == []


async def test_only_a_flag_says_whether_a_response_is_kept(responses: Responses):
    assert error_of(await responses.call(store="no", model=CLAUDE))[:2] == (400, "store")
    assert responses.sent == []


async def test_who_made_a_response_and_who_has_it_is_known(responses: Responses):
    await responses.make()
    await responses.make(model=CLAUDE)
    await responses.rig.client.call(
        "POST", "/v1/chat/completions", {"model": OPENAI, "messages": [{"role": "user", "content": "a"}]}
    )
    first, second = await responses.kept()
    assert [bool(each["at_vendor"]) for each in (first, second)] == [True, False]
    assert (first["model"], second["model"]) == (OPENAI, CLAUDE)
    assert responses.rig.world.config.by_id[second["channel_id"]].vendor == "anthropic"


async def test_a_response_belongs_to_its_project(responses: Responses):
    made = await responses.make(model=CLAUDE)
    async with responses.rig.stranger() as stranger:
        assert (await responses.fetch(made["id"], client=stranger)).status == 404
        assert (await responses.fetch(made["id"], "/input_items", client=stranger)).status == 404
        assert (await responses.delete(made["id"], client=stranger)).status == 404
        body = {"model": CLAUDE, "input": "And?", "previous_response_id": made["id"]}
        refused = await stranger.call("POST", "/v1/responses", body)
        assert error_of(refused) == (400, "previous_response_id", "previous_response_not_found")
    assert (await responses.fetch(made["id"])).status == 200


async def test_what_is_not_there_is_told_in_the_formats_own_words(responses: Responses):
    reply = await responses.fetch("resp_nothing")
    assert error_of(reply) == (404, "response_id", "not_found")
    assert reply.json["error"]["message"] == "Response with id 'resp_nothing' not found."


async def test_events_are_not_given_again(responses: Responses):
    made = await responses.make(model=CLAUDE)
    assert error_of(await responses.fetch(made["id"], "?stream=true"))[:2] == (400, "stream")
    assert (await responses.fetch(made["id"], "?stream=false&include[]=reasoning.encrypted_content")).status == 200


async def test_what_has_ended_is_not_cancelled(responses: Responses):
    made = await responses.make(model=CLAUDE)
    reply = await responses.rig.client.call("POST", f"/v1/responses/{made['id']}/cancel")
    assert reply.status == 400
    assert reply.json["error"]["message"].startswith("Cannot cancel a synchronous response.")
    assert (await responses.rig.client.call("POST", "/v1/responses/resp_x/cancel")).status == 404


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"output":[]}', id="no id"),
        pytest.param(b'{"id":7,"output":[]}', id="an id that is no text"),
        pytest.param(b'{"id":"' + b"x" * 600 + b'","output":[]}', id="an endless id"),
    ],
)
async def test_what_nobody_could_ask_for_is_given_and_not_kept(responses: Responses, body: bytes):
    responses.make_up(body)
    reply = await responses.call()
    assert (reply.status, reply.body) == (200, body)
    assert await responses.kept() == []


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b""])
async def test_a_last_event_is_known_however_it_is_written(responses: Responses, end: bytes):
    data = b'{"type":"response.completed","response":{"id":"resp_1","note":"response.completed","output":[]}}'
    text = b'data: {"type":"response.output_text.delta","delta":"response.completed"}\n\n: so\n\n'
    stream = text + b"event: response.completed\ndata: " + data + end
    responses.make_up(stream, "text/event-stream")
    assert (await responses.call(stream=True)).body == stream
    assert [row["response_id"] for row in await responses.kept()] == ["resp_1"]


async def test_a_last_event_without_a_response_is_given_and_not_kept(responses: Responses):
    stream = b'event: response.completed\ndata: {"type":"response.completed","response":7}\n\n'
    responses.make_up(stream, "text/event-stream")
    assert (await responses.call(stream=True)).body == stream
    assert await responses.kept() == []


async def test_a_vendors_copy_is_none_where_the_vendor_says_so(responses: Responses):
    responses.make_up(b'{"id":"resp_1","store":false,"output":[]}')
    await responses.call()
    assert not (await responses.kept())[0]["at_vendor"]


async def test_a_response_that_cannot_be_kept_is_not_given_and_costs_nothing(responses: Responses):
    world = responses.rig.world
    world.objects = Full(world.objects)
    reply = await responses.call("long " * 20_000, CLAUDE, instructions="so " * 30_000)
    assert reply.status == 500
    assert (await responses.kept(), await responses.rig.stored_objects()) == ([], [])
    assert await responses.rig.open_holds() == 0
    usage = await world.db.read(lambda tx: tx.one("SELECT outcome, price_nanos FROM usage"))
    assert usage is not None
    assert (usage["outcome"], usage["price_nanos"]) == ("lost", 0)


async def test_what_lost_its_bytes_is_as_if_it_were_not_there(responses: Responses):
    made = await responses.make("long " * 60_000, CLAUDE, instructions="so " * 30_000)
    second = await responses.make("And?", CLAUDE, previous_response_id=made["id"])
    await responses.rig.world.objects.delete(await responses.rig.stored_objects())
    assert (await responses.fetch(made["id"])).status == 404
    assert (await responses.fetch(made["id"], "/input_items")).status == 404
    refused = await responses.call("And?", CLAUDE, previous_response_id=second["id"])
    assert error_of(refused) == (400, "previous_response_id", "previous_response_not_found")


# --- deleted ------------------------------------------------------------------------------------------------


async def test_a_deleted_response_is_gone_here_and_at_its_vendor(responses: Responses):
    made = await responses.make()
    reply = await responses.delete(made["id"])
    assert (reply.status, reply.json) == (200, {"id": made["id"], "object": "response", "deleted": True})
    assert (responses.sent[-1].method, responses.sent[-1].path) == ("DELETE", f"/v1/responses/{made['id']}")
    assert (await responses.fetch(made["id"])).status == 404
    assert (await responses.delete(made["id"])).status == 404
    body = {"model": OPENAI, "input": "Hello", "previous_response_id": made["id"]}
    channel = responses.rig.world.config.by_id[(await responses.kept())[0]["channel_id"]]
    direct = await responses.rig.client.call(
        "POST", f"{channel.base_url}/responses", body, headers={"authorization": "Bearer simulated"}
    )
    assert direct.json["error"]["code"] == "previous_response_not_found"


async def test_only_who_has_a_copy_is_asked_to_delete_it(responses: Responses):
    made = await responses.make(model=CLAUDE)
    assert (await responses.delete(made["id"])).status == 200
    assert [one.method for one in responses.sent] == ["POST"]


@pytest.mark.parametrize("how", ["connect_refused", "vendor_error", "reset_after_send"])
async def test_a_response_is_deleted_here_whatever_its_vendor_says(responses: Responses, how: str):
    made = await responses.make()
    responses.rig.wire.fail(Break(how), lambda method, _: method == "DELETE")
    assert (await responses.delete(made["id"])).status == 200
    assert (await responses.fetch(made["id"])).status == 404


async def test_large_bodies_are_kept_apart_and_deleted_with_their_response(responses: Responses):
    made = await responses.make("long " * 20_000, CLAUDE, instructions="so " * 30_000)
    (row,) = await responses.kept()
    keys = [f"responses/{row['id']}/input", f"responses/{row['id']}/response"]
    assert await responses.rig.stored_objects() == keys
    assert (await responses.fetch(made["id"])).json == made
    assert (await responses.items(made["id"]))["data"][0]["content"][0]["text"] == "long " * 20_000
    await responses.delete(made["id"])

    async def gone() -> bool:
        return await responses.kept() == [] and await responses.rig.stored_objects() == []

    await responses.rig.settle(gone)


async def test_a_response_is_kept_for_a_month(responses: Responses):
    made = await responses.make("long " * 20_000, CLAUDE)
    await responses.rig.pass_time(29 * 86_400, step_s=86_400)
    assert (await responses.fetch(made["id"])).status == 200
    await responses.rig.pass_time(86_400, step_s=21_600)
    assert (await responses.fetch(made["id"])).status == 404

    async def gone() -> bool:
        return await responses.kept() == [] and await responses.rig.stored_objects() == []

    await responses.rig.settle(gone)


async def test_a_repeat_with_an_idempotency_key_is_kept_once(responses: Responses):
    body = {"model": CLAUDE, "input": "Hello"}
    first, again = [
        await responses.rig.client.call("POST", "/v1/responses", body, headers={"idempotency-key": "once"})
        for _ in range(2)
    ]
    assert json.loads(first.body) == json.loads(again.body)
    assert len(await responses.kept()) == 1


# --- what it was made from ----------------------------------------------------------------------------------


async def test_a_response_lists_what_it_was_made_from(responses: Responses):
    given = [
        {"role": "user", "content": "One."},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "3."},
    ]
    made = await responses.make(given, CLAUDE)
    newest = await responses.items(made["id"])
    assert [item["role"] for item in newest["data"]] == ["user", "assistant", "user"]
    oldest = await responses.items(made["id"], "?order=asc")
    assert oldest["data"] == newest["data"][::-1]
    assert oldest["data"][0]["content"] == [{"type": "input_text", "text": "One."}]
    assert (oldest["object"], oldest["has_more"]) == ("list", False)
    assert (oldest["first_id"], oldest["last_id"]) == (oldest["data"][0]["id"], oldest["data"][-1]["id"])
    assert len({item["id"] for item in oldest["data"]}) == 3


async def test_a_list_comes_in_pages(responses: Responses):
    made = await responses.make([{"role": "user", "content": str(n)} for n in range(5)], CLAUDE)
    first = await responses.items(made["id"], "?order=asc&limit=3")
    rest = await responses.items(made["id"], f"?order=asc&limit=3&after={first['last_id']}")
    texts = [item["content"][0]["text"] for page in (first, rest) for item in page["data"]]
    assert (texts, first["has_more"], rest["has_more"]) == (list("01234"), True, False)


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=msg", "after")],
)
async def test_a_list_that_cannot_be_given_is_refused_by_name(responses: Responses, query: str, field: str):
    made = await responses.make(model=CLAUDE)
    assert error_of(await responses.fetch(made["id"], f"/input_items?{query}"))[:2] == (400, field)
