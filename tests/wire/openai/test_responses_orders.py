from typing import Any

import pytest

from halley.kernel.chat import (
    Blob,
    BlobKind,
    ChatOrder,
    Message,
    OutputFormat,
    OutputKind,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from halley.kernel.faults import BadRequest, NotConveyed
from halley.wire.openai import CHAT, RESPONSES

HI = Message(role=Role.USER, parts=(Text(text="Hi"),))


def read(*items: dict[str, Any], **fields: Any) -> ChatOrder:
    return RESPONSES.read_order({"model": "m", "input": list(items) or "Hi", **fields})


def order(*messages: Message, **fields: Any) -> ChatOrder:
    return ChatOrder(model="m", messages=messages or (HI,), **fields)


def test_instructions_come_first():
    assert read(instructions="Be kind").messages == (Message(role=Role.SYSTEM, parts=(Text(text="Be kind"),)), HI)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(
            {"role": "developer", "content": "x"}, Message(role=Role.SYSTEM, parts=(Text(text="x"),)), id="easy message"
        ),
        pytest.param(
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "x"},
                    {"type": "input_image", "image_url": "https://a.example/b", "detail": "auto"},
                    {"type": "input_file", "file_url": "https://a.example/c", "filename": "c"},
                ],
            },
            Message(
                role=Role.USER,
                parts=(
                    Text(text="x"),
                    Blob(kind=BlobKind.IMAGE, url="https://a.example/b"),
                    Blob(kind=BlobKind.FILE, url="https://a.example/c", name="c"),
                ),
            ),
            id="parts",
        ),
        pytest.param(
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "x", "annotations": [0], "logprobs": [0]},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
            Message(role=Role.ASSISTANT, parts=(Text(text="x"), Refusal(text="no"))),
            id="answer",
        ),
        pytest.param(
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "c",
                "name": "f",
                "arguments": "{}",
                "status": "completed",
            },
            Message(role=Role.ASSISTANT, parts=(ToolCall(id="c", name="f", arguments="{}"),)),
            id="call",
        ),
        pytest.param(
            {"type": "function_call_output", "call_id": "c", "output": "42"},
            Message(role=Role.USER, parts=(ToolResult(call_id="c", parts=(Text(text="42"),)),)),
            id="result",
        ),
        pytest.param(
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}],
            },
            Message(
                role=Role.USER,
                parts=(
                    ToolResult(call_id="c", parts=(Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AAAA"),)),
                ),
            ),
            id="result of parts",
        ),
        pytest.param(
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
                "encrypted_content": "s",
            },
            Message(role=Role.ASSISTANT, parts=(Thinking(text="a\n\nb", signature="s"),)),
            id="thought",
        ),
        pytest.param(
            {"type": "reasoning", "summary": [], "encrypted_content": "s"},
            Message(role=Role.ASSISTANT, parts=(Thinking(redacted="s"),)),
            id="hidden thought",
        ),
    ],
)
def test_each_type_of_item_is_read(item: dict[str, Any], expected: Message):
    found = read(item)
    assert (found.messages, found.extras) == ((expected,), {})


