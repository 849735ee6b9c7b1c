from typing import Any

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
from halley.wire.gemini import CONTENT


def order(*messages: Message, model: str = "gemini-3-pro", **fields: Any) -> ChatOrder:
    return ChatOrder(model=model, messages=messages or (USER,), **fields)


def parts(*messages: Message, model: str = "gemini-2.5-pro") -> list[dict[str, Any]]:
    return CONTENT.write_order(order(*messages, model=model))["contents"][-1]["parts"]


def test_an_order_is_written_without_model_and_stream():
    system = said(Role.SYSTEM, Text(text="Be brief"))
    assert CONTENT.write_order(order(system, USER, stream=True, temperature=1.5, count=2)) == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief"}]},
        "generationConfig": {"temperature": 1.5, "candidateCount": 2},
    }


def test_a_result_names_the_function_whose_call_it_answers():
    call = said(Role.ASSISTANT, ToolCall(id="toolu_1", name="f", arguments='{"a":1}'))
    result = said(Role.USER, ToolResult(call_id="toolu_1", parts=(Text(text="yes"),)))
    assert parts(USER, call) == [{"functionCall": {"id": "toolu_1", "name": "f", "args": {"a": 1}}}]
    assert parts(USER, call, result) == [
        {"functionResponse": {"name": "f", "response": {"output": "yes"}, "id": "toolu_1"}}
    ]


def test_a_result_of_no_call_is_refused():
    with pytest.raises(NotConveyed) as caught:
        parts(said(Role.USER, ToolResult(call_id="c", parts=())))
    assert caught.value.param == "messages[0].content[0]"


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("yes", {"output": "yes"}),
        ('{"a":1}', {"a": 1}),
        ('{"a": 1}', {"output": '{"a": 1}'}),
        ('{"output":"x"}', {"output": '{"output":"x"}'}),
        ("[1]", {"output": "[1]"}),
        ("{}", {"output": "{}"}),
    ],
)
def test_a_result_is_an_object_that_says_the_same(text: str, response: dict[str, Any]):
    result = ToolResult(call_id="call_0_f", name="f", parts=(Text(text=text),))
    assert parts(said(Role.USER, result)) == [{"functionResponse": {"name": "f", "response": response}}]


def test_a_result_with_a_picture_keeps_it():
    picture = Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AAAA")
    result = ToolResult(call_id="call_0_f", name="f", parts=(Text(text="see"), picture), is_error=True)
    assert parts(said(Role.USER, result)) == [
        {
            "functionResponse": {
                "name": "f",
                "response": {"error": "see"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
            }
        }
    ]


def test_the_first_call_of_a_turn_carries_a_proof_where_models_ask_for_one():
    calls = said(Role.ASSISTANT, *(ToolCall(id=f"call_{n}_f", name="f", arguments="") for n in range(2)))
    bare: dict[str, Any] = {"functionCall": {"name": "f", "args": {}}}
    assert parts(USER, calls) == [bare, bare]
    proven = {**bare, "thoughtSignature": "skip_thought_signature_validator"}
    assert parts(USER, calls, model="gemini-3-pro") == [proven, bare]
    signed = said(Role.ASSISTANT, ToolCall(id="call_0_f", name="f", arguments="", signature="s"))
    assert parts(USER, signed, model="gemini-3-pro") == [{**bare, "thoughtSignature": "s"}]


def test_thoughts_are_handed_back_with_their_proof():
    answer = said(
        Role.ASSISTANT,
        Thinking(text="hm"),
        Thinking(text="aha", signature="s"),
        Thinking(redacted="d"),
        Text(text="Hi"),
        Thinking(signature="t"),
    )
    assert parts(USER, answer) == [
        {"text": "hm", "thought": True},
        {"text": "aha", "thought": True, "thoughtSignature": "s"},
        {"text": "Hi", "thoughtSignature": "t"},
    ]


@pytest.mark.parametrize(
    ("blob", "part"),
    [
        (
            Blob(kind=BlobKind.IMAGE, url="https://x.example/a.png?b=c"),
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a.png?b=c"}},
        ),
        (
            Blob(kind=BlobKind.IMAGE, url="https://x.example/a"),
            {"fileData": {"fileUri": "https://x.example/a"}},
        ),
        (
            Blob(kind=BlobKind.FILE, data="AA==", name="a.pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "AA==", "displayName": "a.pdf"}},
        ),
        (Blob(kind=BlobKind.FILE, url="gs://b/a"), {"fileData": {"fileUri": "gs://b/a"}}),
    ],
    ids=["link", "link without type", "file by its name", "bucket"],
)
def test_a_blob_is_written(blob: Blob, part: dict[str, Any]):
    assert parts(said(Role.USER, blob)) == [part]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (order(tools=(TOOL,), parallel_tools=False), "parallel_tool_calls"),
        (order(extras={"logit_bias": {}}), "logit_bias"),
        (order(USER, said(Role.SYSTEM, Text(text="later"))), "messages[1].role"),
        (order(Message(role=Role.USER, parts=(), name="Ann")), "messages[0].name"),
        (order(said(Role.USER, Blob(kind=BlobKind.FILE, file_id="file-1"))), "messages[0].content[0].file_id"),
        (order(said(Role.USER, Blob(kind=BlobKind.FILE, file_id="files/1"))), "messages[0].content[0].file_id"),
        (order(said(Role.USER, Blob(kind=BlobKind.FILE, data="AA=="))), "messages[0].content[0]"),
        (order(reasoning=Reasoning(effort="max")), "reasoning_effort"),
    ],
    ids=[
        "parallel",
        "extra",
        "system",
        "name",
        "kept file",
        "its own, named elsewhere",
        "unknown type",
        "effort",
    ],
)
def test_what_the_format_has_no_word_for_is_refused_by_name(asked: ChatOrder, param: str):
    with pytest.raises(NotConveyed) as caught:
        CONTENT.write_order(asked)
    assert caught.value.param == param


