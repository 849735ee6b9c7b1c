"""Which strings of a body are files: those that look so, where a format has them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel import codec
from halley.kernel.chat import BlobKind
from halley.pipeline.answers.contents import (
    FILE_FIELDS,
    FILE_FROM_CHARACTERS,
    SMALL_BYTES,
    File,
    contents,
    may_hold_files,
)

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
    "one that an answer made": {"input": [{"type": "image_generation_call", "id": "ig_1", "result": FILE}]},
}
LINK = "https://example.com/a"
NAMING: dict[str, tuple[BlobKind, Any]] = {
    "OpenAI's picture": (BlobKind.IMAGE, {"content": [{"type": "image_url", "image_url": {"url": LINK}}]}),
    "the address alone": (BlobKind.IMAGE, {"content": [{"type": "image_url", "image_url": LINK}]}),
    "OpenAI's file": (BlobKind.FILE, {"content": [{"type": "file", "file": {"file_id": "file-1"}}]}),
    "a film": (BlobKind.VIDEO, {"content": [{"type": "video_url", "video_url": {"url": LINK}}]}),
    "a response's picture": (BlobKind.IMAGE, {"input": [{"content": [{"type": "input_image", "image_url": LINK}]}]}),
    "a picture by id": (BlobKind.IMAGE, {"input": [{"content": [{"type": "input_image", "file_id": "file-1"}]}]}),
    "a response's file": (BlobKind.FILE, {"input": [{"content": [{"type": "input_file", "file_url": LINK}]}]}),
    "Anthropic's picture": (BlobKind.IMAGE, {"content": [{"type": "image", "source": {"type": "url", "url": LINK}}]}),
    "Anthropic's document": (
        BlobKind.FILE,
        {"content": [{"type": "document", "source": {"type": "url", "url": LINK}}]},
    ),
    "a picture that it has": (
        BlobKind.IMAGE,
        {"content": [{"type": "image", "source": {"type": "file", "file_id": "file_1"}}]},
    ),
    "Gemini's picture": (
        BlobKind.IMAGE,
        {"contents": [{"parts": [{"fileData": {"mimeType": "image/png", "fileUri": LINK}}]}]},
    ),
    "Gemini's film": (
        BlobKind.VIDEO,
        {"contents": [{"parts": [{"file_data": {"mime_type": "video/mp4", "file_uri": "gs://films/a.mp4"}}]}]},
    ),
    "Gemini's of no type": (BlobKind.FILE, {"contents": [{"parts": [{"fileData": {"fileUri": LINK}}]}]}),
    "an edit's": (BlobKind.IMAGE, {"prompt": "x", "image": LINK}),
    "one of several": (BlobKind.IMAGE, {"prompt": "x", "images": [LINK]}),
    "shouted": (BlobKind.IMAGE, {"prompt": "x", "image": "HTTPS://EXAMPLE.COM/a"}),
}
SENT: dict[str, tuple[BlobKind, Any]] = {
    "by its data URL": (BlobKind.FILE, {"file": {"file_data": f"data:application/pdf;base64,{FILE}"}}),
    "a picture as a file": (BlobKind.IMAGE, {"file": {"file_data": DATA_URL}}),
    "by its field": (BlobKind.AUDIO, {"type": "input_audio", "input_audio": {"data": FILE, "format": "wav"}}),
    "by its media type": (BlobKind.FILE, {"source": {"type": "base64", "media_type": "application/pdf", "data": FILE}}),
    "by Gemini's": (BlobKind.VIDEO, {"inlineData": {"mimeType": "video/mp4", "data": FILE}}),
    "by its block": (BlobKind.FILE, {"type": "document", "source": {"type": "base64", "data": FILE}}),
    "by nothing": (BlobKind.IMAGE, {"source": {"data": FILE}}),
}
ONLY_LINKS: dict[str, Any] = {
    "said": {"messages": [{"role": "user", "content": LINK}]},
    "quoted by an answer": {"content": [{"annotations": [{"type": "url_citation", "url_citation": {"url": LINK}}]}]},
    "its file": {"content": [{"annotations": [{"type": "file_citation", "file_id": "file-1"}]}]},
    "a result of a search in files": {
        "input": [{"type": "file_search_call", "id": "fs_1", "results": [{"file_id": "file-1", "text": "a"}]}]
    },
    "a result of a search": {"content": [{"type": "web_search_result", "url": LINK, "title": "a"}]},
    "Anthropic's citation": {"content": [{"type": "text", "text": "a", "citations": [{"url": LINK}]}]},
    "what a tool was asked": {"type": "tool_use", "input": {"image_url": LINK, "file_id": "1"}},
    "in a schema": {"tools": [{"function": {"parameters": {"image_url": {"url": LINK}}}}]},
    "a server": {"tools": [{"type": "mcp", "server_url": LINK}]},
    "no address": {"prompt": "x", "image": "a picture of http"},
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
    assert [file.characters is not None for file in contents(body).files] == [True]
    assert not [text for text in contents(body).texts if len(text) > FILE_FROM_CHARACTERS]
    padded = codec.encode({"pad": "x y " * SMALL_BYTES, **body})
    assert may_hold_files(padded)


@pytest.mark.parametrize(("kind", "body"), NAMING.values(), ids=NAMING.keys())
def test_a_file_that_is_only_named_is_found_too(kind: BlobKind, body: Any):
    assert contents(body).files == [File(kind, None)]
    assert may_hold_files(codec.encode(body))


@pytest.mark.parametrize(("kind", "body"), SENT.values(), ids=SENT.keys())
def test_what_a_file_is_is_told_by_what_is_nearest_to_it(kind: BlobKind, body: Any):
    (file,) = contents(body).files
    assert file.kind == kind
    assert file.characters is not None
    assert len(FILE) <= file.characters < len(FILE) + 40


@pytest.mark.parametrize("body", ONLY_LINKS.values(), ids=ONLY_LINKS.keys())
def test_an_address_elsewhere_is_text(body: Any):
    assert contents(body).files == []


@pytest.mark.parametrize("body", PLAIN.values(), ids=PLAIN.keys())
def test_what_lies_elsewhere_or_looks_otherwise_is_text(body: Any):
    assert contents(body).files == []
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
    assert len(found.texts) + len(found.files) == len(every)
    rest = iter(every)
    assert all(text in rest for text in found.texts)


@pytest.mark.parametrize("escape", ["\\/", "\\u002f"], ids=["slash", "hex"])
def test_a_file_that_is_spelled_with_escapes_is_worth_a_look(escape: str):
    assert may_hold_files(b'{"data":"%b"}' % escape.encode().join([b"A" * 40] * 1_000))


def test_a_small_body_is_looked_into_only_if_it_names_a_file():
    assert not may_hold_files(b'"data:' + b"A" * (SMALL_BYTES - 10))
    assert not may_hold_files(
        codec.encode({"content": 'see http://a, {"url":"http://a"}', "file_path": "/a", "url": ""})
    )
    assert may_hold_files(b'{"image_url": {"url": "http://a"}}')
    assert may_hold_files(b'"data:' + b"A" * SMALL_BYTES)
