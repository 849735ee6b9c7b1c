"""The simulated vendor over a real socket: what it answers, streams, caches, counts and refuses."""

import base64
from typing import Any

import pytest
from tests.vendors.sandboxes import Got, Sandbox, picture

PATH = "/v1/messages"
WEATHER: dict[str, Any] = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
THINKING = {"type": "enabled", "budget_tokens": 1_024}
LONG = "word " * 1_200


async def ask(sandbox: Sandbox, content: Any = "Good morning", **body: Any) -> Got:
    messages = [{"role": "user", "content": content}]
    return await sandbox.post(PATH, {"model": "claude-sonnet-5", "max_tokens": 4_096, "messages": messages} | body)


def image(**source: Any) -> dict[str, Any]:
    return {"type": "image", "source": source}


async def test_a_message_is_answered(sandbox: Sandbox):
    got = await ask(sandbox, system="Be kind")
    said = got.json
    assert (got.status, said["type"], said["role"], said["model"]) == (200, "message", "assistant", "claude-sonnet-5")
    assert "Good morning" in said["content"][0]["text"]
    assert (said["stop_reason"], said["stop_sequence"]) == ("end_turn", None)
    assert got.headers["request-id"].startswith("req_")
    assert got.headers["anthropic-ratelimit-requests-limit"]


async def test_a_stream_says_the_same_as_the_whole_message(sandbox: Sandbox):
    asked: dict[str, Any] = {"thinking": THINKING, "tools": [WEATHER]}
    whole, streamed = (await ask(sandbox, **asked)).json, await ask(sandbox, **asked, stream=True)
    frames = streamed.frames
    assert streamed.events == [frame["type"] for frame in frames]
    assert (frames[0]["type"], frames[-1]["type"]) == ("message_start", "message_stop")
    deltas = [frame["delta"] for frame in frames if frame["type"] == "content_block_delta"]
    thought = "".join(delta.get("thinking", "") for delta in deltas)
    assert thought == whole["content"][0]["thinking"]
    assert [delta["signature"] for delta in deltas if "signature" in delta] == [whole["content"][0]["signature"]]
    arguments = "".join(delta.get("partial_json", "") for delta in deltas)
    assert arguments == '{"city":"simulated city"}'
    end = next(frame for frame in frames if frame["type"] == "message_delta")
    assert end["delta"]["stop_reason"] == whole["stop_reason"] == "tool_use"
    assert end["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    assert end["usage"]["output_tokens_details"] == whole["usage"]["output_tokens_details"]


async def test_blocks_of_a_stream_are_numbered_opened_and_closed(sandbox: Sandbox):
    frames = (await ask(sandbox, "both", thinking={"type": "adaptive"}, tools=[WEATHER], stream=True)).frames
    opened = [frame["index"] for frame in frames if frame["type"] == "content_block_start"]
    closed = [frame["index"] for frame in frames if frame["type"] == "content_block_stop"]
    assert opened == closed == [0, 1, 2]
    assert "ping" in [frame["type"] for frame in frames]


async def test_a_result_of_a_tool_is_told_and_a_thought_comes_back_unchanged(sandbox: Sandbox):
    asked: dict[str, Any] = {"thinking": THINKING, "tools": [WEATHER]}
    first = (await ask(sandbox, "Rain? [[halley outcome=tool_call]]", **asked)).json
    result = {"type": "tool_result", "tool_use_id": first["content"][-1]["id"], "content": "it pours"}
    history = [
        {"role": "user", "content": "Rain? [[halley outcome=tool_call]]"},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [result]},
    ]
    second = await ask(sandbox, messages=history, **asked)
    assert "it pours" in second.json["content"][-1]["text"]
    first["content"][0]["thinking"] += " And more."
    refused = await ask(sandbox, messages=history, **asked)
    assert refused.json["error"]["message"] == "messages.1.content.0: Invalid `signature` in `thinking` block"


@pytest.mark.parametrize(
    ("choice", "stop"),
    [
        ({"type": "auto"}, "tool_use"),
        ({"type": "any"}, "tool_use"),
        ({"type": "tool", "name": "weather"}, "tool_use"),
        ({"type": "none"}, "end_turn"),
    ],
    ids=str,
)
async def test_tools_are_called_as_chosen(sandbox: Sandbox, choice: dict[str, Any], stop: str):
    assert (await ask(sandbox, tools=[WEATHER], tool_choice=choice)).json["stop_reason"] == stop


