from typing import Any

import msgspec
import pytest
from tests.wire.talk import TOOL, USER, said

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
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from halley.kernel.faults import BadRequest, NotConveyed
from halley.wire.anthropic import MESSAGES
from halley.wire.anthropic.encode import DEFAULT_OUTPUT_TOKENS


def order(*messages: Message, **fields: Any) -> ChatOrder:
    return ChatOrder(model="claude-opus-5", messages=messages or (USER,), **fields)


def test_leading_system_messages_become_the_system_prompt():
    one, two = said(Role.SYSTEM, Text(text="a")), said(Role.SYSTEM, Text(text="b"))
    assert MESSAGES.write_order(order(one, USER))["system"] == "a"
    assert MESSAGES.write_order(order(one, two, USER))["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]


def test_a_system_prompt_holds_nothing_but_text():
    picture = Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AA==")
    with pytest.raises(NotConveyed) as caught:
        MESSAGES.write_order(order(said(Role.SYSTEM, picture), USER))
    assert caught.value.param == "messages[0].content[0]"


def test_messages_of_one_role_are_joined_and_a_result_is_the_users():
    call = said(Role.ASSISTANT, Text(text=""), ToolCall(id="1", name="f", arguments='{"a": 1}'))
    result = said(Role.USER, ToolResult(call_id="1", parts=(Text(text="2"),)))
    written = MESSAGES.write_order(order(USER, call, result, USER))
    assert written["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "2"},
                {"type": "text", "text": "Hi"},
            ],
        },
    ]


def test_a_thought_without_proof_is_left_out_and_a_refusal_is_a_text():
    answer = said(Role.ASSISTANT, Thinking(text="hm"), Refusal(text="no"))
    assert MESSAGES.write_order(order(USER, answer))["messages"][1]["content"] == [{"type": "text", "text": "no"}]
    only_thought = said(Role.ASSISTANT, Thinking(text="hm"))
    assert len(MESSAGES.write_order(order(USER, only_thought, USER))["messages"]) == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seed": 0}, "seed"),
        ({"count": 2}, "n"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"temperature": 1.5}, "temperature"),
        ({"output": OutputFormat(kind=OutputKind.JSON)}, "response_format"),
        ({"extras": {"logit_bias": {}}}, "logit_bias"),
        ({"reasoning": Reasoning(effort="minimal")}, "reasoning_effort"),
    ],
    ids=str,
)
def test_what_the_format_has_no_word_for_is_refused_by_name(fields: dict[str, Any], param: str):
    with pytest.raises(NotConveyed) as caught:
        MESSAGES.write_order(order(**fields))
    assert caught.value.param == param


def test_what_is_as_good_as_not_sent_is_not_refused():
    plain = MESSAGES.write_order(order())
    assert MESSAGES.write_order(order(count=1, presence_penalty=0.0, frequency_penalty=0.0)) == plain


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (said(Role.SYSTEM, Text(text="later")), "messages[1].role"),
        (Message(role=Role.USER, parts=USER.parts, name="Ann"), "messages[1].name"),
        (said(Role.USER, Blob(kind=BlobKind.AUDIO, media_type="audio/wav", data="AA==")), "messages[1].content[0]"),
        (said(Role.USER, Blob(kind=BlobKind.IMAGE, data="AA==")), "messages[1].content[0]"),
        (
            said(Role.USER, Blob(kind=BlobKind.FILE, media_type="text/csv", data="AA==")),
            "messages[1].content[0]",
        ),
        (said(Role.USER, Blob(kind=BlobKind.IMAGE, file_id="f")), "messages[1].content[0].file_id"),
        (said(Role.USER, Blob(kind=BlobKind.FILE, file_id="f")), "messages[1].content[0].file_id"),
    ],
    ids=["system", "name", "sound", "unknown type", "csv", "kept picture", "kept file"],
)
def test_what_a_message_holds_and_cannot_is_refused_by_its_place(message: Message, param: str):
    with pytest.raises(NotConveyed) as caught:
        MESSAGES.write_order(order(USER, message))
    assert caught.value.param == param


@pytest.mark.parametrize("arguments", ["[1]", "{", "nonsense"])
def test_arguments_that_are_no_object_are_the_callers_mistake(arguments: str):
    call = said(Role.ASSISTANT, ToolCall(id="1", name="f", arguments=arguments))
    with pytest.raises(BadRequest) as caught:
        MESSAGES.write_order(order(USER, call))
    assert caught.value.param == "messages[1].content[0]"


