"""Spells a planned answer as the vendor's message, whole or as the events of its stream. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from halley.kernel.chat import StopReason
from halley.kernel.codec import decode, encode
from halley.kernel.sse import frame
from halley.vendors.anthropic.simulated_blocks import signature_of
from halley.vendors.anthropic.simulated_cache import Cached
from halley.vendors.simulate import Plan, pieces

REDACTED = "ZXh0ZW5kZWQtdGhpbmtpbmctc2ltdWxhdGVk"
"""Stands for a thought that nobody may read."""
ERROR_FRAME = frame(encode({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), "error")
BROKEN_FRAME = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_de\n\n'
"""Clients of this format look at events with a name only, so the broken one has one."""
_STOPS: Mapping[StopReason, str] = {
    StopReason.END: "end_turn",
    StopReason.LENGTH: "max_tokens",
    StopReason.TOOLS: "tool_use",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.FILTERED: "refusal",
    StopReason.REFUSED: "refusal",
    StopReason.PAUSED: "pause_turn",
}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A planned answer and what its reply needs beside it."""

    id: str
    model: str
    plan: Plan
    call_ids: tuple[str, ...]
    shows_thoughts: bool
    is_redacted: bool
    cached: Cached
    tier: str


def whole(shape: Shape) -> dict[str, Any]:
    """The message."""
    return _message(shape) | {
        "content": _blocks(shape),
        **_end(shape),
        "usage": _usage(shape, output=shape.plan.usage.output),
    }


def frames(shape: Shape) -> list[bytes]:
    """The stream's events, from `message_start` to `message_stop`."""
    begun: dict[str, Any] = _message(shape) | {"content": [], "usage": _usage(shape, output=1)}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(_blocks(shape)):
        events.append({"type": "content_block_start", "index": index, "content_block": _opened(block)})
        if index == 0:
            events.append({"type": "ping"})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in _deltas(block, shape)]
        events.append({"type": "content_block_stop", "index": index})
    usage = _usage(shape, output=shape.plan.usage.output)
    kept = (
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "output_tokens_details",
    )
    told = {name: usage[name] for name in kept if name in usage}
    events.append({"type": "message_delta", "delta": _end(shape), "usage": told})
    events.append({"type": "message_stop"})
    return [frame(encode(event), event["type"]) for event in events]


def _message(shape: Shape) -> dict[str, Any]:
    return {
        "id": shape.id,
        "type": "message",
        "role": "assistant",
        "model": shape.model,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }


def _blocks(shape: Shape) -> list[dict[str, Any]]:
    plan = shape.plan
    blocks: list[dict[str, Any]] = []
    if plan.reasoning and shape.is_redacted:
        blocks.append({"type": "redacted_thinking", "data": REDACTED})
    elif plan.reasoning:
        thought = plan.reasoning if shape.shows_thoughts else ""
        blocks.append({"type": "thinking", "thinking": thought, "signature": signature_of(plan.reasoning)})
    words = plan.text or plan.refusal
    if words:
        blocks.append({"type": "text", "text": words})
    for call_id, call in zip(shape.call_ids, plan.calls, strict=True):
        blocks.append({"type": "tool_use", "id": call_id, "name": call.name, "input": _arguments(call.arguments)})
    return blocks


def _arguments(text: str) -> dict[str, Any]:
    """The arguments; those of a call that was cut short are lost."""
    try:
        return decode(text)
    except ValueError:
        return {}


def _opened(block: dict[str, Any]) -> dict[str, Any]:
    """A block as it begins."""
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return block | empty.get(block["type"], {})


def _deltas(block: dict[str, Any], shape: Shape) -> list[dict[str, Any]]:
    match block["type"]:
        case "text":
            return [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        case "thinking":
            thoughts = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            return [*thoughts, {"type": "signature_delta", "signature": block["signature"]}]
        case "tool_use":
            arguments = shape.plan.calls[shape.call_ids.index(block["id"])].arguments
            return [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces(arguments))]
        case _:
            return []


def _end(shape: Shape) -> dict[str, Any]:
    plan = shape.plan
    is_refusal = plan.stop in (StopReason.FILTERED, StopReason.REFUSED)
    details = {"type": "refusal", "category": None, "explanation": "A simulated refusal."} if is_refusal else None
    return {"stop_reason": _STOPS[plan.stop], "stop_sequence": plan.stop_sequence, "stop_details": details}


def _usage(shape: Shape, *, output: int) -> dict[str, Any]:
    cached, thought = shape.cached, shape.plan.usage.reasoning
    written = cached.written_5m + cached.written_1h
    usage: dict[str, Any] = {
        "input_tokens": shape.plan.usage.input - cached.read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": cached.written_5m,
            "ephemeral_1h_input_tokens": cached.written_1h,
        },
        "output_tokens": output,
        "service_tier": shape.tier,
    }
    if thought and output >= thought:
        usage["output_tokens_details"] = {"thinking_tokens": thought}
    return usage
