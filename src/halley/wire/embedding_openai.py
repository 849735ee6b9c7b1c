"""Embeddings in the format of `POST /v1/embeddings`, with vectors as numbers or as base64 of their bytes."""

import base64
import sys
from array import array
from typing import Annotated, Any

import msgspec

from halley.kernel.embedding import EmbedOrder, EmbedReply
from halley.kernel.loose import as_list, as_object, as_text
from halley.wire.extras import not_conveyed
from halley.wire.openai.usage import Counts, counts_of
from halley.wire.shape import Cursor, missing, wrong

INPUTS_MAX = 2_048
HINTS = frozenset(("user",))
"""`user` is an opaque id of the end user against abuse."""
_FLOAT_BYTES = 4
_SHAPES = "a text, an array of texts, an array of token numbers or an array of such arrays"
Json = dict[str, Any]


def read_order(body: Json) -> EmbedOrder:
    """Raises `BadRequest` naming the field. The encoding of the reply is `wants_base64`'s business."""
    fields = Cursor(body)
    model = fields.at("model").text()
    inputs = _inputs(fields)
    wants_base64(body)
    fields.drop(("encoding_format",))
    dimensions = fields.at("dimensions").whole_or_none()
    fields.done(HINTS)
    return EmbedOrder(model=model, inputs=inputs, dimensions=dimensions, extras=fields.extras)


def wants_base64(body: Json) -> bool:
    """Whether the caller wants the vectors' bytes. Raises `BadRequest` for an encoding that nobody knows."""
    word = body.get("encoding_format")
    if word not in (None, "float", "base64"):
        raise wrong("encoding_format", "`float` or `base64`", word)
    return word == "base64"


def _inputs(fields: Cursor) -> tuple[str | tuple[int, ...], ...]:
    value = fields.at("input").value
    if value is None:
        raise missing("input", _SHAPES)
    items = as_list(value)
    if isinstance(value, str):
        return (_text(value, "input"),)
    if not 0 < len(items) <= INPUTS_MAX and not _all_tokens(items):
        raise wrong("input", f"{_SHAPES}, with 1 to {INPUTS_MAX} inputs", value)
    if isinstance(items[0], str):
        return tuple(_text(item, f"input[{index}]") for index, item in enumerate(items))
    if isinstance(items[0], list):
        return tuple(_tokens(item, f"input[{index}]") for index, item in enumerate(items))
    return (_tokens(items, "input"),)


def _all_tokens(items: list[Any]) -> bool:
    return bool(items) and isinstance(items[0], int)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise wrong(place, "a text that is not empty", value)
    return value


def _tokens(value: Any, place: str) -> tuple[int, ...]:
    try:
        return msgspec.convert(value, Annotated[tuple[int, ...], msgspec.Meta(min_length=1)])
    except msgspec.ValidationError as error:
        raise wrong(place, "an array of token numbers that is not empty", value) from error


def write_order(order: EmbedOrder) -> Json:
    """Raises `NotConveyed` for what this format has no word for."""
    for name in order.extras:
        raise not_conveyed(name)
    inputs = [value if isinstance(value, str) else list(value) for value in order.inputs]
    body: Json = {"model": order.model, "input": inputs[0] if len(inputs) == 1 else inputs}
    if order.dimensions is not None:
        body["dimensions"] = order.dimensions
    return body


class _Item(msgspec.Struct):
    embedding: list[float] | str
    index: int | None = None


def read_reply(body: Json) -> EmbedReply:
    """Read vectors in either encoding, in the order of their `index`. Raises `ValueError`."""
    items = msgspec.convert(body.get("data"), list[_Item])
    if not items:
        raise ValueError("the reply has no embeddings")
    places = [place if item.index is None else item.index for place, item in enumerate(items)]
    if sorted(places) != list(range(len(items))):
        raise ValueError("the reply's embeddings are not numbered from 0 on")
    ordered = [item for _, item in sorted(zip(places, items, strict=True), key=lambda pair: pair[0])]
    told = counts_of(as_object(body.get("usage"))) or Counts()
    tokens = told.usage.input if told.usage else told.total
    vectors = tuple(_vector(item.embedding) for item in ordered)
    return EmbedReply(vectors=vectors, usage_input=tokens, model=as_text(body.get("model")))


def write_reply(reply: EmbedReply, model: str, *, as_base64: bool) -> Json:
    """Write the reply to a caller who named the model so."""
    data = [
        {"object": "embedding", "index": index, "embedding": to_base64(vector) if as_base64 else vector}
        for index, vector in enumerate(reply.vectors)
    ]
    tokens = reply.usage_input or 0
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def to_base64(vector: tuple[float, ...]) -> str:
    """Write the vector's numbers as 32-bit floats, the lowest byte first."""
    return base64.b64encode(_little(array("f", vector)).tobytes()).decode()


def from_base64(text: str) -> tuple[float, ...]:
    """Raises `ValueError` for what holds no whole numbers."""
    data = base64.b64decode(text, validate=True)
    if not data or len(data) % _FLOAT_BYTES:
        raise ValueError("an embedding's bytes are no 32-bit floats")
    numbers = array("f")
    numbers.frombytes(data)
    return tuple(_little(numbers))


def _vector(embedding: list[float] | str) -> tuple[float, ...]:
    return from_base64(embedding) if isinstance(embedding, str) else tuple(embedding)


def _little(numbers: "array[float]") -> "array[float]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