async def test_one_call_at_a_time_if_parallel_ones_are_not_wanted(sandbox: Sandbox):
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    said = (await ask(sandbox, "both cities", tools=[WEATHER], tool_choice=choice)).json
    assert len(said["content"]) == 1


async def test_an_omitted_thought_has_a_signature_only(sandbox: Sandbox):
    said = (await ask(sandbox, thinking={"type": "adaptive", "display": "omitted"})).json
    thought = said["content"][0]
    assert (thought["type"], thought["thinking"], bool(thought["signature"])) == ("thinking", "", True)
    again = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": said["content"]},
        {"role": "user", "content": "y"},
    ]
    assert (await ask(sandbox, messages=again)).status == 200


async def test_a_thought_is_redacted_for_the_documented_text(sandbox: Sandbox):
    said = (await ask(sandbox, "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING_1", thinking=THINKING)).json
    assert said["content"][0]["type"] == "redacted_thinking"


async def test_images_and_documents_are_seen(sandbox: Sandbox):
    data = base64.b64encode(picture(320, 200)).decode()
    content = [
        image(type="base64", media_type="image/png", data=data),
        image(type="url", url="https://example.com/fox.png"),
        {"type": "document", "title": "A", "source": {"type": "text", "media_type": "text/plain", "data": "abc"}},
        {
            "type": "document",
            "source": {
                "type": "base64",
                "media_type": "application/pdf",
                "data": base64.b64encode(b"%PDF-1.7 /Type /Page /Type /Page").decode(),
            },
        },
        {"type": "text", "text": "What is this?"},
    ]
    said = (await ask(sandbox, content)).json["content"][0]["text"]
    for seen in ("320x200", "320x256", "document “A” of 3 characters", "PDF with pages: 2"):
        assert seen in said


async def test_further_kinds_of_blocks_are_read(sandbox: Sandbox):
    document = {"type": "document"}
    content: list[dict[str, Any]] = [
        image(type="file", file_id="file_1"),
        document | {"source": {"type": "file", "file_id": "file_2"}},
        document | {"source": {"type": "content", "content": [{"type": "text", "text": "abcd"}]}},
        {"type": "search_result", "source": "x", "title": "y", "content": []},
        {"type": "text", "text": "What are these?"},
    ]
    said = (await ask(sandbox, content)).json["content"][0]["text"]
    for seen in ("image of file file_1", "document of file file_2", "document of 4 characters"):
        assert seen in said


async def test_a_document_that_is_no_pdf_is_refused(sandbox: Sandbox):
    source = {"type": "base64", "media_type": "application/pdf", "data": "eHg="}
    got = await ask(sandbox, [{"type": "document", "source": source}])
    assert got.json["error"]["message"].endswith("The PDF specified was not valid.")


async def test_a_tool_may_answer_with_blocks_and_servers_tools_are_let_pass(sandbox: Sandbox):
    picture64 = base64.b64encode(picture(32, 24)).decode()
    result = [{"type": "text", "text": "a map"}, image(type="base64", media_type="image/png", data=picture64)]
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": [CALL, {"type": "redacted_thinking", "data": "eA=="}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": result}]},
    ]
    tools = [WEATHER, {"type": "web_search_20250305", "name": "web_search"}]
    said = (await ask(sandbox, messages=messages, tools=tools)).json
    assert "a map" in said["content"][0]["text"]
    assert "32x24" in said["content"][0]["text"]


async def test_a_body_that_is_no_object_is_refused(sandbox: Sandbox):
    assert (await sandbox.post(PATH, [1])).json["error"]["message"] == "Input should be a valid dictionary"


async def test_a_whole_prompt_may_be_marked_at_once(sandbox: Sandbox):
    usage = (await ask(sandbox, LONG, cache_control={"type": "ephemeral"})).json["usage"]
    assert (usage["input_tokens"], usage["cache_creation_input_tokens"] > 1_024) == (0, True)


async def test_a_conforming_object_comes_for_a_schema(sandbox: Sandbox):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 7}}, "required": ["n"]}
    said = (await ask(sandbox, output_config={"format": {"type": "json_schema", "schema": schema}})).json
    assert said["content"][0]["text"].startswith('{"n":')


