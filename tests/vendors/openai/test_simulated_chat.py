"""Simulated chats over a real socket: what is answered, streamed, checked and refused."""

import base64
import json
from typing import Any

import pytest
from tests.vendors.openai.conftest import OpenSandbox
from tests.vendors.openai.support import WEATHER, Answer, Sandbox, function, looked_at, picture

DATA_URL = "data:image/png;base64," + base64.b64encode(picture(512, 384)).decode()


def text_of(answer: Answer) -> str:
    return "".join(choice["delta"].get("content") or "" for event in answer.events for choice in event["choices"])


def usage_adds_up(usage: dict[str, Any]) -> bool:
    return usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


async def test_a_chat_is_answered_in_the_vendors_shape(sandbox: Sandbox):
    answer = await sandbox.chat("Hello there")
    choice = answer.json["choices"][0]
    assert (answer.status, answer.json["object"], choice["finish_reason"]) == (200, "chat.completion", "stop")
    assert "simulated answer of gpt-4o" in choice["message"]["content"]
    assert "“Hello there”" in choice["message"]["content"]
    assert usage_adds_up(answer.json["usage"])
    assert answer.headers["x-request-id"].startswith("req_")
    assert int(answer.headers["openai-processing-ms"]) >= 1


async def test_a_stream_says_the_same_as_the_whole_answer(sandbox: Sandbox):
    whole, stream = await sandbox.chat(), await sandbox.chat(stream=True)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert text_of(stream) == whole.json["choices"][0]["message"]["content"]
    assert stream.events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert stream.events[-1]["choices"][0]["finish_reason"] == "stop"
    assert stream.body.endswith(b"data: [DONE]\n\n")
    assert not any("usage" in event for event in stream.events)


async def test_usage_ends_a_stream_where_it_is_asked_for(sandbox: Sandbox):
    whole = await sandbox.chat()
    *others, last = (await sandbox.chat(stream=True, stream_options={"include_usage": True})).events
    assert last["choices"] == []
    assert last["usage"] == whole.json["usage"]
    assert all(event["usage"] is None for event in others)


async def test_several_choices_differ_and_take_turns_in_a_stream(sandbox: Sandbox):
    whole, stream = await sandbox.chat(n=3), await sandbox.chat(n=3, stream=True)
    contents = [choice["message"]["content"] for choice in whole.json["choices"]]
    assert len(set(contents)) > 1
    streamed = ["", "", ""]
    for event in stream.events:
        choice = event["choices"][0]
        streamed[choice["index"]] += choice["delta"].get("content") or ""
    assert streamed == contents


async def test_tools_are_called_and_their_results_told(sandbox: Sandbox):
    tools = [function(strict=True), function("get_time")]
    first = await sandbox.chat("tell me both", tools=tools)
    message = first.json["choices"][0]["message"]
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["get_weather", "get_time"]
    assert set(json.loads(message["tool_calls"][0]["function"]["arguments"])) == set(WEATHER["required"])
    assert (first.json["choices"][0]["finish_reason"], message["content"]) == ("tool_calls", None)
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "12 C"} for call in message["tool_calls"]]
    messages = [{"role": "user", "content": "tell me both"}, message, *results]
    second = await sandbox.post("/v1/chat/completions", model="gpt-4o", messages=messages, tools=tools)
    assert "got “12 C” from a tool" in second.json["choices"][0]["message"]["content"]


async def test_a_streamed_tool_call_comes_in_pieces(sandbox: Sandbox):
    stream = await sandbox.chat(tools=[function()], stream=True)
    parts = [part for event in stream.events for part in event["choices"][0]["delta"].get("tool_calls", [])]
    assert parts[0]["id"].startswith("call_")
    assert parts[0]["function"] == {"name": "get_weather", "arguments": ""}
    assert json.loads("".join(part["function"]["arguments"] for part in parts))["days"] in range(1, 8)
    assert len(parts) > 3
    assert stream.events[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_functions_of_old_are_called_in_their_own_words(sandbox: Sandbox):
    answer = await sandbox.chat(functions=[{"name": "f", "parameters": WEATHER}], function_call={"name": "f"})
    choice = answer.json["choices"][0]
    assert (choice["message"]["function_call"]["name"], choice["finish_reason"]) == ("f", "function_call")


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", []),
        ("auto", ["get_weather"]),
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [function("get_time")]}},
            ["get_time"],
        ),
    ],
    ids=str,
)
async def test_the_choice_of_a_tool_is_kept(sandbox: Sandbox, choice: Any, names: list[str]):
    answer = await sandbox.chat(tools=[function(), function("get_time")], tool_choice=choice)
    calls = answer.json["choices"][0]["message"].get("tool_calls", [])
    assert [call["function"]["name"] for call in calls] == names


