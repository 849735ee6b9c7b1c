"""Counting the tokens of a message order without an answer.

https://platform.claude.com/docs/en/api/messages-count-tokens
"""

from typing import Any

from halley.kernel.chat import ChatOrder
from halley.wire.anthropic.encode import write_order
from halley.wire.anthropic.orders import read_counted

_COUNTED = ("model", "system", "messages", "tools", "tool_choice", "thinking", "output_config")


def read_count_order(body: dict[str, Any]) -> ChatOrder:
    """Read what shall be counted. Raises `BadRequest` naming the field."""
    return read_counted(body)


def write_count_order(order: ChatOrder) -> dict[str, Any]:
    """Write what a vendor shall count: the fields that shape the input. Raises `NotConveyed`."""
    body = write_order(order)
    return {name: body[name] for name in _COUNTED if name in body}


def read_count(body: dict[str, Any]) -> int:
    """Raises `ValueError` for a reply that does not tell."""
    match body.get("input_tokens"):
        case int(tokens) if tokens >= 0:
            return tokens
        case _:
            raise ValueError("the reply has no `input_tokens`")


def write_count(tokens: int) -> dict[str, Any]:
    return {"input_tokens": tokens}
