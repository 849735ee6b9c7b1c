import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.embedding import EmbedOrder, EmbedReply
from halley.kernel.faults import BadRequest, NotConveyed
from halley.wire.embedding_openai import (
    from_base64,
    read_order,
    read_reply,
    to_base64,
    wants_base64,
    write_order,
    write_reply,
)

vectors = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=5).map(tuple)


@pytest.mark.parametrize(
    ("sent", "inputs"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_an_input_is_read_in_each_of_its_shapes(sent: Any, inputs: tuple[str | tuple[int, ...], ...]):
    order = read_order({"model": "e", "input": sent, "dimensions": 4, "encoding_format": "base64", "user": "u"})
    assert order == EmbedOrder(model="e", inputs=inputs, dimensions=4)
    assert read_order(write_order(order)) == order


def test_what_no_word_stands_for_is_kept_and_refused_by_its_name():
    order = read_order({"model": "e", "input": "a", "input_type": "query"})
    assert order.extras == {"input_type": "query"}
    with pytest.raises(NotConveyed) as caught:
        write_order(order)
    assert caught.value.param == "input_type"


BAD_BODIES: list[tuple[dict[str, Any], str]] = [
    ({"input": "a"}, "model"),
    ({"model": "e"}, "input"),
    ({"model": "e", "input": 7}, "input"),
    ({"model": "e", "input": []}, "input"),
    ({"model": "e", "input": ""}, "input"),
    ({"model": "e", "input": ["a", ""]}, "input[1]"),
    ({"model": "e", "input": [[]]}, "input[0]"),
    ({"model": "e", "input": ["a", 1]}, "input[1]"),
    ({"model": "e", "input": [1.5]}, "input"),
    ({"model": "e", "input": ["a"] * 2049}, "input"),
    ({"model": "e", "input": "a", "encoding_format": "hex"}, "encoding_format"),
]


@pytest.mark.parametrize(("sent", "param"), BAD_BODIES)
def test_what_is_wrong_is_named(sent: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as caught:
        read_order(sent)
    assert caught.value.param == param


@pytest.mark.parametrize(("word", "wanted"), [("base64", True), ("float", False), (None, False)])
def test_the_encoding_is_read(word: str | None, *, wanted: bool):
    assert wants_base64({"encoding_format": word}) is wanted


@given(vector=vectors)
def test_bytes_are_32_bit_floats_with_the_lowest_byte_first(vector: tuple[float, ...]):
    assert base64.b64decode(to_base64(vector)) == struct.pack(f"<{len(vector)}f", *vector)
    assert from_base64(to_base64(vector)) == vector


@given(found=st.lists(vectors, min_size=1, max_size=3), as_base64=st.booleans())
def test_a_reply_goes_both_ways_in_either_encoding(found: list[tuple[float, ...]], *, as_base64: bool):
    reply = EmbedReply(vectors=tuple(found), usage_input=5, model="e")
    assert read_reply(write_reply(reply, "e", as_base64=as_base64)) == reply


def test_vectors_are_put_in_the_order_of_their_index():
    data = [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [0.0]}]
    assert read_reply({"data": data}).vectors == ((0.0,), (1.0,))


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"data": []},
        {"data": [{"index": 0}]},
        {"data": [{"index": 1, "embedding": [1.0]}]},
        {"data": [{"embedding": "AAA="}]},
        {"data": [{"embedding": "!"}]},
    ],
)
def test_what_cannot_be_read_passes_for_no_answer(bad: dict[str, Any]):
    with pytest.raises(ValueError):
        read_reply(bad)
