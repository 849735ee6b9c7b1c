from typing import Any

import pytest

from halley.kernel.chat import (
    Blob,
    BlobKind,
    ChatOrder,
    Message,
    OutputFormat,
    OutputKind,
    Part,
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
from halley.wire.openai.chat import write_order_with_thoughts
from halley.wire.openai.hints import HINTS

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def read(*messages: dict[str, Any], **fields: Any) -> ChatOrder:
    return CHAT.read_order({"model": "m", "messages": list(messages or (USER,)), **fields})


def parts(*given: Any) -> tuple[Part, ...]:
    return read({"role": "user", "content": list(given)}).messages[0].parts


def order(*messages: Message, **fields: Any) -> ChatOrder:
    return ChatOrder(model="m", messages=messages or (Message(role=Role.USER, parts=(Text(text="Hi"),)),), **fields)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        pytest.param({"type": "text", "text": "x"}, Text(text="x"), id="text"),
        pytest.param(
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}},
            Blob(kind=BlobKind.IMAGE, url="https://a.example/b.png", detail="low"),
            id="image",
        ),
        pytest.param(
            {"type": "image_url", "image_url": "data:image/png;base64,AAAA"},
            Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AAAA"),
            id="image as a plain string",
        ),
        pytest.param(
            {"type": "image_url", "image_url": {"url": "https://a.example/b", "detail": "auto"}},
            Blob(kind=BlobKind.IMAGE, url="https://a.example/b"),
            id="auto detail is no detail",
        ),
        pytest.param(
            {"type": "video_url", "video_url": {"url": "https://a.example/b.mp4"}},
            Blob(kind=BlobKind.VIDEO, url="https://a.example/b.mp4"),
            id="video",
        ),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            Blob(kind=BlobKind.AUDIO, media_type="audio/mpeg", data="AAAA"),
            id="sound",
        ),
        pytest.param(
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
            Blob(kind=BlobKind.FILE, media_type="application/pdf", data="AAAA", name="a.pdf"),
            id="file",
        ),
        pytest.param(
            {"type": "file", "file": {"file_id": "file-1"}}, Blob(kind=BlobKind.FILE, file_id="file-1"), id="file id"
        ),
    ],
)
def test_each_type_of_part_is_read(given: dict[str, Any], part: Part):
    assert parts(given) == (part,)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(
            {"role": "developer", "content": "x"}, Message(role=Role.SYSTEM, parts=(Text(text="x"),)), id="developer"
        ),
        pytest.param(
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            Message(role=Role.ASSISTANT, parts=(ToolCall(id="call_1", name="f", arguments="{}"),)),
            id="call",
        ),
        pytest.param(
            {"role": "assistant", "content": "", "refusal": "no", "annotations": [], "audio": None},
            Message(role=Role.ASSISTANT, parts=(Refusal(text="no"),)),
            id="refusal",
        ),
        pytest.param(
            {"role": "assistant", "content": "x", "reasoning_content": "hm"},
            Message(role=Role.ASSISTANT, parts=(Thinking(text="hm"), Text(text="x"))),
            id="thought",
        ),
        pytest.param(
            {
                "role": "assistant",
                "content": "x",
                "reasoning": "hm",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0},
                    {"type": "reasoning.encrypted", "data": "z", "index": 1},
                ],
            },
            Message(
                role=Role.ASSISTANT,
                parts=(Thinking(text="hm", signature="s"), Thinking(redacted="z"), Text(text="x")),
            ),
            id="thoughts with proofs",
        ),
        pytest.param(
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "42"}]},
            Message(role=Role.USER, parts=(ToolResult(call_id="call_1", parts=(Text(text="42"),)),)),
            id="result",
        ),
        pytest.param(
            {"role": "assistant", "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "s"}}}]},
            Message(role=Role.ASSISTANT, parts=(ToolCall(id="call_1", name="f", arguments="{}", signature="s"),)),
            id="call with a proof",
        ),
        pytest.param(
            {"role": "assistant", "content": "", "images": [{"image_url": {"url": "https://a.example/b"}}]},
            Message(role=Role.ASSISTANT, parts=(Blob(kind=BlobKind.IMAGE, url="https://a.example/b"),)),
            id="image of an earlier answer",
        ),
        pytest.param(
            {"role": "user", "name": "Ann", "content": "x"},
            Message(role=Role.USER, parts=(Text(text="x"),), name="Ann"),
            id="name",
        ),
    ],
)
def test_each_role_is_read(message: dict[str, Any], expected: Message):
    assert read(message).messages == (expected,)


