"""What is held for a call: the most that it may use, as its body says."""

import base64
from typing import Any, cast

import msgspec
import pytest

from halley.catalogue.model import Model
from halley.kernel.body import JsonBody
from halley.kernel.operation import Kind, Operation
from halley.pipeline.answers import meter
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.meter import COUNT_MAX, FILE_TOKENS, NAMED_TOKENS, OUTPUT_TOKENS_UNKNOWN, TOKENS_MAX
from halley.tokens import estimate_bytes

ROW = Model(id="m", vendor="v", kind=Kind.CHAT, vendor_model="m", source="", checked="", output_tokens_max=1_000)


def asked(body: bytes, operation: Operation = Operation.CHAT) -> Ask:
    nobody = cast("Any", None)  # neither who asks nor where matters here
    return Ask(
        caller=nobody, operation=operation, model="m", named="m", body=JsonBody(body), stream=False, request=nobody
    )


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ("64", 64),
        ("64.0", 64),
        ("64.9", 64),
        ("6.4e1", 64),
        ("1", 1),
        ("1e30", TOKENS_MAX),
        ("1" + "0" * 390, TOKENS_MAX),
        ("1" + "0" * 5_000, OUTPUT_TOKENS_UNKNOWN),
        ("0", OUTPUT_TOKENS_UNKNOWN),
        ("-5", OUTPUT_TOKENS_UNKNOWN),
        ("null", OUTPUT_TOKENS_UNKNOWN),
        ("true", OUTPUT_TOKENS_UNKNOWN),
        ('"64"', OUTPUT_TOKENS_UNKNOWN),
        ("[64]", OUTPUT_TOKENS_UNKNOWN),
    ],
)
def test_the_output_is_bounded_by_what_the_call_says_if_it_is_a_number(said: str, held: int):
    body = b'{"model":"m","max_tokens":%b}' % said.encode()
    for _ in range(2):
        assert meter.ceiling(asked(body), None)["output_token"] == held


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ('"max_tokens":10,"max_completion_tokens":90', 90),
        ('"max_tokens":90,"max_completion_tokens":10', 90),
        ('"max_tokens":null,"max_completion_tokens":90', 90),
        ('"max_tokens":90000', 1_000),
        ('"n":1', 1_000),
        ('"n":3,"max_tokens":10', 30),
        ('"n":"3","max_tokens":10', 30),
        ('"n":100000,"max_tokens":10', 10 * COUNT_MAX),
    ],
)
def test_of_two_bounds_the_larger_counts_and_never_more_than_the_model_gives(fields: str, held: int):
    assert meter.ceiling(asked(b'{"model":"m",%b}' % fields.encode()), ROW)["output_token"] == held


def test_a_picture_in_a_large_body_counts_as_a_picture_and_text_as_text():
    picture = b"data:image/png;base64," + base64.b64encode(bytes(range(256)) * 400)
    words = b"many words " * 10_000
    part = b'{"type":"image_url","image_url":{"url":"%b"}}' % picture
    by_picture = meter.input_estimate(asked(b'{"model":"m","messages":[{"content":[%b]}]}' % part)).most
    by_text = meter.input_estimate(asked(b'{"model":"m","messages":[{"content":"%b"}]}' % words)).most
    by_both = meter.input_estimate(
        asked(b'{"model":"m","messages":[{"content":"%b"},{"content":[%b]}]}' % (words, part))
    ).most
    assert FILE_TOKENS < by_picture < FILE_TOKENS + 100
    assert by_text >= estimate_bytes(len(words))
    assert estimate_bytes(len(words)) + FILE_TOKENS <= by_both < by_text + FILE_TOKENS + 100


@pytest.mark.parametrize(
    "text", [b"many words " * 10_000, b"A" * 100_000, b"one\\ntwo\\n" * 10_000, b"data:" + b"x" * 99_999]
)
def test_text_is_held_for_as_text_whatever_it_looks_like(text: bytes):
    body = b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % text
    assert meter.input_estimate(asked(body)).most >= estimate_bytes(len(text) * 4 // 5)


LINKED = b'{"model":"m","messages":[{"content":[{"type":"%b","%b":{"url":"https://example.com/a"}}]}]}'


@pytest.mark.parametrize(
    ("body", "least"),
    [
        (LINKED % (b"image_url", b"image_url"), FILE_TOKENS),
        (LINKED % (b"video_url", b"video_url"), NAMED_TOKENS),
        (b'{"messages":[{"content":[{"type":"file","file":{"file_id":"file-1"}}]}]}', NAMED_TOKENS),
    ],
)
def test_a_file_that_is_only_named_is_held_for(body: bytes, least: int):
    assert least <= meter.input_estimate(asked(body)).most < least + 100


@pytest.mark.parametrize(
    ("media_type", "least", "most"),
    [
        (b"application/pdf", 50_000, 80_000),
        (b"audio/mp3", FILE_TOKENS, 3_000),
        (b"video/mp4", FILE_TOKENS, 3_000),
        (b"image/png", FILE_TOKENS, FILE_TOKENS + 100),
    ],
)
def test_a_document_of_many_pages_is_held_for_by_its_size(media_type: bytes, least: int, most: int):
    data = base64.b64encode(bytes(range(256)) * 4_000)
    part = b'{"type":"file","file":{"filename":"a","file_data":"data:%b;base64,%b"}}' % (media_type, data)
    body = b'{"messages":[{"content":[%b]}]}' % part
    assert least <= meter.input_estimate(asked(body)).most <= most


def test_no_more_input_is_held_for_than_the_model_takes():
    row = msgspec.structs.replace(ROW, context_tokens=8_000)
    body = b'{"model":"m","max_tokens":10,"messages":[{"content":"%b"}]}' % (b"word " * 20_000)
    assert meter.ceiling(asked(body), ROW)["input_token"] > 30_000
    assert meter.ceiling(asked(body), row)["input_token"] == 8_000
    prompts = b'{"model":"m","max_tokens":10,"prompt":["%b","a"]}' % (b"word " * 20_000)
    completion = meter.ceiling(asked(prompts, Operation.COMPLETION), row)
    assert completion["input_token"] > 30_000, "each of several prompts may take that much"


CALLS = meter.TOOL_CALLS


@pytest.mark.parametrize(
    ("tools", "held"),
    [
        ("[]", {}),
        ('[{"type":"function","name":"web_search"}]', {}),
        ('[{"type":"web_search"}]', {"web_search": CALLS}),
        ('[{"type":"web_search_20250305","name":"web_search","max_uses":2}]', {"web_search": 2}),
        ('[{"google_search":{}}]', {"web_search": CALLS}),
        ('[{"googleSearch":{}}]', {"web_search": CALLS}),
        ('[{"type":"file_search"}],"max_tool_calls":3', {"file_search": 3}),
        ('[{"type":"code_interpreter","container":"cntr_1"}]', {"code_container": 1}),
        (
            '[{"type":"image_generation"}],"max_tool_calls":2',
            {
                "image": 2,
                "drawing_output_token": 2 * meter.IMAGE_TOKENS,
                "drawing_image_input_token": 2 * FILE_TOKENS,
            },
        ),
        ('["web_search", 3]', {}),
    ],
)
def test_tools_that_the_vendor_runs_are_held_for(tools: str, held: dict[str, int]):
    ceiling = meter.ceiling(asked(b'{"model":"m","tools":%b}' % tools.encode(), Operation.RESPONSES), ROW)
    assert {
        name: count for name, count in ceiling.items() if name not in ("call", "input_token", "output_token")
    } == held
