from typing import Any

import pytest

from halley.kernel.chat import (
    Blob,
    BlobKind,
    Message,
    OutputFormat,
    OutputKind,
    Part,
    Reasoning,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from halley.kernel.faults import BadRequest
from halley.wire.anthropic import MESSAGES

IMAGE = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **fields}


def with_block(block: Any) -> dict[str, Any]:
    return body(messages=[{"role": "user", "content": [block]}])


def test_a_plain_order_is_read():
    order = MESSAGES.read_order(body(system="Be brief", stream=True, temperature=0.5, top_k=4, stop_sequences=["x"]))
    assert order.messages == (
        Message(role=Role.SYSTEM, parts=(Text(text="Be brief"),)),
        Message(role=Role.USER, parts=(Text(text="Hi"),)),
    )
    assert (order.model, order.output_tokens_max, order.stream) == ("m", 9, True)
    assert (order.temperature, order.top_k, order.stop, order.extras) == (0.5, 4, ("x",), {})


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        ({"type": "image", "source": IMAGE}, Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AAAA")),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
            Blob(kind=BlobKind.IMAGE, url="https://x.example/a.png"),
        ),
        (
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
            Blob(kind=BlobKind.IMAGE, file_id="file_1"),
        ),
        (
            {
                "type": "document",
                "title": "t",
                "citations": {"enabled": False},
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
            },
            Blob(kind=BlobKind.FILE, media_type="application/pdf", data="AAAA", name="t"),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
            Blob(kind=BlobKind.FILE, media_type="text/plain", data="aGVsbG8="),
        ),
        (
            {"type": "document", "source": {"type": "content", "content": "hello"}},
            Blob(kind=BlobKind.FILE, media_type="text/plain", data="aGVsbG8="),
        ),
        (
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}},
            ToolCall(id="t1", name="f", arguments='{"a":1}'),
        ),
        (
            {"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": True},
            ToolResult(call_id="t1", parts=(Text(text="no"),), is_error=True),
        ),
        (
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "image", "source": IMAGE}]},
            ToolResult(call_id="t1", parts=(Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AAAA"),)),
        ),
        ({"type": "tool_result", "tool_use_id": "t1"}, ToolResult(call_id="t1", parts=())),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, Thinking(text="hm", signature="s")),
        ({"type": "thinking", "thinking": "hm", "signature": ""}, Thinking(text="hm")),
        ({"type": "redacted_thinking", "data": "d"}, Thinking(redacted="d")),
    ],
    ids=str,
)
def test_a_block_is_read(block: dict[str, Any], part: Part):
    order = MESSAGES.read_order(with_block({**block, "cache_control": {"type": "ephemeral"}}))
    assert order.messages[0].parts == (part,)
    assert order.extras == {}


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (with_block({"type": "search_result", "source": "s"}), "messages[0].content[0]"),
        (
            with_block({"type": "image", "source": IMAGE, "transformations": {"oversized_image": "error"}}),
            "messages[0].content[0].transformations",
        ),
        (body(tools=[{"type": "web_search_20250305", "name": "web_search"}]), "tools[0]"),
        (body(tools=[{"name": "f", "input_schema": {}, "defer_loading": True}]), "tools[0].defer_loading"),
        (
            with_block({"type": "document", "source": {"type": "content", "content": [{"type": "text"}]}}),
            "messages[0].content[0].source",
        ),
        (body(container="c"), "container"),
        (body(mcp_servers=[{"url": "u"}]), "mcp_servers"),
        (body(inference_geo="us"), "inference_geo"),
        (body(speed="fast"), "speed"),
        (body(service_tier="flex"), "service_tier"),
        (body(thinking={"type": "between_tools"}), "thinking"),
        (body(context_management={"edits": [{"type": "clear_tool_uses_20250919"}]}), "context_management"),
        (body(thinking={"type": "disabled"}, output_config={"effort": "low"}), "output_config.effort"),
        (body(logprobs=0), "logprobs"),
        (body(brand_new={"a": 1}), "brand_new"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_word_stands_for_is_kept_by_its_name(sent: dict[str, Any], name: str):
    assert list(MESSAGES.read_order(sent).extras) == [name]


def test_hints_defaults_and_nulls_are_not_taken_up():
    sent = body(
        metadata={"user_id": "u"},
        service_tier="auto",
        cache_control={"type": "ephemeral"},
        speed="standard",
        container=None,
        mcp_servers=[],
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        diagnostics={"previous_message_id": None},
    )
    assert MESSAGES.read_order(sent) == MESSAGES.read_order(body())


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({}, "model"),
        ({"model": "m", "messages": []}, "max_tokens"),
        ({"model": "m", "max_tokens": 1}, "messages"),
        (body(messages=[]), "messages"),
        (body(messages="Hi"), "messages"),
        (body(messages=["Hi"]), "messages[0]"),
        (body(messages=[{"role": "robot", "content": "Hi"}]), "messages[0].role"),
        (body(messages=[{"role": "user"}]), "messages[0].content"),
        (body(messages=[{"role": "user", "content": 1}]), "messages[0].content"),
        (with_block({"text": "a"}), "messages[0].content[0].type"),
        (with_block({"type": "text"}), "messages[0].content[0].text"),
        (with_block({"type": "image", "source": {**IMAGE, "data": 7}}), "messages[0].content[0].source.data"),
        (with_block({"type": "image", "source": {"type": "ftp"}}), "messages[0].content[0].source.type"),
        (with_block({"type": "tool_use", "id": "a", "name": "f"}), "messages[0].content[0].input"),
        (body(max_tokens="9"), "max_tokens"),
        (body(temperature=True), "temperature"),
        (body(stop_sequences=["a", 1]), "stop_sequences[1]"),
        (body(system=[{"type": "text", "text": 1}]), "system[0].text"),
        (body(tools=[{"name": "f"}]), "tools[0].input_schema"),
        (body(tool_choice={"type": "tool"}), "tool_choice.name"),
        (body(tool_choice={"type": "some"}), "tool_choice.type"),
        (body(thinking={"type": "enabled"}), "thinking.budget_tokens"),
        (body(output_config={"format": {"type": "json_object"}}), "output_config.format.type"),
        (body(stream="yes"), "stream"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named_by_its_place(sent: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as caught:
        MESSAGES.read_order(sent)
    assert caught.value.param == param
    assert f"`{param}`" in caught.value.message


@pytest.mark.parametrize(
    ("thinking", "effort", "reasoning"),
    [
        (None, None, None),
        (None, "low", Reasoning(effort="low")),
        ({"type": "disabled"}, None, Reasoning(enabled=False)),
        ({"type": "adaptive"}, None, Reasoning()),
        ({"type": "adaptive", "display": "omitted"}, "max", Reasoning(effort="max", show=False)),
        (
            {"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
            None,
            Reasoning(budget_tokens=2000, show=True),
        ),
    ],
)
def test_thinking_and_effort_are_one_wish(
    thinking: dict[str, Any] | None, effort: str | None, reasoning: Reasoning | None
):
    order = MESSAGES.read_order(body(thinking=thinking, output_config={"effort": effort}))
    assert order.reasoning == reasoning
    assert order.extras == {}


@pytest.mark.parametrize(
    ("choice", "read", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode=ToolMode.AUTO), None),
        (
            {"type": "any", "disable_parallel_tool_use": True},
            ToolChoice(mode=ToolMode.REQUIRED),
            False,
        ),
        ({"type": "tool", "name": "f"}, ToolChoice(mode=ToolMode.REQUIRED, name="f"), None),
        ({"type": "none"}, ToolChoice(mode=ToolMode.NONE), None),
    ],
)
def test_a_tool_choice_is_read(choice: dict[str, Any], read: ToolChoice, *, parallel: bool | None):
    order = MESSAGES.read_order(body(tool_choice=choice))
    assert (order.tool_choice, order.parallel_tools) == (read, parallel)


def test_tools_are_read():
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    tool: dict[str, Any] = {"name": "f", "description": "d", "input_schema": schema, "strict": True, "type": "custom"}
    order = MESSAGES.read_order(body(tools=[{**tool, "cache_control": {"type": "ephemeral"}}]))
    assert order.tools == (Tool(name="f", description="d", parameters=schema, strict=True),)
    assert order.extras == {}


@pytest.mark.parametrize("place", ["output_format", "output_config"])
def test_a_schema_of_the_output_is_read_from_its_older_and_its_newer_place(place: str):
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    order = MESSAGES.read_order(body(**{place: wanted if place == "output_format" else {"format": wanted}}))
    assert order.output == OutputFormat(kind=OutputKind.SCHEMA, schema={"type": "object"})


def test_a_system_message_in_the_middle_keeps_its_place():
    turns = [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]
    order = MESSAGES.read_order(body(messages=turns))
    assert [message.role for message in order.messages] == [Role.USER, Role.SYSTEM]
