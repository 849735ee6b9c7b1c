"""Simulated responses over a real socket: items, events, and what is kept of them."""

import json
from typing import Any

import pytest
from tests.vendors.openai.support import WEATHER, Answer, Sandbox

TOOL: dict[str, Any] = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
THINKS: dict[str, Any] = {"effort": "high", "summary": "auto"}


def text_of(body: dict[str, Any]) -> str:
    return "".join(part["text"] for item in body["output"] if item["type"] == "message" for part in item["content"])


def deltas(answer: Answer, kind: str) -> str:
    return "".join(event["delta"] for event in answer.events if event["type"] == kind)


async def test_a_response_is_answered_in_the_vendors_shape(sandbox: Sandbox):
    body = (await sandbox.respond(instructions="Be brief", metadata={"a": "b"})).json
    assert (body["object"], body["status"], body["instructions"], body["metadata"]) == (
        *("response", "completed", "Be brief"),
        {"a": "b"},
    )
    assert "simulated answer of gpt-5.4" in text_of(body)
    usage = body["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_a_stream_builds_up_to_the_whole_response(sandbox: Sandbox):
    answer = await sandbox.respond(stream=True, reasoning=THINKS)
    events = answer.events
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[0]["type"], events[1]["type"]) == ("response.created", "response.in_progress")
    assert events[-1]["type"] == "response.completed"
    final = events[-1]["response"]
    assert deltas(answer, "response.output_text.delta") == text_of(final)
    assert deltas(answer, "response.reasoning_summary_text.delta") == final["output"][0]["summary"][0]["text"]
    assert final["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    assert b"[DONE]" not in answer.body


async def test_a_streamed_call_comes_in_pieces_and_its_output_is_taken(sandbox: Sandbox):
    answer = await sandbox.respond(stream=True, tools=[TOOL])
    call = answer.events[-1]["response"]["output"][0]
    assert (call["type"], call["name"]) == ("function_call", "get_weather")
    assert deltas(answer, "response.function_call_arguments.delta") == call["arguments"]
    assert set(json.loads(call["arguments"])) == {"city", "days"}
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "12 C"}
    told = await sandbox.respond([output], previous_response_id=answer.events[-1]["response"]["id"], tools=[TOOL])
    assert "got “12 C” from a tool" in text_of(told.json)


async def test_a_conversation_goes_on_from_what_is_kept(sandbox: Sandbox):
    first = (await sandbox.respond("One")).json
    second = (await sandbox.respond("Two", previous_response_id=first["id"])).json
    assert "turn 2" in text_of(second)
    assert (await sandbox.get(f"/v1/responses/{second['id']}")).json == second
    items = (await sandbox.get(f"/v1/responses/{second['id']}/input_items?limit=2")).json
    assert items["data"][0]["content"] == [{"type": "input_text", "text": "Two"}]
    assert (items["has_more"], items["last_id"]) == (True, first["output"][0]["id"])
    path = f"/v1/responses/{second['id']}/input_items?order=asc&after={items['last_id']}"
    assert [item["role"] for item in (await sandbox.get(path)).json["data"]] == ["user"]


async def test_what_is_deleted_or_not_stored_or_anothers_is_not_found(sandbox: Sandbox):
    kept, unkept = (await sandbox.respond()).json["id"], (await sandbox.respond(store=False)).json["id"]
    assert (await sandbox.get(f"/v1/responses/{kept}", key="sk-other")).status == 404
    deleted = await sandbox.send("DELETE", f"/v1/responses/{kept}")
    assert deleted.json == {"id": kept, "object": "response", "deleted": True}
    for name in (kept, unkept):
        assert (await sandbox.get(f"/v1/responses/{name}")).status == 404
    refused = await sandbox.respond(previous_response_id=kept)
    assert (refused.status, refused.error["code"]) == (400, "previous_response_not_found")


