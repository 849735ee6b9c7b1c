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
from halley.wire.gemini import CONTENT


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "stream": False, "contents": [{"role": "user", "parts": [{"text": "Hi"}]}], **fields}


def with_part(*parts: Any) -> dict[str, Any]:
    return body(contents=[{"role": "user", "parts": list(parts)}])


def config(**fields: Any) -> dict[str, Any]:
    return body(generationConfig=fields)


def test_a_plain_order_is_read():
    order = CONTENT.read_order(
        body(
            model="models/gemini-3-pro",
            stream=True,
            systemInstruction={"role": "system", "parts": [{"text": "Be brief"}]},
            generationConfig={
                "maxOutputTokens": 9,
                "temperature": 1.5,
                "topP": 0.5,
                "topK": 40.0,
                "stopSequences": ["x"],
                "seed": 7,
                "presencePenalty": 0.5,
                "frequencyPenalty": -0.5,
                "candidateCount": 2,
            },
        )
    )
    assert order.messages == (
        Message(role=Role.SYSTEM, parts=(Text(text="Be brief"),)),
        Message(role=Role.USER, parts=(Text(text="Hi"),)),
    )
    assert (order.model, order.stream, order.output_tokens_max, order.temperature) == ("gemini-3-pro", True, 9, 1.5)
    assert (order.top_p, order.top_k, order.stop, order.seed) == (0.5, 40, ("x",), 7)
    assert (order.presence_penalty, order.frequency_penalty, order.count, order.extras) == (0.5, -0.5, 2, {})


