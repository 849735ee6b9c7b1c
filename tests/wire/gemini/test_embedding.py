from typing import Any

import pytest

from halley.kernel.embedding import EmbedOrder, EmbedReply
from halley.kernel.faults import BadRequest, NotConveyed
from halley.wire.gemini.embedding import (
    read_batch,
    read_reply,
    read_single,
    write_batch,
    write_batch_reply,
    write_single_reply,
)

REPLY = EmbedReply(vectors=((0.5, -1.0), (2.0, 0.25)), usage_input=3)


def content(*texts: str) -> dict[str, Any]:
    return {"parts": [{"text": text} for text in texts]}


def test_one_text_is_read():
    sent = {
        "model": "models/e",
        "content": content("a", "b"),
        "output_dimensionality": 4,
        "taskType": "RETRIEVAL_QUERY",
    }
    assert read_single(sent) == EmbedOrder(
        model="e", inputs=("ab",), dimensions=4, extras={"taskType": "RETRIEVAL_QUERY"}
    )


def test_many_texts_are_read_and_written():
    requests = [{"model": "models/e", "content": content(text), "outputDimensionality": 4} for text in ("a", "b")]
    order = read_batch({"model": "e", "requests": requests})
    assert order == EmbedOrder(model="e", inputs=("a", "b"), dimensions=4)
    assert write_batch(order) == {"requests": requests}


def test_texts_that_shall_be_embedded_in_different_ways_are_refused():
    requests = [{"content": content("a")}, {"content": content("b"), "taskType": "CLUSTERING"}]
    with pytest.raises(NotConveyed) as caught:
        read_batch({"model": "e", "requests": requests})
    assert caught.value.param == "requests[1]"


BAD_BATCHES: list[tuple[dict[str, Any], str]] = [
    ({"model": "e", "requests": []}, "requests"),
    ({"model": "e", "requests": [{"model": "models/f", "content": content("a")}]}, "requests[0].model"),
    ({"model": "e", "requests": [{"content": content()}]}, "requests[0].content.parts"),
    (
        {"model": "e", "requests": [{"content": {"parts": [{"inlineData": {}}]}}]},
        "requests[0].content.parts[0].text",
    ),
]


@pytest.mark.parametrize(("sent", "param"), BAD_BATCHES)
def test_what_is_wrong_is_named_by_its_place(sent: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as caught:
        read_batch(sent)
    assert caught.value.param == param


def test_tokens_and_extras_are_refused_by_name():
    with pytest.raises(NotConveyed) as tokens:
        write_batch(EmbedOrder(model="e", inputs=((1, 2),)))
    with pytest.raises(NotConveyed) as extra:
        write_batch(EmbedOrder(model="e", inputs=("a",), extras={"input_type": "query"}))
    assert (tokens.value.param, extra.value.param) == ("input", "input_type")


def test_replies_go_both_ways():
    assert read_reply(write_batch_reply(REPLY)) == REPLY
    assert read_reply(write_single_reply(REPLY)).vectors == (REPLY.vectors[0],)
    assert read_reply({"embeddings": [{"values": [1]}]}) == EmbedReply(vectors=((1.0,),))


@pytest.mark.parametrize(
    "bad", [{}, {"embedding": {}}, {"embedding": {"values": []}}, {"embedding": {"values": ["a"]}}]
)
def test_a_reply_without_vectors_is_no_answer(bad: dict[str, Any]):
    with pytest.raises(ValueError):
        read_reply(bad)