async def test_a_response_in_the_background_ends_in_time_or_is_cancelled(sandbox: Sandbox):
    first, second = [(await sandbox.respond(background=True)).json for _ in range(2)]
    assert (first["status"], first["output"]) == ("queued", [])
    cancelled = await sandbox.send("POST", f"/v1/responses/{second['id']}/cancel")
    assert cancelled.json["status"] == "cancelled"
    states = [(await sandbox.get(f"/v1/responses/{first['id']}")).json["status"]]
    sandbox.clock.tick(10)
    states += [(await sandbox.get(f"/v1/responses/{name}")).json["status"] for name in (first["id"], second["id"])]
    assert states == ["in_progress", "completed", "cancelled"]


async def test_only_what_runs_in_the_background_can_be_cancelled(sandbox: Sandbox):
    kept = (await sandbox.respond()).json["id"]
    assert (await sandbox.send("POST", f"/v1/responses/{kept}/cancel")).status == 400


async def test_a_kept_response_is_streamed_once_more(sandbox: Sandbox):
    stream = await sandbox.respond(stream=True)
    name = stream.events[0]["response"]["id"]
    again = await sandbox.get(f"/v1/responses/{name}?stream=true&starting_after=3")
    assert again.events == stream.events[4:]


async def test_thoughts_are_handed_over_sealed_where_that_is_asked_for(sandbox: Sandbox):
    answer = await sandbox.respond(reasoning={"effort": "low"}, include=["reasoning.encrypted_content"])
    thought = answer.json["output"][0]
    assert (thought["summary"], bool(thought["encrypted_content"])) == ([], True)
    again = await sandbox.respond([thought, {"role": "user", "content": "And?"}])
    assert again.status == 200


async def test_a_schema_gets_an_object_that_conforms(sandbox: Sandbox):
    asked = {"format": {"type": "json_schema", "name": "w", "schema": WEATHER, "strict": True}}
    assert set(json.loads(text_of((await sandbox.respond(text=asked)).json))) == {"city", "days"}


async def test_images_are_seen(sandbox: Sandbox):
    parts = [
        {"type": "input_text", "text": "What?"},
        {"type": "input_image", "image_url": "https://example.com/fox.png", "detail": "low"},
    ]
    assert "saw an image of 640x480" in text_of((await sandbox.respond([{"role": "user", "content": parts}])).json)


@pytest.mark.parametrize(
    ("outcome", "reason"), [("length", "max_output_tokens"), ("content_moderated", "content_filter")]
)
async def test_an_answer_that_is_not_whole_says_why(sandbox: Sandbox, outcome: str, reason: str):
    body = (await sandbox.respond(outcome=outcome)).json
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert (await sandbox.respond(outcome=outcome, stream=True)).events[-1]["type"] == "response.incomplete"


async def test_a_refusal_is_a_part_of_its_own(sandbox: Sandbox):
    answer = await sandbox.respond(outcome="refusal", stream=True)
    part = answer.events[-1]["response"]["output"][0]["content"][0]
    assert (part["type"], deltas(answer, "response.refusal.delta")) == ("refusal", part["refusal"])


async def test_an_error_frame_is_an_event_of_its_own(sandbox: Sandbox):
    last = (await sandbox.respond(outcome="error_frame", stream=True)).events[-1]
    assert (last["type"], last["code"]) == ("error", "server_error")


async def test_tokens_of_an_order_are_counted_without_an_answer(sandbox: Sandbox):
    counted = await sandbox.post("/v1/responses/input_tokens", model="gpt-5.4", input="Hello")
    assert counted.json["input_tokens"] == (await sandbox.respond()).json["usage"]["input_tokens"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": None}, "input"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "input"),
        ({"max_output_tokens": 5}, "max_output_tokens"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"truncation": "maybe"}, "truncation"),
        ({"background": True, "store": False}, "background"),
        ({"text": {"format": {"type": "json_object"}}}, "messages"),
        ({"bogus": 1}, "bogus"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named(sandbox: Sandbox, body: dict[str, Any], param: str):
    answer = await sandbox.post("/v1/responses", **({"model": "gpt-5.4", "input": "Hello"} | body))
    assert (answer.status, answer.error["param"]) == (400, param)