def test_snake_case_is_read_too():
    camel = CONTENT.read_order(
        body(
            generationConfig={"maxOutputTokens": 9, "thinkingConfig": {"thinkingBudget": 5}},
            contents=[{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}],
        )
    )
    snake = CONTENT.read_order(
        body(
            generation_config={"max_output_tokens": 9, "thinking_config": {"thinking_budget": 5}},
            contents=[{"parts": [{"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]}],
        )
    )
    assert camel == snake
    assert snake.extras == {}


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ({"text": "a"}, (Text(text="a"),)),
        ({"text": "a", "thought": True}, (Thinking(text="a"),)),
        ({"text": "a", "thought": True, "thoughtSignature": "s"}, (Thinking(text="a", signature="s"),)),
        ({"text": "a", "thoughtSignature": "s"}, (Text(text="a"), Thinking(signature="s"))),
        ({"text": "", "thoughtSignature": "s"}, (Thinking(signature="s"),)),
        (
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
            (Blob(kind=BlobKind.AUDIO, media_type="audio/wav", data="AAAA"),),
        ),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a.pdf"}},
            (Blob(kind=BlobKind.FILE, media_type="application/pdf", data="AAAA", name="a.pdf"),),
        ),
        (
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a.png"}},
            (Blob(kind=BlobKind.IMAGE, media_type="image/png", url="https://x.example/a.png"),),
        ),
        (
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/a"}},
            (Blob(kind=BlobKind.VIDEO, media_type="video/mp4", file_id="gs://bucket/a"),),
        ),
        (
            {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}, "thoughtSignature": "s"},
            (ToolCall(id="c", name="f", arguments='{"a":1}', signature="s"),),
        ),
        ({"functionCall": {"name": "f"}}, (ToolCall(id="call_0_f", name="f", arguments="{}"),)),
        (
            {"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"},
            (ToolCall(id="call_0_f", name="f", arguments="{}"),),
        ),
        (
            {"functionResponse": {"id": "c", "name": "f", "response": {"output": "yes"}}},
            (ToolResult(call_id="c", name="f", parts=(Text(text="yes"),)),),
        ),
        (
            {"functionResponse": {"id": "c", "name": "f", "response": {"error": "no"}}},
            (ToolResult(call_id="c", name="f", parts=(Text(text="no"),), is_error=True),),
        ),
        (
            {"functionResponse": {"id": "c", "name": "f", "response": {"a": [1]}}},
            (ToolResult(call_id="c", name="f", parts=(Text(text='{"a":[1]}'),)),),
        ),
        (
            {
                "functionResponse": {
                    "id": "c",
                    "name": "f",
                    "response": {"output": "yes"},
                    "parts": [
                        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                        {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a"}},
                    ],
                }
            },
            (
                ToolResult(
                    call_id="c",
                    name="f",
                    parts=(
                        Text(text="yes"),
                        Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AAAA"),
                        Blob(kind=BlobKind.IMAGE, media_type="image/png", url="https://x.example/a"),
                    ),
                ),
            ),
        ),
        (
            {"functionResponse": {"id": "c", "name": "f", "response": {}}},
            (ToolResult(call_id="c", name="f", parts=()),),
        ),
    ],
)
def test_a_part_is_read(part: dict[str, Any], read: tuple[Part, ...]):
    order = CONTENT.read_order(with_part(part))
    assert order.messages[0].parts == read
    assert order.extras == {}


def test_calls_without_ids_and_their_results_find_each_other():
    def call(name: str) -> dict[str, Any]:
        return {"functionCall": {"name": name, "args": {}}}

    def result(name: str) -> dict[str, Any]:
        return {"functionResponse": {"name": name, "response": {"output": "x"}}}

    order = CONTENT.read_order(
        body(
            contents=[
                {"role": "model", "parts": [call("f"), call("g"), call("f")]},
                {"role": "user", "parts": [result("f"), result("f"), result("g")]},
            ]
        )
    )
    calls = [part.id for part in order.messages[0].parts if isinstance(part, ToolCall)]
    results = [part.call_id for part in order.messages[1].parts if isinstance(part, ToolResult)]
    assert calls == ["call_0_f", "call_1_g", "call_2_f"]
    assert results == ["call_0_f", "call_2_f", "call_1_g"]


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (with_part({"executableCode": {"code": "1"}}), "contents[0].parts[0]"),
        (with_part({"text": "a", "videoMetadata": {"fps": 1}}), "contents[0].parts[0].videoMetadata"),
        (body(tools=[{"googleSearch": {"timeRangeFilter": {"startTime": "x"}}}]), "tools[0].googleSearch"),
        (body(tools=[{"googleSearch": {}}]), "tools[0].googleSearch"),
        (body(tools=[{"codeExecution": {}}]), "tools[0].codeExecution"),
        (
            body(tools=[{"functionDeclarations": [{"name": "f", "behavior": "NON_BLOCKING"}]}]),
            "tools[0].functionDeclarations[0].behavior",
        ),
        (
            body(toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}}),
            "toolConfig.functionCallingConfig.allowedFunctionNames",
        ),
        (body(safetySettings=[{"category": "c"}]), "safetySettings"),
        (body(cachedContent="c"), "cachedContent"),
        (config(responseModalities=["TEXT", "IMAGE"]), "generationConfig.responseModalities"),
        (config(responseLogprobs=True), "generationConfig.responseLogprobs"),
        (config(speechConfig={"a": 1}), "generationConfig.speechConfig"),
        (config(responseMimeType="text/x.enum"), "generationConfig.responseMimeType"),
        (config(mediaResolution="MEDIA_RESOLUTION_LOW"), "generationConfig.mediaResolution"),
        (body(serviceTier="flex"), "serviceTier"),
        (body(brandNew={"a": 1}), "brandNew"),
        (body(store=False), "store"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_word_stands_for_is_kept_by_its_name(sent: dict[str, Any], name: str):
    assert list(CONTENT.read_order(sent).extras) == [name]


def test_hints_defaults_and_nulls_are_not_taken_up():
    sent = body(
        labels={"team": "a"},
        cachedContent=None,
        safetySettings=[],
        serviceTier="standard",
        toolConfig={},
        generationConfig={
            "responseModalities": ["TEXT"],
            "responseMimeType": "text/plain",
            "responseLogprobs": False,
            "thinkingConfig": {"includeThoughts": False},
        },
    )
    assert CONTENT.read_order(sent) == CONTENT.read_order(body())


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({}, "model"),
        ({"model": "m"}, "contents"),
        (body(contents=[]), "contents"),
        (body(contents="Hi"), "contents"),
        (body(contents=["Hi"]), "contents[0]"),
        (body(contents=[{"role": "robot"}]), "contents[0].role"),
        (with_part({"text": 1}), "contents[0].parts[0].text"),
        (with_part({"inlineData": {"data": "A"}}), "contents[0].parts[0].inlineData.mimeType"),
        (with_part({"functionCall": {"args": {}}}), "contents[0].parts[0].functionCall.name"),
        (with_part({"functionCall": {"name": "f", "args": []}}), "contents[0].parts[0].functionCall.args"),
        (with_part({"functionResponse": {"name": "f"}}), "contents[0].parts[0].functionResponse.response"),
        (body(systemInstruction="Be brief"), "systemInstruction"),
        (config(temperature="hot"), "generationConfig.temperature"),
        (config(stopSequences=[1]), "generationConfig.stopSequences[0]"),
        (
            config(thinkingConfig={"thinkingBudget": 5, "thinkingLevel": "LOW"}),
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
        (body(tools=[{"functionDeclarations": [{}]}]), "tools[0].functionDeclarations[0].name"),
        (
            body(toolConfig={"functionCallingConfig": {"mode": "SOME"}}),
            "toolConfig.functionCallingConfig.mode",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named_by_its_place(sent: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as caught:
        CONTENT.read_order(sent)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("thinking", "reasoning"),
    [
        ({"thinkingBudget": 0}, Reasoning(enabled=False)),
        ({"thinkingBudget": -1, "includeThoughts": True}, Reasoning(show=True)),
        ({"thinkingBudget": 500}, Reasoning(budget_tokens=500)),
        ({"thinkingLevel": "HIGH"}, Reasoning(effort="high")),
        ({"thinkingLevel": "minimal"}, Reasoning(effort="minimal")),
        ({"includeThoughts": True}, Reasoning(show=True)),
        ({}, None),
    ],
)
def test_how_much_to_think_is_read(thinking: dict[str, Any], reasoning: Reasoning | None):
    assert CONTENT.read_order(config(thinkingConfig=thinking)).reasoning == reasoning


def test_schemas_of_the_older_kind_are_read_as_json_schema():
    older = {
        "type": "OBJECT",
        "properties": {
            "a": {"type": "STRING", "nullable": True, "enum": ["x"]},
            "b": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"},
            "type": {"anyOf": [{"type": "NUMBER"}], "nullable": True},
        },
        "required": ["a"],
    }
    newer = {
        "type": "object",
        "properties": {
            "a": {"type": ["string", "null"], "enum": ["x"]},
            "b": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "type": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        },
        "required": ["a"],
    }
    order = CONTENT.read_order(
        body(
            tools=[{"functionDeclarations": [{"name": "f", "parameters": older}]}],
            generationConfig={"responseMimeType": "application/json", "responseSchema": older},
        )
    )
    assert order.tools == (Tool(name="f", parameters=newer),)
    assert order.output == OutputFormat(kind=OutputKind.SCHEMA, schema=newer)


@pytest.mark.parametrize(
    ("calling", "choice", "strict"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode=ToolMode.AUTO), None),
        ({"mode": "VALIDATED"}, ToolChoice(mode=ToolMode.AUTO), True),
        ({"mode": "NONE"}, ToolChoice(mode=ToolMode.NONE), None),
        ({"mode": "ANY"}, ToolChoice(mode=ToolMode.REQUIRED), None),
        (
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
            ToolChoice(mode=ToolMode.REQUIRED, name="f"),
            None,
        ),
        ({}, None, None),
    ],
)
def test_a_tool_choice_is_read(calling: dict[str, Any], choice: ToolChoice | None, *, strict: bool | None):
    order = CONTENT.read_order(
        body(
            tools=[{"functionDeclarations": [{"name": "f"}]}],
            toolConfig={"functionCallingConfig": calling},
        )
    )
    assert (order.tool_choice, order.tools[0].strict, order.extras) == (choice, strict, {})


def test_json_without_a_schema_is_read():
    order = CONTENT.read_order(config(responseMimeType="application/json"))
    assert order.output == OutputFormat(kind=OutputKind.JSON)


def test_bytes_of_the_url_safe_alphabet_are_read_as_standard_base64():
    order = CONTENT.read_order(
        with_part(
            {"inlineData": {"mimeType": "image/png", "data": "-_-_"}},
            {"inlineData": {"mimeType": "image/png", "data": "-w"}},
            {"functionCall": {"name": "f"}, "thoughtSignature": "_-8="},
            {"text": "so", "thought": True, "thought_signature": "not: base64_"},
        )
    )
    (message,) = order.messages
    assert [part.data for part in message.parts if isinstance(part, Blob)] == ["+/+/", "+w=="]
    proofs = [part.signature for part in message.parts if isinstance(part, ToolCall | Thinking)]
    assert proofs == ["/+8=", "not: base64_"]


def test_what_stands_for_a_proof_is_none():
    order = CONTENT.read_order(with_part({"text": "so", "thoughtSignature": "skip_thought_signature_validator"}))
    assert order.messages[0].parts == (Text(text="so"),)


@pytest.mark.parametrize("name", ["response", "responseJsonSchema", "response_json_schema"])
def test_what_a_function_will_give_is_a_hint(name: str):
    order = CONTENT.read_order(body(tools=[{"functionDeclarations": [{"name": "f", name: {"type": "STRING"}}]}]))
    assert order.tools == (Tool(name="f"),)
    assert order.extras == {}


def test_a_single_object_stands_for_a_list_of_one():
    order = CONTENT.read_order(
        body(
            contents={"parts": {"text": "Hi"}},
            system_instruction={"parts": {"text": "Be brief"}},
            tools={"function_declarations": {"name": "f"}},
        )
    )
    assert [message.parts for message in order.messages] == [(Text(text="Be brief"),), (Text(text="Hi"),)]
    assert [tool.name for tool in order.tools] == ["f"]


def test_an_older_schema_is_read_in_either_spelling_but_its_properties_keep_their_names():
    schema = {
        "type": "OBJECT",
        "properties": {"any_of": {"type": "STRING", "min_length": "2"}, "b": {"any_of": [{"type": "NUMBER"}]}},
        "property_ordering": ["b", "any_of"],
    }
    order = CONTENT.read_order(config(response_mime_type="application/json", response_schema=schema))
    assert order.output
    assert order.output.schema
    read = order.output.schema
    assert read == {
        "type": "object",
        "properties": {"any_of": {"type": "string", "minLength": 2}, "b": {"anyOf": [{"type": "number"}]}},
    }
    assert list(read["properties"]) == ["b", "any_of"]


def test_json_schemas_and_arguments_keep_all_their_names():
    schema = {"type": "object", "properties": {"max_output_tokens": {"type": "integer"}}, "x_y": 1}
    order = CONTENT.read_order(
        body(
            contents=[{"role": "model", "parts": [{"function_call": {"name": "f", "args": {"snake_case": 1}}}]}],
            tools=[{"function_declarations": [{"name": "f", "parameters_json_schema": schema}]}],
        )
    )
    assert order.tools[0].parameters == schema
    (call,) = order.messages[0].parts
    assert isinstance(call, ToolCall)
    assert call.arguments == '{"snake_case":1}'
