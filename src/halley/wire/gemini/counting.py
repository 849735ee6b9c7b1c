"""Counting the tokens of a content order without an answer. https://ai.google.dev/api/tokens ."""

from typing import Any

from halley.kernel.chat import ChatOrder
from halley.wire.gemini.encode import write_order
from halley.wire.gemini.names import camel
from halley.wire.gemini.orders import read_fields
from halley.wire.shape import Cursor


def read_count_order(body: dict[str, Any]) -> ChatOrder:
    """Read `contents` or `generateContentRequest`; the caller puts `model` in. Raises `BadRequest`."""
    fields = Cursor(body, spell=camel)
    whole = fields.at("generateContentRequest").or_none()
    if whole is None:
        return read_fields(fields)
    model = fields.at("model").text_or_none()
    inner = whole.at("model").text_or_none() or model
    order_body = {**whole.rest(), "model": inner}
    fields.drop(("stream",))
    fields.done()
    return read_fields(Cursor(order_body, whole.path, fields.extras, camel))


def write_count_order(order: ChatOrder) -> dict[str, Any]:
    """Write what a vendor shall count. Raises `NotConveyed`."""
    return {"generateContentRequest": {"model": f"models/{order.model}", **write_order(order)}}


def read_count(body: dict[str, Any]) -> int:
    """Raises `ValueError` for a reply that does not tell."""
    match body.get("totalTokens", 0):
        case int(tokens) if tokens >= 0:
            return tokens
        case _:
            raise ValueError("the reply has no `totalTokens`")


def write_count(tokens: int) -> dict[str, Any]:
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return {"totalTokens": tokens, "promptTokensDetails": details}
