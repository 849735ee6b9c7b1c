from typing import Any

import pytest
from tests.wire.talk import reply_of

from halley.kernel.chat import (
    Blob,
    BlobKind,
    ChatUsage,
    Part,
    Refusal,
    StopReason,
    Text,
    Thinking,
    ToolCall,
)
from halley.wire.contract import AnswerFacts
from halley.wire.openai import CHAT, RESPONSES

FACTS = AnswerFacts(id="abc", model="m", created_s=1, body={"temperature": 0.5, "user": "u"})


@pytest.mark.parametrize(
    ("message", "finish_reason", "parts", "stop"),
    [
        pytest.param({"content": "x"}, "stop", (Text(text="x"),), StopReason.END, id="text"),
        pytest.param({"content": "x"}, "eos", (Text(text="x"),), StopReason.END, id="an unknown end"),
        pytest.param({"content": "x"}, None, (Text(text="x"),), StopReason.END, id="no reason"),
        pytest.param({"content": "x"}, "length", (Text(text="x"),), StopReason.LENGTH, id="length"),
        pytest.param(
            {"content": None, "refusal": "no"}, "stop", (Refusal(text="no"),), StopReason.REFUSED, id="refusal"
        ),
        pytest.param(
            {"content": "x", "reasoning": "hm"},
            "stop",
            (Thinking(text="hm"), Text(text="x")),
            StopReason.END,
            id="thought",
        ),
        pytest.param(
            {"tool_calls": [{"id": "", "function": {"name": "f", "arguments": ""}}]},
            "stop",
            (ToolCall(id="call_r_0_0", name="f", arguments="{}"),),
            StopReason.TOOLS,
            id="call without an id",
        ),
        pytest.param(
            {"function_call": {"name": "f", "arguments": "{}"}},
            "function_call",
            (ToolCall(id="call_r_0_0", name="f", arguments="{}"),),
            StopReason.TOOLS,
            id="call of the old kind",
        ),
        pytest.param(
            {"content": [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "x"}]},
            "stop",
            (Thinking(text="hm"), Text(text="x")),
            StopReason.END,
            id="content in parts",
        ),
        pytest.param(
            {"content": "", "images": [{"image_url": {"url": "data:image/png;base64,AA"}}, {"other": 1}]},
            "stop",
            (Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AA"),),
            StopReason.END,
            id="image",
        ),
    ],
)
def test_each_field_of_a_chat_reply_is_read(
    message: dict[str, Any], finish_reason: str | None, parts: tuple[Part, ...], stop: StopReason
):
    body = {"id": "r", "model": "m", "choices": [{"message": message, "finish_reason": finish_reason}]}
    assert CHAT.read_reply(body) == reply_of(*parts, stop=stop)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param({}, "without `choices`", id="chat: nothing"),
        pytest.param({"error": {"message": "down", "code": 502}}, "error with status 200", id="chat: error"),
        pytest.param(
            {"choices": [{"message": {"content": "x"}, "finish_reason": "error"}]}, "broke off", id="chat: broken"
        ),
    ],
)
def test_what_is_no_chat_reply_is_not_read(body: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        CHAT.read_reply(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"status": "failed", "error": {"message": "x"}}, id="failed"),
        pytest.param({"status": "in_progress", "output": []}, id="not ended"),
    ],
)
def test_what_is_no_response_is_not_read(body: dict[str, Any]):
    with pytest.raises(ValueError):
        RESPONSES.read_reply(body)


def test_thoughts_of_a_response_are_read_where_there_is_no_summary():
    item = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    found = RESPONSES.read_reply({"status": "completed", "output": [item, {"type": "web_search_call"}]})
    assert found.choices[0].parts == (Thinking(text="hm"),)


def test_arguments_of_a_response_may_be_an_object():
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": {"a": 1}}
    found = RESPONSES.read_reply({"status": "completed", "output": [item]})
    assert found.choices[0].parts == (ToolCall(id="c", name="f", arguments='{"a":1}'),)


def test_a_chat_reply_is_written():
    body = CHAT.write_reply(reply_of(Text(text="x"), usage=ChatUsage(input=1, output=2, cached=1)), FACTS)
    assert body == {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "x", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }


def test_a_reply_that_counts_nothing_has_no_usage():
    assert "usage" not in CHAT.write_reply(reply_of(Text(text="x")), FACTS)
    assert RESPONSES.write_reply(reply_of(Text(text="x")), FACTS)["usage"] is None


def test_a_response_repeats_what_was_asked():
    body = RESPONSES.write_reply(reply_of(Text(text="x"), stop=StopReason.LENGTH), FACTS)
    assert (body["id"], body["status"], body["incomplete_details"]) == (
        "resp_abc",
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    assert (body["temperature"], body["user"], body["top_p"], body["tools"]) == (0.5, "u", 1.0, [])
    assert body["output"][0]["id"] == "msg_abc_0"


def test_a_linked_image_of_a_response_is_told_in_words():
    body = RESPONSES.write_reply(reply_of(Blob(kind=BlobKind.IMAGE, url="https://a.example/b")), FACTS)
    assert body["output"][0]["content"][0]["text"] == "![image](https://a.example/b)"
