"""Which strings of a body are files: those that look so, where a format has them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel import codec
from halley.pipeline.answers.contents import FILE_FIELDS, FILE_FROM_CHARACTERS, SMALL_BYTES, contents, may_hold_files

FILE = "iVBORw0KGgo" * 400
WRAPPED = "\r\n".join(["iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"] * 60)
DATA_URL = f"data:image/png;base64,{FILE}"
HOLDING: dict[str, Any] = {
    "OpenAI's picture": {"content": [{"type": "image_url", "image_url": {"url": DATA_URL}}]},
    "OpenAI's sound": {"content": [{"type": "input_audio", "input_audio": {"data": FILE, "format": "wav"}}]},
    "OpenAI's file": {"content": [{"type": "file", "file": {"filename": "a.pdf", "file_data": DATA_URL}}]},
    "a response's picture": {"input": [{"content": [{"type": "input_image", "image_url": DATA_URL}]}]},
    "Anthropic's": {"content": [{"type": "image", "source": {"type": "base64", "data": FILE}}]},
    "a tool's result": {"content": [{"type": "tool_result", "content": [{"source": {"data": FILE}}]}]},
    "Gemini's": {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": FILE}}]}]},
    "in snake case": {"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": FILE}}]}]},
    "an edit's": {"prompt": "x", "image": DATA_URL},
    "one of several": {"prompt": "x", "images": [DATA_URL]},
    "wrapped": {"source": {"data": WRAPPED}},
}
PLAIN: dict[str, Any] = {
    "what is said": {"messages": [{"role": "user", "content": FILE}]},
    "a part of it": {"content": [{"type": "text", "text": DATA_URL}]},
    "a prompt": {"prompt": FILE},
    "several": {"input": [FILE]},
    "a document that is text": {"source": {"type": "text", "media_type": "text/plain", "data": FILE}},
    "an instruction": {"instructions": FILE},
    "words in a file's place": {"source": {"data": "many words " * 400}},
    "a short one": {"source": {"data": FILE[:FILE_FROM_CHARACTERS]}},
    "what a tool was asked": {"type": "tool_use", "input": {"data": FILE}},
    "Gemini's call": {"functionCall": {"name": "f", "args": {"url": DATA_URL}}},
    "Gemini's answer": {"functionResponse": {"name": "f", "response": {"rows": [{"data": FILE}]}}},
    "a schema": {"tools": [{"function": {"parameters": {"properties": {"image": {"data": FILE}}}}}]},
}


@pytest.mark.parametrize("body", HOLDING.values(), ids=HOLDING.keys())
def test_a_file_is_found_where_the_formats_have_them(body: Any):
    assert contents(body).files == 1
    assert not [text for text in contents(body).texts if len(text) > FILE_FROM_CHARACTERS]
    padded = codec.encode({"pad": "x y " * SMALL_BYTES, **body})
    assert may_hold_files(padded)


@pytest.mark.parametrize("body", PLAIN.values(), ids=PLAIN.keys())
def test_what_lies_elsewhere_or_looks_otherwise_is_text(body: Any):
    assert contents(body).files == 0
    assert sum(len(text) for text in contents(body).texts) >= FILE_FROM_CHARACTERS


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]  # pyright: ignore[reportUnknownVariableType] - JSON
    return [text for inner in value for text in strings(inner)] if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType] - JSON


LEAVES = st.text(max_size=5) | st.just(FILE) | st.just(DATA_URL)
NAMES = st.text(max_size=3) | st.sampled_from(sorted(FILE_FIELDS | {"input", "args", "response"}))


@given(st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4)))
def test_every_string_is_a_text_or_a_file_and_texts_keep_their_order(value: Any):
    found, every = contents(value), strings(value)
    assert len(found.texts) + found.files == len(every)
    rest = iter(every)
    assert all(text in rest for text in found.texts)


@pytest.mark.parametrize("escape", ["\\/", "\\u002f"], ids=["slash", "hex"])
def test_a_file_that_is_spelled_with_escapes_is_worth_a_look(escape: str):
    assert may_hold_files(b'{"data":"%b"}' % escape.encode().join([b"A" * 40] * 1_000))


def test_a_small_body_is_never_looked_into():
    assert not may_hold_files(b'"data:' + b"A" * (SMALL_BYTES - 10))
    assert may_hold_files(b'"data:' + b"A" * SMALL_BYTES)
