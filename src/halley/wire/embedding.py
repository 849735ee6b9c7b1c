"""The embedding formats by their operations: in and out through our own words."""

from typing import Any

from halley.kernel.embedding import EmbedOrder, EmbedReply
from halley.kernel.loose import as_object
from halley.kernel.operation import Operation
from halley.wire import embedding_openai as openai
from halley.wire.gemini import embedding as gemini


def read_order(operation: Operation, body: dict[str, Any]) -> EmbedOrder:
    """Read a caller's body, which has its `model`. Raises `BadRequest`."""
    match operation:
        case Operation.EMBED_CONTENT:
            return gemini.read_single(body)
        case Operation.EMBED_CONTENTS:
            return gemini.read_batch(body)
        case _:
            return openai.read_order(body)


def inputs(operation: Operation, body: dict[str, Any]) -> Any:
    """Give what of a caller's body is to be embedded; nothing else in it is billed."""
    return body.get("input") if operation is Operation.EMBEDDINGS else gemini.parts_of(body)


def write_order(operation: Operation, order: EmbedOrder) -> dict[str, Any]:
    """Write a body for a vendor. Raises `NotConveyed`."""
    return openai.write_order(order) if operation is Operation.EMBEDDINGS else gemini.write_batch(order)


def read_reply(operation: Operation, reply: Any) -> EmbedReply:
    """Read a vendor's reply. Raises `ValueError`."""
    body = as_object(reply)
    return openai.read_reply(body) if operation is Operation.EMBEDDINGS else gemini.read_reply(body)


def write_reply(operation: Operation, reply: EmbedReply, model: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Write a reply to a caller who named the model so and asked in this way."""
    match operation:
        case Operation.EMBED_CONTENT:
            return gemini.write_single_reply(reply)
        case Operation.EMBED_CONTENTS:
            return gemini.write_batch_reply(reply)
        case _:
            return openai.write_reply(reply, model, as_base64=openai.wants_base64(asked))