def test_functions_of_the_old_kind_become_tools():
    found = read(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "42"},
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    call, result = found.messages[1].parts[0], found.messages[2].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert call.id == result.call_id
    assert found.tools == (Tool(name="f", parameters={"type": "object"}),)
    assert found.tool_choice == ToolChoice(mode=ToolMode.REQUIRED, name="f")
    assert found.extras == {}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"max_tokens": 5}, {"output_tokens_max": 5}, id="max_tokens"),
        pytest.param({"max_tokens": 5, "max_completion_tokens": 7}, {"output_tokens_max": 7}, id="the newer wins"),
        pytest.param({"stop": "a"}, {"stop": ("a",)}, id="stop as a string"),
        pytest.param({"stop": ["a", "b"]}, {"stop": ("a", "b")}, id="stop"),
        pytest.param({"temperature": 1, "top_p": 0.5}, {"temperature": 1.0, "top_p": 0.5}, id="numbers"),
        pytest.param({"n": 2, "seed": 3.0}, {"count": 2, "seed": 3}, id="whole numbers"),
        pytest.param({"top_k": 40}, {"top_k": 40}, id="top_k"),
        pytest.param({"reasoning_effort": "low"}, {"reasoning": Reasoning(effort="low")}, id="effort"),
        pytest.param({"reasoning_effort": "none"}, {"reasoning": Reasoning(enabled=False)}, id="no effort"),
        pytest.param(
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"reasoning": Reasoning(budget_tokens=2000)},
            id="thinking",
        ),
        pytest.param({"enable_thinking": False}, {"reasoning": Reasoning(enabled=False)}, id="enable_thinking"),
        pytest.param(
            {"reasoning": {"max_tokens": 100, "exclude": True}},
            {"reasoning": Reasoning(budget_tokens=100, show=False)},
            id="reasoning",
        ),
        pytest.param({"thinking_budget": 300}, {"reasoning": Reasoning(budget_tokens=300)}, id="thinking_budget"),
        pytest.param({"thinking": {"type": "disabled"}}, {"reasoning": Reasoning(enabled=False)}, id="no thinking"),
        pytest.param(
            {"response_format": {"type": "json_object"}}, {"output": OutputFormat(kind=OutputKind.JSON)}, id="json"
        ),
        pytest.param({"response_format": {"type": "text"}}, {}, id="text is what comes anyway"),
        pytest.param({"function_call": "auto"}, {"tool_choice": ToolChoice(mode=ToolMode.AUTO)}, id="function_call"),
        pytest.param({"tool_choice": "required"}, {"tool_choice": ToolChoice(mode=ToolMode.REQUIRED)}, id="choice"),
        pytest.param(
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"x": 1}}}},
            {"output": OutputFormat(kind=OutputKind.SCHEMA, name="a", schema={"x": 1})},
            id="schema",
        ),
        pytest.param({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}, id="stream"),
    ],
)
def test_each_field_is_read(fields: dict[str, Any], expected: dict[str, Any]):
    assert read(**fields) == order(**expected)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({hint.name: value}, id=f"{hint.name}-{index}")
        for hint in HINTS
        for index, value in enumerate(hint.values if hint.values is not None else ("anything", {"a": 1}))
    ],
)
def test_hints_ask_for_nothing(fields: dict[str, Any]):
    assert read(**fields) == order()
    assert RESPONSES.read_order({"model": "m", "input": "Hi", **fields}) == order()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        pytest.param({"logit_bias": {"1": 2}}, "logit_bias", id="logit_bias"),
        pytest.param({"logprobs": True}, "logprobs", id="logprobs"),
        pytest.param({"service_tier": "flex"}, "service_tier", id="service_tier"),
        pytest.param({"modalities": ["text", "audio"]}, "modalities", id="modalities"),
        pytest.param({"web_search_options": {}}, "web_search_options", id="web search"),
        pytest.param({"unheard_of": 0}, "unheard_of", id="unknown"),
        pytest.param({"reasoning": {"mode": "pro"}}, "reasoning", id="reasoning of an unknown shape"),
        pytest.param({"reasoning_effort": "low", "enable_thinking": True}, "enable_thinking", id="a second spelling"),
        pytest.param({"thinking": {"type": "adaptive"}}, "thinking", id="thinking of an unknown type"),
        pytest.param({"thinking": {"type": "enabled", "keep": "all"}}, "thinking", id="thinking that says more"),
        pytest.param({"tool_choice": {"type": "allowed_tools"}}, "tool_choice", id="allowed tools"),
        pytest.param({"tools": [{"type": "custom"}]}, "tools[0]", id="custom tool"),
        pytest.param({"response_format": {"type": "grammar"}}, "response_format", id="grammar"),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages[0].content[0]", id="part"
        ),
        pytest.param(
            {"messages": [{"role": "assistant", "tool_calls": [{"type": "custom"}]}]},
            "messages[0].tool_calls[0]",
            id="custom call",
        ),
        pytest.param({"messages": [{**USER, "prefix": True}]}, "messages[0].prefix", id="field of a message"),
    ],
)
def test_what_has_no_word_is_kept_by_name(fields: dict[str, Any], name: str):
    assert list(read(**fields).extras) == [name]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"model": None}, "model", id="no model"),
        pytest.param({"messages": None}, "messages", id="no messages"),
        pytest.param({"messages": []}, "messages", id="empty"),
        pytest.param({"messages": "Hi"}, "messages", id="a string"),
        pytest.param({"messages": ["Hi"]}, "messages[0]", id="a string within"),
        pytest.param({"messages": [{"role": "robot"}]}, "messages[0].role", id="role"),
        pytest.param({"messages": [{"role": "user"}]}, "messages[0].content", id="no content"),
        pytest.param(
            {
                "messages": [
                    USER,
                    USER,
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}]},
                ]
            },
            "messages[2].content[0].image_url.url",
            id="no url",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png,AA"}]}]},
            "messages[0].content[0].image_url",
            id="data url that is not base64",
        ),
        pytest.param({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", id="no call id"),
        pytest.param({"messages": [{"role": "function", "name": "f"}]}, "messages[0].role", id="no call before"),
        pytest.param(
            {"messages": [{"role": "tool", "tool_call_id": "c", "content": [{"type": "refusal", "refusal": "no"}]}]},
            "messages[0].content",
            id="refusal of a tool",
        ),
        pytest.param({"stop": 5}, "stop", id="stop as a number"),
        pytest.param({"temperature": "hot"}, "temperature", id="temperature"),
        pytest.param({"max_tokens": 1.5}, "max_tokens", id="max_tokens"),
        pytest.param({"n": True}, "n", id="a boolean is no number"),
        pytest.param({"stream": "yes"}, "stream", id="stream"),
        pytest.param({"stop": [1]}, "stop[0]", id="stop"),
        pytest.param({"tool_choice": "perhaps"}, "tool_choice", id="tool_choice"),
        pytest.param(
            {"tools": [{"type": "function", "function": {"strict": True}}]}, "tools[0].function.name", id="no name"
        ),
    ],
)
def test_a_bad_shape_is_named_by_its_path(fields: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as caught:
        CHAT.read_order({"model": "m", "messages": [USER], **fields})
    assert caught.value.param == param
    assert f"`{param}`" in caught.value.message


@pytest.mark.parametrize(
    ("message", "param"),
    [
        pytest.param(
            Message(role=Role.USER, parts=(Blob(kind=BlobKind.IMAGE, file_id="f"),)), "file_id", id="another's file"
        ),
        pytest.param(
            Message(role=Role.USER, parts=(Blob(kind=BlobKind.FILE, url="https://a.example/b"),)),
            "file",
            id="file by link",
        ),
        pytest.param(
            Message(role=Role.SYSTEM, parts=(Blob(kind=BlobKind.IMAGE, data="AA"),)), "messages", id="system image"
        ),
        pytest.param(
            Message(role=Role.USER, parts=(ToolResult(call_id="c", parts=(Blob(kind=BlobKind.IMAGE, data="AA"),)),)),
            "messages",
            id="image in a result",
        ),
        pytest.param(
            Message(role=Role.ASSISTANT, parts=(Blob(kind=BlobKind.IMAGE, data="AA"),)),
            "messages",
            id="image of the assistant",
        ),
    ],
)
def test_what_chat_cannot_hold_is_refused(message: Message, param: str):
    with pytest.raises(NotConveyed) as caught:
        CHAT.write_order(order(message))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"top_k": 4}, "top_k", id="top_k"),
        pytest.param({"extras": {"logit_bias": {"1": 2}}}, "logit_bias", id="extras"),
        pytest.param({"extras": {"service_tier": "standard_only"}}, "service_tier", id="another format's value"),
    ],
)
def test_fields_without_a_word_in_chat_are_refused(fields: dict[str, Any], param: str):
    with pytest.raises(NotConveyed) as caught:
        CHAT.write_order(order(**fields))
    assert caught.value.param == param


