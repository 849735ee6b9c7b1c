"""Conversations that go on from a kept response, whichever vendor made it and whichever makes the next."""

from typing import Any

import msgspec
import pytest
from tests.responses.calls import CLAUDE, GEMINI, OPENAI, Responses, error_of, events_of

from halley.responses import KEPT_US
from halley.responses.model import TURNS_MAX

EACH_FORMAT = pytest.mark.parametrize("model", [OPENAI, CLAUDE, GEMINI])
GONE = (400, "previous_response_id", "previous_response_not_found")
TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


async def _without(responses: Responses, channel_id: str) -> None:
    """Take a channel out of use."""
    await responses.use_channels(lambda channel: channel.id != channel_id)


async def _maker(responses: Responses) -> str:
    """The channel that made the last response."""
    return (await responses.kept())[-1]["channel_id"]


async def test_the_vendor_that_has_the_conversation_gets_the_call_as_it_was_written(responses: Responses):
    first = await responses.make("My name is Ada.")
    maker = await _maker(responses)
    second = await responses.make("And now?", previous_response_id=first["id"])
    told = {name: value for name, value in responses.last_sent.items() if name != "model"}
    assert told == {"input": "And now?", "previous_response_id": first["id"]}
    assert (await _maker(responses), second["previous_response_id"]) == (maker, first["id"])


async def test_another_vendor_of_the_format_is_told_what_was_said(responses: Responses):
    first = await responses.make("My name is Ada.")
    maker = await _maker(responses)
    await _without(responses, maker)
    second = await responses.make("And now?", previous_response_id=first["id"], instructions="Be brief.")
    assert await _maker(responses) != maker
    assert "previous_response_id" not in responses.last_sent
    said = responses.last_sent["input"]
    assert [item["role"] for item in said] == ["user", "assistant", "user"]
    assert said[1]["content"][0]["text"] == first["output"][0]["content"][0]["text"]
    assert not any("id" in item for item in said)
    assert second["previous_response_id"] == first["id"]
    assert (await responses.fetch(second["id"])).json["previous_response_id"] == first["id"]


async def test_a_stream_says_in_each_event_what_it_goes_on_from(responses: Responses):
    first = await responses.make("My name is Ada.")
    await _without(responses, await _maker(responses))
    events = events_of(await responses.call("And?", previous_response_id=first["id"], stream=True))
    told = [event["response"]["previous_response_id"] for _, event in events if "response" in event]
    assert told == [first["id"]] * 3
    assert [event["sequence_number"] for _, event in events] == list(range(len(events)))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_vendor_of_another_format_recalls_the_conversation(responses: Responses, stream: bool):
    first = await responses.make("My name is Ada.", CLAUDE, instructions="Be brief.")
    reply = await responses.call("And mine?", CLAUDE, previous_response_id=first["id"], stream=stream)
    said = responses.last_sent
    assert [message["role"] for message in said["messages"]] == ["user", "assistant", "user"]
    assert "My name is Ada." in str(said["messages"][0])
    assert first["output"][0]["content"][0]["text"] in str(said["messages"][1])
    assert "system" not in said, "instructions are of one turn"
    second = events_of(reply)[-1][1]["response"] if stream else reply.json
    assert second["previous_response_id"] == first["id"]


@pytest.mark.parametrize(("before", "after"), [(OPENAI, CLAUDE), (CLAUDE, GEMINI), (GEMINI, OPENAI)])
async def test_a_conversation_moves_from_vendor_to_vendor(responses: Responses, before: str, after: str):
    first = await responses.make("Say heliotrope.", before)
    second = await responses.make("And then?", after, previous_response_id=first["id"])
    assert "Say heliotrope." in str(responses.last_sent)
    third = await responses.make("At last?", before, previous_response_id=second["id"])
    listed = await responses.items(third["id"], "?order=asc")
    users = [item["content"][0]["text"] for item in listed["data"] if item.get("role") == "user"]
    assert users == ["Say heliotrope.", "And then?", "At last?"]
    assert [item.get("role") for item in listed["data"]] == ["user", "assistant", "user", "assistant", "user"]


async def test_a_vendor_that_was_told_all_has_all_from_then_on(responses: Responses):
    first = await responses.make("Say heliotrope.", CLAUDE)
    second = await responses.make("And then?", previous_response_id=first["id"])
    assert len(responses.last_sent["input"]) == 3
    await responses.make("At last?", previous_response_id=second["id"])
    assert responses.last_sent["input"] == "At last?"


async def test_a_vendor_that_lost_what_it_kept_is_told_it(responses: Responses):
    first = await responses.make("My name is Ada.")
    channel = responses.rig.world.config.by_id[await _maker(responses)]
    await responses.rig.client.call(
        "DELETE", f"{channel.base_url}/responses/{first['id']}", headers={"authorization": "Bearer simulated"}
    )
    second = await responses.make("And now?", previous_response_id=first["id"])
    assert [item["role"] for item in responses.last_sent["input"]] == ["user", "assistant", "user"]
    assert second["previous_response_id"] == first["id"]


async def test_a_vendor_that_lost_what_it_kept_is_not_asked_more_often_than_may_be(responses: Responses):
    world = responses.rig.world
    first = await responses.make("My name is Ada.")
    channel = world.config.by_id[await _maker(responses)]
    await responses.rig.client.call(
        "DELETE", f"{channel.base_url}/responses/{first['id']}", headers={"authorization": "Bearer simulated"}
    )
    world.settings = msgspec.structs.replace(world.settings, attempts_max=1)
    refused = await responses.call("And now?", previous_response_id=first["id"])
    assert error_of(refused)[:2] == (400, "previous_response_id")


