"""What vendors ask of calls and their results, whatever order and spelling a conversation came in."""

import re

from halley.kernel.chat import ChatOrder, Message, Part, Role, Text, ToolCall, ToolResult
from halley.wire.anthropic import MESSAGES
from halley.wire.calls import results_first, with_ids
from halley.wire.gemini import CONTENT
from halley.wire.openai import CHAT, RESPONSES

NINE = re.compile(r"[a-zA-Z0-9]{9}")


def user(*parts: Part) -> Message:
    return Message(role=Role.USER, parts=parts)


def calls(*ids: str) -> Message:
    return Message(role=Role.ASSISTANT, parts=tuple(ToolCall(id=each, name="f", arguments="{}") for each in ids))


def result(call_id: str) -> ToolResult:
    return ToolResult(call_id=call_id, parts=(Text(text=call_id),))


HI, AND = user(Text(text="Hi")), user(Text(text="And?"))


def test_results_stand_right_behind_their_calls():
    said = (HI, calls("a", "b"), user(result("a")), AND, user(Text(text="so"), result("b")), calls("c"), AND)
    assert results_first(said) == (
        HI,
        calls("a", "b"),
        user(result("a"), result("b")),
        AND,
        user(Text(text="so")),
        calls("c"),
        AND,
    )


def test_a_conversation_in_order_is_left_as_it_is():
    said = (HI, calls("a", "b"), user(result("a")), user(result("b")), AND, calls(), user(), AND)
    assert results_first(said) == said
    assert results_first((user(Text(text="x"), result("a")), AND)) == (user(Text(text="x"), result("a")), AND)


def test_ids_that_a_vendor_does_not_take_are_made_anew_for_call_and_result_alike():
    order = ChatOrder(model="m", messages=(HI, calls("functions.f:0", "abcDEF123"), user(result("functions.f:0"))))
    made = with_ids(order, NINE)
    first, second = made.messages[1].parts
    [answered] = made.messages[2].parts
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert isinstance(answered, ToolResult)
    assert NINE.fullmatch(first.id)
    assert first.id == answered.call_id != second.id == "abcDEF123"
    assert with_ids(order, NINE) == made
    assert with_ids(made, NINE) == made


def test_claude_is_told_ids_that_it_takes():
    order = ChatOrder(model="claude-opus-5", messages=(HI, calls("functions.f:0"), user(result("functions.f:0"))))
    _, turn, answered = MESSAGES.write_order(order)["messages"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", turn["content"][0]["id"])
    assert answered["content"][0]["tool_use_id"] == turn["content"][0]["id"]


def test_what_is_said_before_a_result_comes_behind_it_in_other_formats():
    gemini = CONTENT.read_order(
        {
            "model": "m",
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
                {"role": "user", "parts": [{"text": "Look"}, {"functionResponse": {"name": "f", "response": {}}}]},
            ],
        }
    )
    responses = RESPONSES.read_order(
        {
            "model": "m",
            "input": [
                {"role": "user", "content": "Hi"},
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"role": "user", "content": "Look"},
                {"type": "function_call_output", "call_id": "a", "output": "1"},
            ],
        }
    )
    for order in (gemini, responses):
        arranged = ChatOrder(model="m", messages=results_first(order.messages), output_tokens_max=9)
        last = MESSAGES.write_order(arranged)["messages"][-1]
        assert [block["type"] for block in last["content"]] == ["tool_result", "text"]
        assert [each["role"] for each in CHAT.write_order(arranged)["messages"]] == [
            "user",
            "assistant",
            "tool",
            "user",
        ]