def test_an_order_is_written_for_a_stream_with_usage():
    body = CHAT.write_order(order(stream=True, reasoning=Reasoning(budget_tokens=5000), extras={"verbosity": "low"}))
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "reasoning_effort": "medium",
        "verbosity": "low",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_results_follow_their_calls_and_failures_are_told_in_words():
    failed = ToolResult(call_id="c", parts=(Text(text="boom"),), is_error=True)
    silent = ToolResult(call_id="d", parts=(), is_error=True)
    body = CHAT.write_order(order(Message(role=Role.USER, parts=(Text(text="so?"), failed, silent))))
    assert body["messages"] == [
        {"role": "tool", "tool_call_id": "c", "content": "Error: boom"},
        {"role": "tool", "tool_call_id": "d", "content": "Error:"},
        {"role": "user", "content": "so?"},
    ]


def test_earlier_thoughts_are_left_out_unless_a_vendor_wants_them():
    thought = order(Message(role=Role.ASSISTANT, parts=(Thinking(text="hm", signature="s"), Text(text="x"))))
    assert CHAT.write_order(thought)["messages"] == [{"role": "assistant", "content": "x"}]
    assert write_order_with_thoughts(thought)["messages"] == [
        {"role": "assistant", "content": "x", "reasoning_content": "hm"}
    ]


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("gpt-5.4", "none"),
        ("gpt-6-sol", "none"),
        ("gpt-5-mini", "minimal"),
        ("gpt-5.1-codex", "low"),
        ("o3", "low"),
        ("gpt-5-pro", None),
        ("gpt-5-chat-latest", None),
        ("gpt-4o-mini", None),
        ("deepseek-chat", None),
        ("qwen3-32b", "none"),
    ],
)
def test_not_to_think_is_told_in_the_words_that_a_model_knows(model: str, effort: str | None):
    hello = Message(role=Role.USER, parts=(Text(text="Hi"),))
    order = ChatOrder(model=model, messages=(hello,), reasoning=Reasoning(enabled=False))
    assert CHAT.write_order(order).get("reasoning_effort") == effort
    assert RESPONSES.write_order(order).get("reasoning") == (None if effort is None else {"effort": effort})