@EACH_FORMAT
async def test_the_result_of_a_tool_follows_its_call(responses: Responses, model: str):
    first = await responses.make("The weather?", model, tools=[TOOL])
    call = next(item for item in first["output"] if item["type"] == "function_call")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."}
    second = await responses.make([result], model, tools=[TOOL], previous_response_id=first["id"])
    assert second["output"][-1]["type"] == "message"
    kinds = [item["type"] for item in (await responses.items(second["id"], "?order=asc"))["data"]]
    assert kinds[-2:] == ["function_call", "function_call_output"]


async def test_sealed_thoughts_go_back_to_the_channel_they_came_from(responses: Responses):
    thinking: dict[str, Any] = {"reasoning": {"effort": "high"}}
    first = await responses.make("Why? [[halley outcome=reasoning]]", CLAUDE, **thinking)
    assert first["output"][0]["encrypted_content"]
    await responses.make("And?", CLAUDE, previous_response_id=first["id"], **thinking)
    assert responses.last_sent["messages"][1]["content"][0]["type"] == "thinking"
    await responses.make("And?", GEMINI, previous_response_id=first["id"])
    assert first["output"][0]["encrypted_content"] not in str(responses.last_sent)


async def test_the_hold_covers_what_was_said_before(responses: Responses):
    first = await responses.make("long " * 5_000, CLAUDE)
    await responses.make("And?", CLAUDE, previous_response_id=first["id"])
    await responses.make("And?", CLAUDE)
    query = "SELECT amount_nanos FROM transfers WHERE kind = 'hold' ORDER BY created_at, id"
    held = [row["amount_nanos"] for row in await responses.rig.world.db.read(lambda tx: tx.all(query))]
    assert held[1] > held[0] > held[2]


# --- what cannot be gone on from ----------------------------------------------------------------------------


async def test_an_unknown_response_is_not_asked_for_at_any_vendor(responses: Responses):
    reply = await responses.call(previous_response_id="resp_nothing")
    assert error_of(reply) == GONE
    assert reply.json["error"]["message"] == "Previous response with id 'resp_nothing' not found."
    assert responses.sent == []


async def test_a_conversation_with_a_gap_is_refused_where_its_vendor_does_not_have_it(responses: Responses):
    first = await responses.make(model=CLAUDE)
    second = await responses.make("And?", CLAUDE, previous_response_id=first["id"])
    await responses.delete(first["id"])
    refused = await responses.call("And then?", CLAUDE, previous_response_id=second["id"])
    assert error_of(refused) == GONE
    assert "deleted" in refused.json["error"]["message"]
    listed = await responses.items(second["id"])
    assert [item["content"][0]["text"] for item in listed["data"]] == ["And?"]


async def test_a_conversation_with_a_gap_goes_on_where_its_vendor_has_it(responses: Responses):
    first = await responses.make()
    second = await responses.make("And?", previous_response_id=first["id"])
    await responses.rig.world.db.write(
        "test", lambda tx: tx.run("UPDATE responses SET expires_at = 0 WHERE previous IS NULL")
    )
    await responses.make("And then?", previous_response_id=second["id"])
    assert responses.last_sent["previous_response_id"] == second["id"]
    await _without(responses, await _maker(responses))
    refused = await responses.call("And then?", previous_response_id=second["id"])
    assert error_of(refused) == GONE


async def test_a_conversation_has_a_greatest_length(responses: Responses):
    made = await responses.make(model=CLAUDE)
    (row,) = await responses.kept()
    values = {name: row[name] for name in row.keys()}  # noqa: SIM118 - a row is no dict
    names = ", ".join(values)

    def grow(tx: Any) -> None:
        for turn in range(TURNS_MAX):
            previous = values["id"] if turn == 0 else f"kept_{turn - 1}"
            params = {**values, "id": f"kept_{turn}", "response_id": f"resp_{turn}", "previous": previous}
            tx.run(f"INSERT INTO responses ({names}) VALUES ({', '.join(f':{name}' for name in values)})", params)  # noqa: S608 - own names

    await responses.rig.world.db.write("test", grow)
    assert (await responses.call("And?", CLAUDE, previous_response_id=f"resp_{TURNS_MAX - 2}")).status == 200
    refused = await responses.call("And?", CLAUDE, previous_response_id=f"resp_{TURNS_MAX - 1}")
    assert error_of(refused) == GONE
    assert f"more than {TURNS_MAX} turns" in refused.json["error"]["message"]
    assert made["id"]


@EACH_FORMAT
async def test_a_new_turn_is_a_text_or_items(responses: Responses, model: str):
    first = await responses.make("Hello", CLAUDE)
    assert error_of(await responses.call(7, model, previous_response_id=first["id"]))[:2] == (400, "input")


async def test_what_is_too_old_is_not_gone_on_from(responses: Responses):
    first = await responses.make()
    await responses.rig.pass_time(KEPT_US // 1_000_000, step_s=86_400)
    assert error_of(await responses.call(previous_response_id=first["id"])) == GONE


@EACH_FORMAT
@pytest.mark.parametrize(("name", "value"), [("background", True), ("conversation", "conv_1")])
async def test_what_is_not_offered_is_refused_by_name(responses: Responses, model: str, name: str, value: Any):
    refused = await responses.call("Hello", model, **{name: value})
    assert error_of(refused)[:2] == (400, name)
    assert responses.sent == []


@EACH_FORMAT
async def test_what_asks_for_nothing_is_not_refused(responses: Responses, model: str):
    await responses.make("Hello", model, background=False, conversation=None, previous_response_id=None)