async def test_a_marked_prompt_is_written_to_the_cache_and_read_until_it_expires(sandbox: Sandbox):
    def body(ttl: str) -> dict[str, Any]:
        return {"system": [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": ttl}}]}

    first = (await ask(sandbox, **body("1h"))).json["usage"]
    second = (await ask(sandbox, "Another question", **body("1h"))).json["usage"]
    sandbox.clock.tick(3_601)
    third = (await ask(sandbox, **body("5m"))).json["usage"]
    written = first["cache_creation_input_tokens"]
    assert written > 1_024
    assert first["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": written}
    assert (second["cache_read_input_tokens"], second["cache_creation_input_tokens"]) == (written, 0)
    assert (third["cache_read_input_tokens"], third["cache_creation"]["ephemeral_5m_input_tokens"]) == (0, written)
    assert first["input_tokens"] < 20


async def test_a_growing_conversation_reads_what_was_marked_before(sandbox: Sandbox):
    def turn(role: str, text: str, **more: Any) -> dict[str, Any]:
        return {"role": role, "content": [{"type": "text", "text": text, **more}]}

    mark = {"cache_control": {"type": "ephemeral"}}
    first = (await ask(sandbox, messages=[turn("user", LONG, **mark)])).json["usage"]
    longer = [turn("user", LONG), turn("assistant", "Yes"), turn("user", "Go on", **mark)]
    second = (await ask(sandbox, messages=longer)).json["usage"]
    assert second["cache_read_input_tokens"] == first["cache_creation_input_tokens"] > 0
    assert 0 < second["cache_creation_input_tokens"] < 20


async def test_another_key_shares_no_cache(sandbox: Sandbox):
    system = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "system": system}
    await sandbox.post(PATH, body)
    other = await sandbox.post(PATH, body, x_api_key="sk-ant-2")
    assert other.json["usage"]["cache_read_input_tokens"] == 0


async def test_tokens_are_counted_as_a_message_bills_them(sandbox: Sandbox):
    messages = [{"role": "user", "content": "How many are these?"}]
    counted = await sandbox.post(f"{PATH}/count_tokens", {"model": "m", "messages": messages, "tools": [WEATHER]})
    billed = (await ask(sandbox, messages=messages, tools=[WEATHER])).json["usage"]["input_tokens"]
    assert counted.json == {"input_tokens": billed}


async def test_a_stop_sequence_and_a_limit_end_an_answer(sandbox: Sandbox):
    stopped = (await ask(sandbox, stop_sequences=["simulated"])).json
    cut = (await ask(sandbox, max_tokens=5)).json
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", "simulated")
    assert (cut["stop_reason"], cut["usage"]["output_tokens"]) == ("max_tokens", 5)


@pytest.mark.parametrize(
    ("outcome", "status", "kind"),
    [
        ("request_moderated", 400, "invalid_request_error"),
        ("vendor_error", 500, "api_error"),
        ("error_frame", 529, "overloaded_error"),
        ("invalid", 400, "invalid_request_error"),
        ("unauthorized", 401, "authentication_error"),
        ("out_of_credit", 400, "invalid_request_error"),
        ("rate_limited", 429, "rate_limit_error"),
        ("never_finishes", 400, "invalid_request_error"),
        ("tool_call", 400, "invalid_request_error"),
    ],
)
async def test_an_ordered_error_is_answered(sandbox: Sandbox, outcome: str, status: int, kind: str):
    got = await ask(sandbox, f"hello [[halley outcome={outcome}]]")
    assert (got.status, got.json["type"], got.json["error"]["type"]) == (status, "error", kind)
    assert got.json["request_id"] == got.headers["request-id"]
    assert ("retry-after" in got.headers) == (outcome == "rate_limited")


@pytest.mark.parametrize(
    ("outcome", "stop"),
    [("refusal", "refusal"), ("content_moderated", "refusal"), ("length", "max_tokens"), ("reasoning", "end_turn")],
)
async def test_an_ordered_ending_is_that_of_the_message(sandbox: Sandbox, outcome: str, stop: str):
    said = (await ask(sandbox, f"hello [[halley outcome={outcome}]]")).json
    assert said["stop_reason"] == stop
    assert (said["content"][0]["type"] == "thinking") == (outcome == "reasoning")
    assert (said["stop_details"] is not None) == (stop == "refusal")


async def test_a_stream_breaks_as_ordered(sandbox: Sandbox):
    cut = await ask(sandbox, "x [[halley outcome=cut_stream]]", stream=True)
    failed = await ask(sandbox, "x [[halley outcome=error_frame]]", stream=True)
    broken = await ask(sandbox, "x [[halley outcome=malformed_frame]]", stream=True)
    assert (cut.is_whole, "message_stop" in cut.events) == (False, False)
    assert (failed.events[-1], failed.frames[-1]["error"]["type"]) == ("error", "overloaded_error")
    assert broken.events[-1] == "message_stop"
    assert b'"type":"text_de\n\n' in broken.body


MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "x"}]
CALL: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"model": None}, "model: Field required", id="no model"),
        pytest.param({"max_tokens": None}, "max_tokens: Field required", id="no limit"),
        pytest.param({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1", id="limit of 0"),
        pytest.param({"messages": []}, "messages: at least one message is required", id="no messages"),
        pytest.param({"temperature": 2}, "temperature: range: 0..1", id="too hot"),
        pytest.param({"colour": 1}, "colour: Extra inputs are not permitted", id="unknown field"),
        pytest.param({"stream": "yes"}, "stream: Input should be a valid boolean", id="stream is no flag"),
        pytest.param({"messages": [{"role": "system", "content": "x"}]}, "messages: Unexpected role", id="system role"),
        pytest.param({"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages", id="empty"),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "smell"}]}]},
            "messages.0.content.0: Input tag 'smell'",
            id="unknown block",
        ),
        pytest.param(
            {"messages": [*MESSAGES, {"role": "assistant", "content": [CALL]}, *MESSAGES]},
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1",
            id="call without a result",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_9"}]}]},
            "messages.0.content.0: unexpected `tool_use_id`",
            id="result without a call",
        ),
        pytest.param({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field", id="no budget"),
        pytest.param(
            {"thinking": {"type": "enabled", "budget_tokens": 9_999}}, "`max_tokens` must be greater", id="big budget"
        ),
        pytest.param(
            {"thinking": THINKING, "tools": [WEATHER], "tool_choice": {"type": "any"}},
            "Thinking may not be enabled when tool_choice forces tool use.",
            id="thinking and forced tool",
        ),
        pytest.param({"model": ""}, "model: String should have at least 1 character", id="empty model"),
        pytest.param({"messages": [{"content": "x"}]}, "messages.0.role: Field required", id="no role"),
        pytest.param({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role: Input should", id="role"),
        pytest.param({"messages": [{"role": "user"}]}, "messages.0.content: Field required", id="no content"),
        pytest.param({"messages": [{"role": "user", "content": 1}]}, "messages.0.content: Input", id="content"),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
            "messages: text content blocks must be non-empty",
            id="empty text",
        ),
        pytest.param(
            {"messages": [*MESSAGES, {"role": "assistant", "content": [CALL]}]},
            "messages.1: `tool_use` ids were found",
            id="call at the end",
        ),
        pytest.param(
            {"messages": [*MESSAGES, {"role": "assistant", "content": [CALL | {"input": 1}]}]},
            "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
            id="input of a call",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages.0.content.0.text.text: Input should be a valid string",
            id="text is a number",
        ),
        pytest.param({"system": [{"type": "text", "text": ""}]}, "system: text content blocks", id="empty system"),
        pytest.param({"system": [{"type": "image"}]}, "system.0: Input should be a text block", id="system image"),
        pytest.param(
            {"system": [{"type": "text", "text": "x", "cache_control": {"type": "x"}}]},
            "cache_control: Input should be of type 'ephemeral'",
            id="kind of mark",
        ),
        pytest.param({"stop_sequences": [" "]}, "stop_sequences: each stop sequence", id="blank stop"),
        pytest.param({"thinking": {"type": "hard"}}, "thinking: Input tag 'hard'", id="kind of thinking"),
        pytest.param(
            {"thinking": {"type": "enabled", "budget_tokens": 5}},
            "thinking.enabled.budget_tokens: Input should be greater",
            id="small budget",
        ),
        pytest.param(
            {"thinking": THINKING, "temperature": 0.5}, "`temperature` may only be set to 1", id="cool thought"
        ),
        pytest.param(
            {"output_config": {"format": {"type": "xml"}}}, "output_config.format: Input", id="kind of output"
        ),
        pytest.param({"tools": [{"name": "x"}]}, "tools.0.custom.input_schema: Field required", id="no schema"),
        pytest.param(
            {"tools": [{"name": "x", "input_schema": {"type": "array"}}]},
            "tools.0.custom.input_schema.type: Input should be 'object'",
            id="kind of schema",
        ),
        pytest.param({"tools": [WEATHER], "tool_choice": {"type": "x"}}, "tool_choice: Input tag 'x'", id="choice"),
        pytest.param(
            {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}},
            "Tool 'x' not found in provided tools",
            id="chosen tool",
        ),
        pytest.param({"tools": [WEATHER, WEATHER]}, "tools: Tool names must be unique.", id="double tool"),
        pytest.param(
            {"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.custom.name", id="name of a tool"
        ),
        pytest.param({"tool_choice": {"type": "any"}}, "tool_choice: tool_choice may only", id="choice of nothing"),
        pytest.param(
            {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5},
            "A maximum of 4 blocks with cache_control may be provided. Found 5.",
            id="five marks",
        ),
    ],
)
async def test_a_wrong_order_is_refused_in_the_vendors_words(sandbox: Sandbox, changes: dict[str, Any], message: str):
    got = await ask(sandbox, **changes)
    assert (got.status, got.json["error"]["type"]) == (400, "invalid_request_error")
    assert got.json["error"]["message"].startswith(message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param(
            {"type": "base64", "media_type": "image/png", "data": base64.b64encode(picture(8, 8, "JPEG")).decode()},
            "the image appears to be a image/jpeg image",
            id="another type",
        ),
        pytest.param({"type": "base64", "media_type": "image/png", "data": "eHg="}, "Could not process", id="no image"),
        pytest.param({"type": "url", "url": "https://example.com/none.png"}, "Unable to download", id="no file"),
        pytest.param({"type": "url", "url": "ftp://example.com/x"}, "Only HTTPS URLs", id="scheme"),
        pytest.param({"type": "base64", "media_type": "image/png", "data": "?"}, "Invalid base64 data", id="base64"),
        pytest.param({"type": "smell"}, "Input tag 'smell'", id="kind of source"),
        pytest.param({"type": "url"}, "url.url: Field required", id="no url"),
    ],
)
async def test_a_wrong_image_is_refused(sandbox: Sandbox, source: dict[str, Any], message: str):
    got = await ask(sandbox, [image(**source)])
    assert (got.status, message in got.json["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"x_api_key": ""}, 401), ({"x_api_key": "bad"}, 401), ({"anthropic_version": ""}, 400)],
    ids=str,
)
async def test_key_and_version_are_required(sandbox: Sandbox, headers: dict[str, str], status: int):
    body = {"model": "m", "max_tokens": 9, "messages": MESSAGES}
    assert (await sandbox.post(PATH, body, **headers)).status == status


async def test_models_are_listed_in_pages_and_told_one_by_one(sandbox: Sandbox):
    first = (await sandbox.get("/v1/models?limit=2")).json
    second = (await sandbox.get(f"/v1/models?limit=2&after_id={first['last_id']}")).json
    assert (len(first["data"]), first["has_more"]) == (2, True)
    assert second["data"][0]["id"] not in [model["id"] for model in first["data"]]
    back = (await sandbox.get(f"/v1/models?limit=2&before_id={second['first_id']}")).json
    assert back["data"] == first["data"]
    one = await sandbox.get(f"/v1/models/{first['first_id']}")
    assert one.json == first["data"][0]
    assert (await sandbox.get("/v1/models/does-not-exist")).json["error"]["type"] == "not_found_error"


async def test_an_unknown_path_is_answered_in_the_vendors_shape(sandbox: Sandbox):
    got = await sandbox.get("/v1/nothing")
    assert (got.status, got.json["type"], got.json["error"]["type"]) == (404, "error", "not_found_error")


def conversation(*, call: list[Any], answer: list[Any]) -> list[Any]:
    return [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": call},
        {"role": "user", "content": answer},
    ]


@pytest.mark.parametrize(
    ("call_id", "answer", "fields", "words"),
    [
        ("a b", [], {}, "String should match pattern"),
        ("a", [{"type": "text", "text": "Look"}], {}, "immediately after"),
        ("a", [], {"thinking": THINKING}, "Expected `thinking`"),
    ],
)
async def test_calls_and_results_are_refused_that_the_vendor_refuses(
    sandbox: Sandbox, call_id: str, answer: list[Any], fields: dict[str, Any], words: str
):
    call: dict[str, Any] = {"type": "tool_use", "id": call_id, "name": "weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": call_id, "content": "warm"}
    messages = conversation(call=[call], answer=[*answer, result])
    got = await ask(sandbox, messages=messages, tools=[WEATHER], **fields)
    assert (got.status, got.json["error"]["type"]) == (400, "invalid_request_error")
    assert words in got.json["error"]["message"]