async def test_a_schema_gets_an_object_that_conforms(sandbox: Sandbox):
    asked = {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER, "strict": True}}
    content = (await sandbox.chat(response_format=asked)).json["choices"][0]["message"]["content"]
    assert set(json.loads(content)) == {"city", "days"}
    content = (await sandbox.chat("as json", response_format={"type": "json_object"})).json["choices"][0]["message"]
    assert json.loads(content["content"])["simulated"] is True


@pytest.mark.parametrize("url", [DATA_URL, "https://example.com/fox.png"], ids=["data", "url"])
async def test_images_are_seen_and_counted(sandbox: Sandbox, url: str):
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    answer, blind = await sandbox.chat(parts), await sandbox.chat("What?")
    seen = "512x384" if url is DATA_URL else "640x480"
    assert f"saw an image of {seen}" in answer.json["choices"][0]["message"]["content"]
    assert answer.json["usage"]["prompt_tokens"] > blind.json["usage"]["prompt_tokens"] + 200


async def test_sounds_and_files_are_noticed(sandbox: Sandbox):
    data = base64.b64encode(b"x" * 4_000).decode()
    parts = [
        {"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"}},
    ]
    answer = await sandbox.chat(parts)
    content = answer.json["choices"][0]["message"]["content"]
    assert "mp3 audio" in content
    assert "read the file a.pdf of 4000 bytes" in content
    assert answer.json["usage"]["prompt_tokens_details"]["audio_tokens"] > 0


