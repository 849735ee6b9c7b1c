from typing import Any

import pytest
from tests.wire.talk import FACTS, reply_of

from halley.kernel.chat import (
    Blob,
    BlobKind,
    ChatUsage,
    Refusal,
    StopReason,
    Text,
    Thinking,
    ToolCall,
)
from halley.kernel.codec import encode
from halley.kernel.faults import NotConveyed
from halley.wire.anthropic import MESSAGES

USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 5,
    "cache_read_input_tokens": 100,
    "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 4},
}
COUNTED = ChatUsage(input=115, output=7, cached=100, cache_write=5, cache_write_1h=2, reasoning=4)


def body(*content: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **fields,
    }


def test_a_reply_is_read():
    read = MESSAGES.read_reply(
        body(
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "text", "text": "Hi", "citations": None},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            stop_reason="tool_use",
        )
    )
    assert read.choices[0].parts == (
        Thinking(text="hm", signature="s"),
        Thinking(redacted="d"),
        Text(text="Hi"),
        ToolCall(id="t", name="f", arguments='{"a":1}'),
    )
    assert (read.id, read.model, read.choices[0].stop, read.usage) == (
        "msg_1",
        "claude-opus-5",
        StopReason.TOOLS,
        COUNTED,
    )


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("end_turn", StopReason.END),
        ("max_tokens", StopReason.LENGTH),
        ("model_context_window_exceeded", StopReason.LENGTH),
        ("stop_sequence", StopReason.STOP_SEQUENCE),
        ("tool_use", StopReason.TOOLS),
        ("pause_turn", StopReason.PAUSED),
        ("refusal", StopReason.REFUSED),
    ],
)
def test_a_stop_word_is_read(word: str, stop: StopReason):
    assert MESSAGES.read_reply(body(stop_reason=word)).choices[0].stop is stop


@pytest.mark.parametrize(
    "bad",
    [
        body(stop_reason=None),
        body(stop_reason="brand_new"),
        {"id": "msg_1"},
        body({"type": "web_search_tool_result"}),
    ],
)
def test_what_cannot_be_read_passes_for_no_answer(bad: dict[str, Any]):
    with pytest.raises(ValueError):
        MESSAGES.read_reply(bad)


def test_the_words_of_a_refusal_are_kept_both_ways():
    details = {"type": "refusal", "category": "bio", "explanation": "I may not."}
    read = MESSAGES.read_reply(body(stop_reason="refusal", stop_details=details))
    assert read.choices[0].parts == (Refusal(text="I may not."),)
    written = MESSAGES.write_reply(read, FACTS)
    assert written["content"] == []
    assert written["stop_details"] == {**details, "category": None}


def test_a_reply_is_written_in_our_name():
    written = MESSAGES.write_reply(reply_of(Text(text="Hi"), Thinking(text="hm"), usage=COUNTED), FACTS)
    assert written == body(
        {"type": "text", "text": "Hi"},
        {"type": "thinking", "thinking": "hm", "signature": ""},
        id="msg_abc",
        model="alias",
    )


def test_a_filtered_answer_is_a_refusal_here():
    assert MESSAGES.write_reply(reply_of(stop=StopReason.FILTERED), FACTS)["stop_reason"] == "refusal"


def test_an_answer_with_a_picture_is_refused_rather_than_emptied():
    with pytest.raises(NotConveyed):
        MESSAGES.write_reply(reply_of(Blob(kind=BlobKind.IMAGE, data="AA==")), FACTS)


def test_arguments_that_are_no_object_are_no_answer():
    with pytest.raises(ValueError):
        MESSAGES.write_reply(reply_of(ToolCall(id="t", name="f", arguments='{"a":')), FACTS)


@pytest.mark.parametrize(
    ("data", "usage"),
    [
        (encode(body()), COUNTED),
        (encode({"type": "message_start", "message": {"usage": USAGE}}), COUNTED),
        (
            encode({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9}}),
            ChatUsage(input=0, output=9),
        ),
        (b'{"type":"ping"}', None),
        (b'{"usage"', None),
        (b'{"usage":null}', None),
        (b'{"usage":{"input_tokens":0,"output_tokens":0}}', None),
        (b'{"usage":{"input_tokens":-1,"output_tokens":1}}', ChatUsage(input=0, output=1)),
        (b'{"usage":{"input_tokens":1,"output_tokens":"9"},"message":"x"}', ChatUsage(input=1, output=0)),
        (b'{"message":{"usage":{"input_tokens":1.5,"output_tokens":9}}}', ChatUsage(input=0, output=9)),
        (b'{"usage":"nonsense"}', None),
        (b'{"usage":{"input_tokens":"1"},"x":' + b"[" * 99 + b"]" * 99 + b"}", None),
        (
            b'{"usage":{"input_tokens":1,"output_tokens":2,"cache_creation":{"ephemeral_1h_input_tokens":3}}}',
            ChatUsage(input=4, output=2, cache_write=3, cache_write_1h=3),
        ),
    ],
    ids=[
        "reply",
        "start",
        "delta",
        "ping",
        "cut",
        "null",
        "zeros",
        "less than none",
        "text",
        "fraction",
        "nonsense",
        "too deep",
        "writes by age alone",
    ],
)
def test_usage_is_read_alone(data: bytes, usage: ChatUsage | None):
    assert MESSAGES.read_usage(data) == usage


UNTOLD = {
    "input_tokens": 0,
    "cache_creation_input_tokens": None,
    "cache_read_input_tokens": None,
    "output_tokens": 0,
}


def test_usage_that_nobody_told_is_null_wherever_the_format_allows_it():
    written = MESSAGES.write_reply(reply_of(Text(text="Hi")), FACTS)["usage"]
    assert written == {**UNTOLD, "cache_creation": None}
    assert MESSAGES.read_usage(encode({"usage": written})) is None
