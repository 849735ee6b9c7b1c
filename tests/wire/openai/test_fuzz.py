"""Whatever comes, readers answer or say what is wrong; nothing else escapes them."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.chat import ChatOrder
from halley.kernel.codec import encode
from halley.kernel.faults import BadRequest, Fault, NotConveyed
from halley.kernel.sse import Frame
from halley.wire.contract import ChatFormat, StreamFault
from halley.wire.openai import CHAT, RESPONSES
from halley.wire.openai.chat.thinking import SPELLINGS
from halley.wire.openai.errors import read_error, read_refusal, render_fault
from halley.wire.openai.usage import read_counts

NAMES = (
    *("type", "role", "content", "text", "image_url", "url", "file", "file_data", "file_id", "input_audio", "data"),
    *("format", "tool_calls", "function", "name", "arguments", "id", "index", "tool_call_id", "refusal", "images"),
    *("call_id", "output", "summary", "encrypted_content", "status", "delta", "finish_reason", "message", "choices"),
    *(
        "usage",
        "error",
        "code",
        "param",
        "detail",
        "loc",
        "msg",
        "response",
        "item",
        "output_index",
        "reasoning_details",
    ),
    *("prompt_tokens", "completion_tokens", "total_tokens", "seconds", "extra_content", "google", "schema", "effort"),
)
WORDS = (
    *("text", "image_url", "input_audio", "file", "video_url", "function", "user", "assistant", "tool", "system"),
    *("input_text", "input_image", "input_file", "output_text", "refusal", "message", "function_call", "reasoning"),
    *("function_call_output", "json_schema", "stop", "tool_calls", "data:image/png;base64,AA", "https://a.example/b"),
    *("response.output_item.done", "response.completed", "response.output_text.delta", "error", "reasoning.text"),
    *("response.output_item.added", "response.function_call_arguments.delta", "duration", "400", "content_filter"),
)
FIELDS = (
    *("tools", "tool_choice", "functions", "function_call", "response_format", "stop", "max_tokens", "temperature"),
    *("verbosity", "service_tier", "text", "reasoning", "instructions", "stream", "n", *SPELLINGS),
)
leaves = st.none() | st.booleans() | st.integers(-5, 500) | st.floats(allow_nan=False) | st.sampled_from(WORDS)
values: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)
FORMATS = pytest.mark.parametrize("wire", [pytest.param(CHAT, id="chat"), pytest.param(RESPONSES, id="responses")])


@FORMATS
@given(
    turns=values | st.lists(objects, min_size=1, max_size=3), fields=st.dictionaries(st.sampled_from(FIELDS), values)
)
def test_an_order_is_read_or_its_mistake_is_named(wire: ChatFormat, turns: Any, fields: dict[str, Any]):
    place = "messages" if wire is CHAT else "input"
    order = read(wire, {"model": "m", **fields, place: turns})
    if isinstance(order, BadRequest):
        assert order.param is not None
        assert f"`{order.param}`" in order.message
        return
    for writer in (CHAT, RESPONSES):
        with contextlib.suppress(NotConveyed):  # a refusal by name is an answer
            assert writer.write_order(order)["model"] == "m"


def read(wire: ChatFormat, body: dict[str, Any]) -> ChatOrder | BadRequest:
    try:
        return wire.read_order(body)
    except BadRequest as fault:
        return fault


@FORMATS
@given(body=objects)
def test_a_reply_is_read_or_is_none(wire: ChatFormat, body: dict[str, Any]):
    with contextlib.suppress(ValueError):  # what the contract foresees
        assert wire.read_reply({"status": "completed", **body}).choices


@FORMATS
@given(events=st.lists(objects, max_size=4))
def test_a_stream_is_read_or_breaks(wire: ChatFormat, events: list[dict[str, Any]]):
    reader = wire.read_stream()
    with contextlib.suppress(ValueError, StreamFault):  # what the contract foresees
        for event in events:
            list(reader.feed(Frame(encode(event))))


@given(status=st.integers(300, 599), body=objects.map(encode) | st.binary(max_size=50))
def test_any_error_reply_becomes_a_fault(status: int, body: bytes):
    fault = read_refusal(status, {"retry-after": "x"}, body)
    assert isinstance(fault, Fault)
    assert 400 <= render_fault(fault, "req")[0] <= 599


@given(value=values)
def test_any_error_in_a_stream_becomes_a_fault(value: Any):
    assert read_error(value).message


@given(body=objects)
def test_any_usage_is_read_or_none(body: dict[str, Any]):
    counts = read_counts(encode({"usage": body}))
    assert counts is None or counts.usage is None or counts.usage.input >= counts.usage.cached