async def test_thinking_is_counted_and_shown_only_by_those_who_do(sandbox: Sandbox, open_sandbox: OpenSandbox):
    answer = await sandbox.chat(model="o3", reasoning_effort="high")
    assert answer.json["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert "reasoning_content" not in answer.json["choices"][0]["message"]
    elsewhere = await open_sandbox("deepseek")
    answer = await elsewhere.chat(model="deepseek-v4", thinking={"type": "enabled"})
    assert "simulated thoughts" in answer.json["choices"][0]["message"]["reasoning_content"]
    stream = await elsewhere.chat(model="deepseek-v4", thinking={"type": "enabled"}, stream=True)
    assert any("reasoning_content" in event["choices"][0]["delta"] for event in stream.events)


async def test_logprobs_are_given_where_they_are_asked_for(sandbox: Sandbox):
    answer = await sandbox.chat(logprobs=True, top_logprobs=2)
    tokens = answer.json["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == answer.json["choices"][0]["message"]["content"]
    assert all(len(token["top_logprobs"]) == 2 for token in tokens)


async def test_limits_and_stops_end_an_answer(sandbox: Sandbox):
    limited = (await sandbox.chat(max_completion_tokens=5)).json
    assert limited["choices"][0]["finish_reason"] == "length"
    assert limited["usage"]["completion_tokens"] == 5
    stopped = (await sandbox.chat(stop=["no model"])).json["choices"][0]
    assert (stopped["finish_reason"], stopped["message"]["content"][-6:]) == ("stop", "t-4o: ")


async def test_a_long_prompt_sent_again_is_cached(sandbox: Sandbox):
    await sandbox.chat("word " * 3_000)
    details = (await sandbox.chat("word " * 3_000)).json["usage"]["prompt_tokens_details"]
    assert details["cached_tokens"] >= 1_024


async def test_speech_comes_instead_of_text_where_it_is_asked_for(sandbox: Sandbox):
    asked: dict[str, Any] = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
    message = (await sandbox.chat(model="gpt-audio", **asked)).json["choices"][0]["message"]
    assert message["content"] is None
    assert base64.b64decode(message["audio"]["data"]).startswith(b"RIFF")
    assert "simulated answer" in message["audio"]["transcript"]


async def test_a_picture_is_told_in_markdown_with_a_link_to_it(sandbox: Sandbox):
    answer = await sandbox.chat("a kitten", model="gpt-4o-image")
    content = answer.json["choices"][0]["message"]["content"]
    link = content.partition("![image](")[2].partition(")")[0]
    assert content == f"![image]({link})\n\n[download]({link})"
    assert looked_at((await sandbox.get(link, key=None)).body)[:2] == ((1024, 1024), "PNG")
    assert text_of(await sandbox.chat("a kitten", model="gpt-4o-image", stream=True)).startswith("![image](http")


async def test_a_picture_whose_link_has_ended_is_denied(sandbox: Sandbox):
    answer = await sandbox.chat("a kitten", model="gpt-4o-image", outcome="expired_link")
    link = answer.json["choices"][0]["message"]["content"].partition("![image](")[2].partition(")")[0]
    assert (await sandbox.get(link, key=None)).status == 403


# what is refused

CALLED = {
    "role": "assistant",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
OPEN_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": "x"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": [{"role": "x", "content": "a"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"content": "a"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [{"type": "x"}]}]}, "messages[0].content[0].type", "invalid_value"),
        ({"messages": [{"role": "tool", "tool_call_id": "c", "content": "a"}]}, "messages[0].role", None),
        ({"messages": [{"role": "user", "content": "a"}, CALLED]}, "messages[2]", None),
        ({"temperature": 3}, "temperature", "decimal_above_max_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"stop": list("abcde")}, "stop", "array_above_max_length"),
        ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value"),
        ({"bogus": 1}, "bogus", "unknown_parameter"),
        ({"model": "o3", "max_tokens": 5}, "max_tokens", "unsupported_parameter"),
        ({"model": "o3", "temperature": 0.5}, "temperature", "unsupported_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"top_logprobs": 2}, "top_logprobs", None),
        ({"tool_choice": "required"}, "tool_choice", None),
        ({"tools": [function()], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice", None),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name", "missing_required_parameter"),
        (
            {"tools": [function(parameters=OPEN_SCHEMA, strict=True)]},
            "tools[0].function.parameters",
            "invalid_json_schema",
        ),
        ({"response_format": {"type": "json_object"}}, "messages", None),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}]},
            "messages[0].content[0].image_url",
            "invalid_image_url",
        ),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named(sandbox: Sandbox, body: dict[str, Any], param: str, code: str | None):
    answer = await sandbox.chat(**({"model": "gpt-4o"} | body))
    error = answer.error
    assert (answer.status, error["type"], error["param"], error["code"]) == (400, "invalid_request_error", param, code)
    assert answer.headers["x-request-id"].startswith("req_")


async def test_fields_of_other_vendors_are_let_pass_outside_the_vendor_itself(open_sandbox: OpenSandbox):
    assert (await (await open_sandbox("deepseek")).chat(model="deepseek-v4", top_k=5)).status == 200


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("", 400, None),
        ("does-not-exist", 404, "model_not_found"),
        ("text-embedding-3-small", 404, None),
        ("dall-e-3", 404, None),
    ],
)
async def test_a_model_must_be_one_for_chats(sandbox: Sandbox, model: str, status: int, code: str | None):
    answer = await sandbox.chat(model=model)
    assert (answer.status, answer.error["code"]) == (status, code)


@pytest.mark.parametrize(("key", "code"), [(None, None), ("bad-key", "invalid_api_key")])
async def test_a_key_is_needed(sandbox: Sandbox, key: str | None, code: str | None):
    answer = await sandbox.get("/v1/models", key=key)
    assert (answer.status, answer.error["code"], "x-request-id" in answer.headers) == (401, code, True)


async def test_what_is_no_json_is_refused(sandbox: Sandbox):
    answer = await sandbox.send("POST", "/v1/chat/completions", data=b"{")
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")


async def test_an_unknown_path_is_answered_in_the_vendors_shape(sandbox: Sandbox):
    answer = await sandbox.get("/v1/nowhere")
    assert (answer.status, answer.error["type"]) == (404, "invalid_request_error")


