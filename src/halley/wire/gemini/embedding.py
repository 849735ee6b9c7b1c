"""Embeddings in this format: `embedContent` for one text, `batchEmbedContents` for many.

https://ai.google.dev/api/embeddings
"""

from typing import Any

import msgspec

from halley.kernel.embedding import EmbedOrder, EmbedReply
from halley.kernel.loose import as_list, as_object
from halley.wire.extras import not_conveyed
from halley.wire.gemini.names import camel
from halley.wire.gemini.parts import several
from halley.wire.shape import Cursor, missing, wrong

INPUTS_MAX = 2_048
Json = dict[str, Any]


def read_single(body: Json) -> EmbedOrder:
    """Read `embedContent`; the caller puts `model` in. Raises `BadRequest`."""
    fields = Cursor(body, spell=camel)
    return _order(fields, fields.at("model").text().removeprefix("models/"))


def read_batch(body: Json) -> EmbedOrder:
    """Read `batchEmbedContents`, whose requests may differ in nothing but their text. Raises `BadRequest`."""
    fields = Cursor(body, spell=camel)
    model = fields.at("model").text().removeprefix("models/")
    requests = fields.at("requests").each()
    if not 0 < len(requests) <= INPUTS_MAX:
        raise missing("requests", f"an array of 1 to {INPUTS_MAX} requests")
    fields.done()
    orders = [_one_of_many(each, model) for each in requests]
    first = orders[0]
    for index, order in enumerate(orders):
        if (order.dimensions, order.extras) != (first.dimensions, first.extras):
            raise not_conveyed(f"requests[{index}]", "all texts of one call are embedded in the same way")
    return msgspec.structs.replace(first, inputs=tuple(text for order in orders for text in order.inputs))


def _one_of_many(request: Cursor, model: str) -> EmbedOrder:
    told = (request.at("model").text_or_none() or model).removeprefix("models/")
    if told != model:
        raise wrong(request.place("model"), f"`models/{model}`, as in the path", told)
    # Each has extras of its own, so that they can be compared.
    return _order(Cursor(request.rest(), request.path, {}, camel), model)


def _order(fields: Cursor, model: str) -> EmbedOrder:
    content = fields.at("content")
    content.drop(("role",))
    text = "".join(part.at("text").text() for part in several(content, "parts"))
    if not text:
        raise missing(content.place("parts"), "at least one part with a text")
    content.done()
    dimensions = fields.at("outputDimensionality").whole_or_none()
    fields.default("taskType", "TASK_TYPE_UNSPECIFIED")
    return EmbedOrder(model=model, inputs=(text,), dimensions=dimensions, extras=fields.extras | fields.rest())


def parts_of(body: Json) -> list[Any]:
    """Give what is to be embedded, of either body as its caller sent it."""
    requests = as_list(body.get("requests")) or [body]
    return [as_object(as_object(each).get("content")).get("parts") for each in requests]


def write_batch(order: EmbedOrder) -> Json:
    """Write `batchEmbedContents`, for one text too. Raises `NotConveyed` for tokens instead of texts."""
    for name in order.extras:
        raise not_conveyed(name)
    shared: Json = {} if order.dimensions is None else {"outputDimensionality": order.dimensions}
    requests: list[Json] = []
    for value in order.inputs:
        if not isinstance(value, str):
            raise not_conveyed("input", "token numbers mean nothing to another model; send texts")
        requests.append({"model": f"models/{order.model}", "content": {"parts": [{"text": value}]}, **shared})
    return {"requests": requests}


def read_reply(body: Json) -> EmbedReply:
    """Read either reply. Raises `ValueError` for what cannot be read."""
    found = as_list(body.get("embeddings")) or [body.get("embedding")]
    vectors = tuple(_vector(as_object(each)) for each in found)
    tokens = as_object(body.get("usageMetadata")).get("promptTokenCount")
    return EmbedReply(vectors=vectors, usage_input=tokens if isinstance(tokens, int) else None)


def _vector(embedding: Json) -> tuple[float, ...]:
    vector = msgspec.convert(embedding.get("values"), tuple[float, ...])
    if not vector:
        raise ValueError("the reply has an embedding without `values`")
    return vector


def write_single_reply(reply: EmbedReply) -> Json:
    return {"embedding": {"values": reply.vectors[0]}, **_usage(reply)}


def write_batch_reply(reply: EmbedReply) -> Json:
    return {"embeddings": [{"values": vector} for vector in reply.vectors], **_usage(reply)}


def _usage(reply: EmbedReply) -> Json:
    return {} if reply.usage_input is None else {"usageMetadata": {"promptTokenCount": reply.usage_input}}
