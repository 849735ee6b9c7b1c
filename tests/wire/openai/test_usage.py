from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.chat import ChatUsage
from halley.kernel.codec import encode
from halley.wire.openai.usage import COUNT_MAX, Counts, counts_of, read_counts, read_usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param({"prompt_tokens": 5, "total_tokens": 5}, ChatUsage(input=5, output=0), id="embeddings"),
        pytest.param({"prompt_tokens": 5, "completion_tokens": None}, ChatUsage(input=5, output=0), id="no output"),
        pytest.param({"completion_tokens": 5, "prompt_tokens": "9"}, ChatUsage(input=0, output=5), id="no input"),
        pytest.param({"prompt_tokens": 5.0, "completion_tokens": 1.5}, ChatUsage(input=5, output=0), id="fractions"),
        pytest.param(
            {"prompt_tokens": 5, "total_tokens": 8}, ChatUsage(input=5, output=3), id="the total beside an input"
        ),
        pytest.param(
            {"completion_tokens": 5, "total_tokens": 8}, ChatUsage(input=3, output=5), id="the total beside an output"
        ),
        pytest.param(
            {"completion_tokens": 5, "total_tokens": 8, "cached_tokens": 2},
            ChatUsage(input=3, output=5, cached=2),
            id="the total beside an output and a cache",
        ),
        pytest.param({"total_tokens": 7}, None, id="a total alone"),
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 3, "cache_write_tokens": 10},
                "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 4},
            },
            ChatUsage(input=100, output=50, cached=80, cache_write=10, reasoning=30, audio_input=3, audio_output=4),
            id="chat with details",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "prompt_tokens_details": None},
            ChatUsage(input=9, output=1),
            id="details are null",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5},
            ChatUsage(input=9, output=1, cached=4),
            id="cache hits of their own name",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "cached_tokens": 8},
            ChatUsage(input=9, output=1, cached=8),
            id="cached tokens at the top",
        ),
        pytest.param(
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            ChatUsage(input=32, output=103, reasoning=94),
            id="thoughts are not part of the completion",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": 10, "total_tokens": 200},
            ChatUsage(input=5, output=195),
            id="a total that counts thoughts nobody tells",
        ),
        pytest.param(
            {
                "prompt_tokens": 33,
                "completion_tokens": 7163,
                "total_tokens": 7196,
                "citation_tokens": 100,
                "reasoning_tokens": 73997,
            },
            ChatUsage(input=133, output=81160, reasoning=73997),
            id="thoughts and citations apart",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 45, "cache_read_input_tokens": 30},
            ChatUsage(input=40, output=5, cached=30),
            id="the cache is told apart",
        ),
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 5,
                "total_tokens": 105,
                "claude_cache_creation_5_m_tokens": 20,
                "claude_cache_creation_1_h_tokens": 30,
                "prompt_tokens_details": {"cached_creation_tokens": 50, "cache_creation_tokens": 50},
            },
            ChatUsage(input=100, output=5, cache_write=50, cache_write_1h=30),
            id="cache writes of a gateway",
        ),
        pytest.param(
            {
                "input_tokens": 8,
                "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
                "output_tokens": 4,
                "output_tokens_details": {"reasoning_tokens": 1},
                "total_tokens": 12,
            },
            ChatUsage(input=8, output=4, cached=2, reasoning=1),
            id="responses",
        ),
        pytest.param(
            {
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "input_tokens": 14,
                "output_tokens": 272,
                "total_tokens": 286,
                "input_tokens_details": {"image_tokens": 4, "text_tokens": 10},
                "output_tokens_details": {"image_tokens": 272, "text_tokens": 0},
            },
            ChatUsage(input=14, output=272, image_input=4, image_output=272),
            id="images",
        ),
        pytest.param(
            {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
                "output_tokens": 45,
                "total_tokens": 59,
            },
            ChatUsage(input=14, output=45, audio_input=10),
            id="transcription",
        ),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None, id="zeros are no count"),
        pytest.param({"prompt_tokens": -1, "completion_tokens": True}, None, id="nonsense is no count"),
        pytest.param({}, None, id="empty"),
    ],
)
def test_usage_is_read_by_its_shape(usage: dict[str, Any], expected: ChatUsage | None):
    assert read_usage(encode({"id": "1", "usage": usage})) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            {"text": "x", "usage": {"type": "duration", "seconds": 8.4}}, Counts(sound_ms=8400), id="length of a sound"
        ),
        pytest.param({"results": [], "meta": {"billed_units": {"search_units": 2}}}, Counts(searches=2), id="searches"),
        pytest.param(
            {"results": [], "meta": {"tokens": {"input_tokens": 5, "output_tokens": 0}}},
            Counts(usage=ChatUsage(input=5, output=0)),
            id="tokens of a reranker",
        ),
        pytest.param({"usage": {"total_tokens": 7}}, Counts(total=7), id="a total alone"),
        pytest.param({"meta": {"tokens": {"total_tokens": 7}}}, Counts(total=7), id="a total alone of a reranker"),
        pytest.param({"usage": {"type": "duration", "seconds": -1}}, None, id="no length"),
    ],
)
def test_other_counts_are_read(body: dict[str, Any], expected: Counts | None):
    assert read_counts(encode(body)) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(
            b'{"choices":[],"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}',
            ChatUsage(input=1, output=2),
            id="within another object",
        ),
        pytest.param(
            b'{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":2}}}',
            ChatUsage(input=1, output=2),
            id="event of responses",
        ),
        pytest.param(b'{"choices":[],"usage":null}', None, id="null"),
        pytest.param(b'{"choices":[{"delta":{"content":"\\"usage\\":{"}}]}', None, id="as text"),
        pytest.param(b'{"usage":{', None, id="cut"),
        pytest.param(b"[DONE]", None, id="done"),
    ],
)
def test_usage_is_found_in_a_frame(data: bytes, expected: ChatUsage | None):
    assert read_usage(data) == expected


COUNTS = st.sampled_from([-1, 0, 1, 2, 3, 5, 8, COUNT_MAX, COUNT_MAX + 1])
INPUT_DETAILS = st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "image_tokens"]), COUNTS)
OUTPUT_DETAILS = st.dictionaries(
    st.sampled_from(["reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "image_tokens"]), COUNTS
)
USAGE = st.fixed_dictionaries(
    {"prompt_tokens": COUNTS, "completion_tokens": COUNTS, "total_tokens": COUNTS},
    optional={
        "prompt_tokens_details": INPUT_DETAILS | st.none(),
        "completion_tokens_details": OUTPUT_DETAILS | st.none(),
        "cached_tokens": COUNTS,
    },
)


@given(USAGE, st.booleans())
def test_the_short_way_to_a_usage_reads_what_the_long_one_does(usage: dict[str, Any], adds_up: bool):
    if adds_up:
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
    assert read_counts(encode({"usage": usage})) == (counts_of(usage) if usage else None)


def test_a_usage_beside_a_meta_counts_both():
    body = {
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "meta": {"billed_units": {"search_units": 4}},
    }
    assert read_counts(encode(body)) == Counts(usage=ChatUsage(input=1, output=2), searches=4)