# ordered endings


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ("request_moderated", 400, "content_policy_violation"),
        ("vendor_error", 500, None),
        ("invalid", 400, "invalid_value"),
        ("unauthorized", 401, "invalid_api_key"),
        ("out_of_credit", 429, "insufficient_quota"),
        ("rate_limited", 429, "rate_limit_exceeded"),
        ("never_finishes", 400, "invalid_value"),
        ("tool_call", 400, "invalid_value"),
    ],
)
async def test_an_ordered_error_comes_before_anything_else(
    sandbox: Sandbox, stream: bool, outcome: str, status: int, code: str | None
):
    answer = await sandbox.chat(outcome=outcome, stream=stream)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.headers.get("retry-after") == ("1" if outcome == "rate_limited" else None)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("outcome", "finished"), [("length", "length"), ("content_moderated", "content_filter"), ("refusal", "stop")]
)
async def test_an_ordered_end_is_told_in_the_answer(sandbox: Sandbox, stream: bool, outcome: str, finished: str):
    answer = await sandbox.chat(f"[[halley outcome={outcome}]]", stream=stream)
    last = answer.events[-1] if stream else answer.json
    assert last["choices"][0]["finish_reason"] == finished
    assert (b'"refusal":"' in answer.body) is (outcome == "refusal")


async def test_an_error_frame_comes_after_some_tokens(sandbox: Sandbox):
    answer = await sandbox.chat(outcome="error_frame", stream=True)
    assert answer.events[-1]["error"]["type"] == "server_error"
    assert len(text_of(Answer(status=200, headers={}, body=answer.body.rpartition(b"data: ")[0]))) > 20
    assert b"[DONE]" not in answer.body
    assert (await sandbox.chat(outcome="error_frame")).status == 500


async def test_speech_and_old_functions_are_streamed_too(sandbox: Sandbox):
    asked: dict[str, Any] = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
    stream = await sandbox.chat(model="gpt-audio", stream=True, **asked)
    parts = [event["choices"][0]["delta"].get("audio", {}) for event in stream.events]
    assert base64.b64decode("".join(part.get("data", "") for part in parts)).startswith(b"RIFF")
    assert "simulated answer" in "".join(part.get("transcript", "") for part in parts)
    stream = await sandbox.chat(functions=[{"name": "f", "parameters": WEATHER}], stream=True)
    calls = [event["choices"][0]["delta"].get("function_call", {}) for event in stream.events]
    assert set(json.loads("".join(call.get("arguments", "") for call in calls))) == {"city", "days"}


@pytest.mark.parametrize(
    ("part", "param", "code"),
    [
        ({"type": "text"}, "text", "missing_required_parameter"),
        ({"type": "image_url"}, "image_url", "missing_required_parameter"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,eHg="}}, "image_url", "invalid_image_url"),
        ({"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}, "input_audio.data", "invalid_base64"),
        (
            {"type": "input_audio", "input_audio": {"data": "eHg=", "format": "ogg"}},
            "input_audio.format",
            "invalid_value",
        ),
        ({"type": "file", "file": {"filename": "a.pdf"}}, "file.file_data", "missing_required_parameter"),
        ({"type": "file", "file": {"file_url": "https://x/y"}}, "file.file_url", "invalid_value"),
    ],
    ids=str,
)
async def test_a_wrong_part_is_named(sandbox: Sandbox, part: dict[str, Any], param: str, code: str):
    error = (await sandbox.chat([part])).error
    assert (error["param"], error["code"]) == (f"messages[0].content[0].{param}", code)


async def test_files_are_taken_by_their_id_or_url(sandbox: Sandbox):
    parts: list[dict[str, Any]] = [
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_file", "file_url": "https://example.com/fox.png"},
        {"type": "input_image", "file_id": "file-2"},
    ]
    content = (await sandbox.chat(parts)).json["choices"][0]["message"]["content"]
    assert all(text in content for text in ("the file file-1", "without a name of", "the image of file file-2"))


@pytest.mark.parametrize("kind", ["an array", "an object", "an integer", "a boolean", "a decimal"])
async def test_a_wrong_type_is_told_as_what_it_is(sandbox: Sandbox, kind: str):
    given: dict[str, Any] = {"an array": [], "an object": {}, "an integer": 1, "a boolean": True, "a decimal": 0.5}
    assert f"but got {kind} instead" in (await sandbox.chat(user=given[kind])).error["message"]
