"""Whatever is sent, readers say what is wrong with it in one way: no other error comes out of them."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.codec import encode
from halley.kernel.faults import BadRequest
from halley.kernel.operation import Operation
from halley.kernel.sse import Frame
from halley.wire import embedding_openai, watch
from halley.wire.anthropic import MESSAGES
from halley.wire.anthropic import counting as anthropic_counting
from halley.wire.anthropic import errors as anthropic_errors
from halley.wire.contract import ChatFormat, StreamFault
from halley.wire.formats import CHAT_FORMATS
from halley.wire.gemini import CONTENT
from halley.wire.gemini import counting as gemini_counting
from halley.wire.gemini import embedding as gemini_embedding
from halley.wire.gemini import errors as gemini_errors

NAMES = (
    *("model", "max_tokens", "messages", "system", "role", "content", "type", "text", "source", "data", "media_type"),
    *("tools", "tool_choice", "name", "input", "input_schema", "thinking", "output_config", "format", "effort"),
    *("context_management", "edits", "keep", "index", "delta", "content_block", "message", "usage", "stop_reason"),
    *("contents", "parts", "inlineData", "mimeType", "functionCall", "functionResponse", "args", "response", "id"),
    *("systemInstruction", "generationConfig", "thinkingConfig", "toolConfig", "functionCallingConfig", "mode"),
    *("functionDeclarations", "parameters", "allowedFunctionNames", "candidates", "finishReason", "promptFeedback"),
    *("usageMetadata", "promptTokenCount", "error", "code", "details", "@type", "requests", "generateContentRequest"),
    *("embedding", "embeddings", "values", "input_tokens", "totalTokens", "retryDelay", "fieldViolations"),
)
WORDS = (
    *("user", "assistant", "system", "model", "text", "image", "document", "tool_use", "tool_result", "base64", "m"),
    *("enabled", "adaptive", "disabled", "json_schema", "auto", "tool", "ANY", "VALIDATED", "STOP", "end_turn"),
    *("message_start", "message_delta", "content_block_start", "content_block_delta", "content_block_stop", "error"),
    *("text_delta", "input_json_delta", "application/json", "type.googleapis.com/google.rpc.RetryInfo"),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**65) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)
bodies = st.dictionaries(st.sampled_from(NAMES), json_values, max_size=8)
NESTED = b"[" * 100_000 + b"]" * 100_000
FORMATS = [pytest.param(MESSAGES, id="anthropic"), pytest.param(CONTENT, id="gemini")]


def complete(body: dict[str, Any]) -> dict[str, Any]:
    """The body with what readers look for first, so that they go on to the rest."""
    return {"model": "m", "max_tokens": 1, "messages": [], "contents": [], **body}


def is_read_or_named(read: Callable[[dict[str, Any]], object], body: dict[str, Any]) -> bool:
    """Whether a reader understands a body or names the field that is wrong."""
    try:
        read(body)
    except BadRequest as fault:
        return bool(fault.param)
    return True


@pytest.mark.parametrize("form", FORMATS)
@given(body=bodies | bodies.map(complete))
def test_an_order_is_read_or_a_bad_request(form: ChatFormat, body: dict[str, Any]):
    assert is_read_or_named(form.read_order, body)


@pytest.mark.parametrize("form", FORMATS)
@given(value=json_values)
def test_a_message_is_read_or_a_bad_request(form: ChatFormat, value: Any):
    body = complete({"messages": [{"role": "user", "content": [value]}], "contents": [{"parts": [value]}]})
    assert is_read_or_named(form.read_order, body)


@pytest.mark.parametrize("form", FORMATS)
@given(body=bodies)
def test_a_reply_is_read_or_a_value_error(form: ChatFormat, body: dict[str, Any]):
    form.read_usage(encode(body))
    with suppress(ValueError):  # the one error that is meant
        form.read_reply(body)


@pytest.mark.parametrize("form", FORMATS)
@given(frames=st.lists(json_values, max_size=4))
def test_a_stream_is_read_or_a_value_error_or_its_own_fault(form: ChatFormat, frames: list[Any]):
    stream = form.read_stream()
    with suppress(ValueError, StreamFault):  # the two errors that are meant
        for frame in frames:
            list(stream.feed(Frame(encode(frame))))


@pytest.mark.parametrize("operation", Operation)
def test_what_is_nested_too_deeply_tells_nothing_and_ends_nothing(operation: Operation):
    words = b'"type":"message_stop","x":{"finish_reason":"","finishReason":"","usage":{},"usageMetadata":{}}'
    frame = Frame(b"{" + words + b',"y":' + NESTED + b"}")
    with pytest.raises(ValueError, match="nested too deeply"):
        watch.marks(frame)
    assert watch.facts(frame) == {}
    ends, form = watch.ends_of(operation), CHAT_FORMATS.get(operation)
    assert ends is None or not ends(frame)
    assert form is None or form.read_usage(frame.data) is None


@given(status=st.integers(300, 599), body=json_values, wait=st.text(max_size=5))
def test_any_refusal_is_a_fault(status: int, body: Any, wait: str):
    for errors in (anthropic_errors, gemini_errors):
        fault = errors.read_refusal(status, {"retry-after": wait}, encode(body))
        assert fault.message


@given(body=bodies)
def test_what_is_to_be_counted_or_embedded_is_read_or_a_bad_request(body: dict[str, Any]):
    readers = (
        anthropic_counting.read_count_order,
        gemini_counting.read_count_order,
        gemini_embedding.read_single,
        gemini_embedding.read_batch,
        embedding_openai.read_order,
    )
    for read in readers:
        assert is_read_or_named(read, {"model": "m", **body})


@given(body=bodies)
def test_a_count_or_an_embedding_is_read_or_a_value_error(body: dict[str, Any]):
    readers = (
        anthropic_counting.read_count,
        gemini_counting.read_count,
        gemini_embedding.read_reply,
        embedding_openai.read_reply,
    )
    for read in readers:
        with suppress(ValueError):  # the one error that is meant
            read(body)