@pytest.mark.parametrize(
    ("blob", "block"),
    [
        (
            Blob(kind=BlobKind.IMAGE, url="https://x.example/a"),
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a"}},
        ),
        (
            Blob(kind=BlobKind.FILE, name="a.pdf", data="AA=="),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                "title": "a.pdf",
            },
        ),
        (
            Blob(kind=BlobKind.FILE, media_type="text/plain", data="aGVsbG8="),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
        ),
    ],
    ids=["link", "pdf by its name", "text"],
)
def test_a_blob_is_written(blob: Blob, block: dict[str, Any]):
    assert MESSAGES.write_order(order(said(Role.USER, blob)))["messages"][0]["content"] == [block]


def test_output_tokens_have_a_default_that_leaves_room_for_a_budget():
    assert MESSAGES.write_order(order())["max_tokens"] == DEFAULT_OUTPUT_TOKENS
    thinking = MESSAGES.write_order(order(reasoning=Reasoning(budget_tokens=8000)))
    assert thinking["max_tokens"] == DEFAULT_OUTPUT_TOKENS + 8000
    assert MESSAGES.write_order(order(output_tokens_max=5))["max_tokens"] == 5


@pytest.mark.parametrize(
    ("model", "reasoning", "written"),
    [
        ("claude-opus-5", Reasoning(enabled=False), {"thinking": {"type": "disabled"}}),
        (
            "claude-opus-5",
            Reasoning(effort="high", show=True),
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
        ),
        ("claude-opus-5", Reasoning(), {"thinking": {"type": "adaptive"}}),
        (
            "claude-opus-5",
            Reasoning(budget_tokens=3000),
            {"thinking": {"type": "enabled", "budget_tokens": 3000}},
        ),
        (
            "claude-haiku-4-5-20251001",
            Reasoning(effort="low"),
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        ),
    ],
)
def test_how_much_to_think_is_written_as_the_model_understands_it(
    model: str, reasoning: Reasoning, written: dict[str, Any]
):
    asked = msgspec.structs.replace(order(reasoning=reasoning, output_tokens_max=10_000), model=model)
    body = MESSAGES.write_order(asked)
    assert {name: body[name] for name in ("thinking", "output_config") if name in body} == written


CALL = ToolCall(id="1", name="f", arguments="{}")
RESULT = said(Role.USER, ToolResult(call_id="1", parts=(Text(text="2"),)))


@pytest.mark.parametrize(
    ("turn", "thinks"),
    [
        pytest.param(said(Role.ASSISTANT, CALL), False, id="no thought"),
        pytest.param(said(Role.ASSISTANT, Thinking(text="hm"), CALL), False, id="a thought without its proof"),
        pytest.param(said(Role.ASSISTANT, Thinking(text="hm", signature="s"), CALL), True, id="a thought"),
        pytest.param(said(Role.ASSISTANT, Thinking(redacted="s"), CALL), True, id="a hidden thought"),
    ],
)
def test_calls_that_are_gone_on_with_need_their_thought_where_there_is_a_budget(turn: Message, *, thinks: bool):
    asked = order(USER, turn, RESULT, reasoning=Reasoning(effort="low"), output_tokens_max=10_000)
    old = MESSAGES.write_order(msgspec.structs.replace(asked, model="claude-sonnet-4-5"))
    assert ("thinking" in old) is thinks
    assert MESSAGES.write_order(asked)["thinking"] == {"type": "adaptive"}
    later = msgspec.structs.replace(
        asked, model="claude-sonnet-4-5", messages=(*asked.messages, said(Role.ASSISTANT, Text(text="Two")), USER)
    )
    assert "thinking" in MESSAGES.write_order(later)


def test_an_older_model_needs_room_to_think():
    asked = msgspec.structs.replace(
        order(reasoning=Reasoning(effort="low"), output_tokens_max=500), model="claude-haiku-4-5"
    )
    with pytest.raises(NotConveyed, match="no room"):
        MESSAGES.write_order(asked)


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        (None, None, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode=ToolMode.NONE), False, {"type": "none"}),
        (ToolChoice(mode=ToolMode.REQUIRED), None, {"type": "any"}),
        (
            ToolChoice(mode=ToolMode.REQUIRED, name="f"),
            False,
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_a_tool_choice_is_written(choice: ToolChoice | None, written: dict[str, Any] | None, *, parallel: bool | None):
    body = MESSAGES.write_order(order(tools=(TOOL,), tool_choice=choice, parallel_tools=parallel))
    assert body.get("tool_choice") == written


def test_a_choice_among_no_tools_is_left_out():
    assert "tool_choice" not in MESSAGES.write_order(order(tool_choice=ToolChoice(mode=ToolMode.AUTO)))


def test_a_schemas_description_stands_in_the_schema():
    output = OutputFormat(kind=OutputKind.SCHEMA, name="n", schema={"type": "object"}, description="d")
    assert MESSAGES.write_order(order(output=output))["output_config"] == {
        "format": {"type": "json_schema", "schema": {"description": "d", "type": "object"}}
    }