def test_arguments_that_are_no_object_are_the_callers_mistake():
    with pytest.raises(BadRequest):
        parts(USER, said(Role.ASSISTANT, ToolCall(id="1", name="f", arguments="[1]")))


@pytest.mark.parametrize(
    ("model", "reasoning", "written"),
    [
        ("gemini-3-pro", Reasoning(effort="low"), {"thinkingLevel": "LOW"}),
        ("gemini-2.5-flash", Reasoning(effort="low"), {"thinkingBudget": 2048}),
        ("gemini-3-pro", Reasoning(enabled=False), {"thinkingBudget": 0}),
        ("gemini-3-pro", Reasoning(show=True), {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-3-pro", Reasoning(budget_tokens=7), {"thinkingBudget": 7}),
    ],
)
def test_how_much_to_think_is_written_as_the_model_understands_it(
    model: str, reasoning: Reasoning, written: dict[str, Any]
):
    body = CONTENT.write_order(order(model=model, reasoning=reasoning))
    assert body["generationConfig"] == {"thinkingConfig": written}


@pytest.mark.parametrize(
    ("tool", "choice", "written"),
    [
        (TOOL, None, None),
        (TOOL, ToolChoice(mode=ToolMode.AUTO), {"mode": "AUTO"}),
        (TOOL, ToolChoice(mode=ToolMode.NONE), {"mode": "NONE"}),
        (TOOL, ToolChoice(mode=ToolMode.REQUIRED, name="f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (Tool(name="f", strict=True), None, {"mode": "VALIDATED"}),
        (Tool(name="f", strict=True), ToolChoice(mode=ToolMode.REQUIRED), {"mode": "ANY"}),
    ],
)
def test_a_tool_choice_is_written(tool: Tool, choice: ToolChoice | None, written: dict[str, Any] | None):
    body = CONTENT.write_order(order(tools=(tool,), tool_choice=choice))
    assert body.get("toolConfig", {}).get("functionCallingConfig") == written


def test_schemas_are_written_in_full():
    output = OutputFormat(kind=OutputKind.SCHEMA, name="n", schema={"type": "object"}, description="d")
    body = CONTENT.write_order(order(output=output, tools=(TOOL,)))
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"description": "d", "type": "object"},
    }
    assert body["tools"] == [
        {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object", "properties": {}}}]}
    ]