def test_what_the_assistant_does_in_a_row_is_one_message():
    found = read(
        {"role": "user", "content": "Hi"},
        {"type": "reasoning", "summary": []},
        {"role": "assistant", "content": "a"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": ""},
    )
    assert [message.role for message in found.messages] == [Role.USER, Role.ASSISTANT, Role.USER]
    assert found.messages[1].parts == (Text(text="a"), ToolCall(id="c", name="f", arguments="{}"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"max_output_tokens": 5}, {"output_tokens_max": 5}, id="max_output_tokens"),
        pytest.param(
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"x": 1}, "strict": True}}},
            {"output": OutputFormat(kind=OutputKind.SCHEMA, name="a", schema={"x": 1}, strict=True)},
            id="schema",
        ),
        pytest.param({"text": {"format": {"type": "text"}, "verbosity": "medium"}}, {}, id="usual text"),
        pytest.param({"text": {"verbosity": "low"}}, {"extras": {"verbosity": "low"}}, id="verbosity"),
        pytest.param(
            {"reasoning": {"effort": "high", "summary": "auto"}},
            {"reasoning": Reasoning(effort="high", show=True)},
            id="reasoning",
        ),
        pytest.param({"reasoning": {"effort": None}}, {}, id="no reasoning"),
        pytest.param(
            {"tools": [{"type": "function", "name": "f", "parameters": {"a": 1}, "strict": False}]},
            {"tools": (Tool(name="f", parameters={"a": 1}),)},
            id="tool",
        ),
        pytest.param(
            {"tool_choice": {"type": "function", "name": "f"}},
            {"tool_choice": ToolChoice(mode=ToolMode.REQUIRED, name="f")},
            id="choice",
        ),
    ],
)
def test_each_field_is_read(fields: dict[str, Any], expected: dict[str, Any]):
    assert read(**fields) == order(**expected)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        pytest.param(
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "A", "detail": "high"}]}]},
            "input[0].content[0].detail",
            id="how closely to look at a file",
        ),
        pytest.param({"previous_response_id": "resp_1"}, "previous_response_id", id="previous"),
        pytest.param({"conversation": "c"}, "conversation", id="conversation"),
        pytest.param({"background": True}, "background", id="background"),
        pytest.param({"truncation": "auto"}, "truncation", id="truncation"),
        pytest.param({"include": ["web_search_call.results"]}, "include", id="include"),
        pytest.param({"tools": [{"type": "web_search"}]}, "tools[0]", id="the vendor's tool"),
        pytest.param({"tool_choice": {"type": "mcp"}}, "tool_choice", id="choice of it"),
        pytest.param({"reasoning": {"context": "all_turns"}}, "reasoning.context", id="reasoning"),
        pytest.param({"text": {"format": {"type": "grammar"}}}, "text.format", id="grammar"),
        pytest.param({"input": [{"type": "computer_call"}]}, "input[0]", id="item"),
        pytest.param({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0]", id="part"),
    ],
)
def test_what_has_no_word_is_kept_by_name(fields: dict[str, Any], name: str):
    assert list(read(**fields).extras) == [name]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"input": None}, "input", id="no input"),
        pytest.param({"input": 5}, "input", id="a number"),
        pytest.param({"input": [{"role": "robot", "content": "x"}]}, "input[0].role", id="role"),
        pytest.param({"input": [{"type": "function_call"}]}, "input[0].call_id", id="no call id"),
        pytest.param(
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
            id="no url",
        ),
        pytest.param(
            {
                "input": [
                    {"type": "function_call_output", "call_id": "c", "output": [{"type": "refusal", "refusal": "n"}]}
                ]
            },
            "input[0].output",
            id="refusal of a tool",
        ),
        pytest.param({"input": [{"role": "user"}]}, "input[0].content", id="no content"),
        pytest.param({"instructions": []}, "instructions", id="instructions"),
    ],
)
def test_a_bad_shape_is_named_by_its_path(fields: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as caught:
        RESPONSES.read_order({"model": "m", "input": "Hi", **fields})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("message", "param"),
    [
        pytest.param(Message(role=Role.USER, parts=(), name="Ann"), "name", id="name"),
        pytest.param(
            Message(role=Role.USER, parts=(Text(text="x"), Blob(kind=BlobKind.VIDEO, data="AA"))),
            "video_url",
            id="video",
        ),
        pytest.param(Message(role=Role.USER, parts=(Refusal(text="no"),)), "messages", id="refusal of a user"),
        pytest.param(
            Message(role=Role.ASSISTANT, parts=(Blob(kind=BlobKind.IMAGE, data="AA"),)), "messages", id="answered image"
        ),
        pytest.param(
            Message(role=Role.USER, parts=(Blob(kind=BlobKind.FILE, file_id="f"),)), "file_id", id="another's file"
        ),
    ],
)
def test_what_responses_cannot_hold_is_refused(message: Message, param: str):
    with pytest.raises(NotConveyed) as caught:
        RESPONSES.write_order(order(message))
    assert caught.value.param == param


def test_files_are_written_by_link_or_content():
    linked = Blob(kind=BlobKind.FILE, url="https://a.example/b", name="b")
    bare = Blob(kind=BlobKind.FILE, data="AAAA")
    body = RESPONSES.write_order(order(Message(role=Role.USER, parts=(linked, bare))))
    assert body["input"][0]["content"] == [
        {"type": "input_file", "filename": "b", "file_url": "https://a.example/b"},
        {"type": "input_file", "file_data": "AAAA"},
    ]


@pytest.mark.parametrize(
    "fields",
    [{"stop": ("a",)}, {"seed": 1}, {"top_k": 1}, {"presence_penalty": 1.0}, {"frequency_penalty": 1.0}],
    ids=lambda fields: next(iter(fields)),
)
def test_fields_without_a_word_in_responses_are_refused(fields: dict[str, Any]):
    with pytest.raises(NotConveyed) as caught:
        RESPONSES.write_order(order(**fields))
    assert caught.value.param == next(iter(fields))


def test_more_answers_than_one_are_refused():
    with pytest.raises(NotConveyed, match="`n` cannot"):
        RESPONSES.write_order(order(count=2))
    assert "n" not in RESPONSES.write_order(order(count=1))


def test_a_sealed_thought_is_handed_back_in_the_alphabet_that_it_was_sealed_in():
    body = RESPONSES.write_order(order(Message(role=Role.ASSISTANT, parts=(Thinking(text="a", signature="gAAAA+/="),))))
    assert body["input"][0]["encrypted_content"] == "gAAAA-_="


def test_only_thoughts_that_openai_sealed_are_handed_back():
    thoughts = (Thinking(text="a", signature="theirs"), Thinking(text="b", signature="gAAAAx"), Thinking(text="c"))
    body = RESPONSES.write_order(order(Message(role=Role.ASSISTANT, parts=thoughts)))
    assert body["input"] == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "b"}], "encrypted_content": "gAAAAx"}
    ]


def test_an_order_is_not_kept_and_its_thoughts_come_sealed():
    body = RESPONSES.write_order(
        order(
            Message(role=Role.SYSTEM, parts=(Text(text="Be kind"),)),
            HI,
            reasoning=Reasoning(budget_tokens=1024, show=True),
            tools=(Tool(name="f"),),
            stream=True,
        )
    )
    assert body == {
        "model": "m",
        "instructions": "Be kind",
        "input": [{"type": "message", "role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": False}],
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "stream": True,
    }


def test_verbosity_goes_from_one_of_openais_formats_to_the_other():
    found = CHAT.read_order({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "verbosity": "high"})
    assert RESPONSES.write_order(found)["text"] == {"verbosity": "high"}
    assert CHAT.write_order(read(text={"verbosity": "high"}))["verbosity"] == "high"
