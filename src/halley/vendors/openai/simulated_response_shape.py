"""A planned answer in the shape of a response, and the events of which its stream is made. Pure."""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from halley.kernel.chat import StopReason
from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object
from halley.kernel.sse import frame
from halley.vendors.simulate import Plan, SimulatorHost, portions

_REPEATED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, with what stands where nothing was asked."""

Event = tuple[str, dict[str, Any]]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A response as it will be in the end."""

    id: str
    head: dict[str, Any]
    """What does not change."""
    output: tuple[dict[str, Any], ...]
    status: str
    incomplete: str | None
    usage: dict[str, Any]
    created_s: int


def made_of(host: SimulatorHost, plan: Plan, model: str, given: dict[str, Any], *, created_s: int) -> Made:
    """Put a plan into the shape of a response, with ids of its own."""
    reasons = {StopReason.LENGTH: "max_output_tokens", StopReason.FILTERED: "content_filter"}
    incomplete = reasons.get(plan.stop)
    status = "incomplete" if incomplete else "completed"
    head: dict[str, Any] = {name: given.get(name, usual) for name, usual in _REPEATED.items()}
    reasoning = as_object(given.get("reasoning"))
    text = as_object(given.get("text"))
    head |= {
        "model": model,
        "background": given.get("background") is True,
        "store": given.get("store") is not False,
        "service_tier": "default",
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
    }
    output = tuple(_output(host, plan, given, status))
    return Made(
        id=f"resp_{host.base32_id()}",
        head=head,
        output=output,
        status=status,
        incomplete=incomplete,
        usage={
            "input_tokens": plan.usage.input,
            "input_tokens_details": {"cached_tokens": plan.usage.cached, "cache_write_tokens": 0},
            "output_tokens": plan.usage.output,
            "output_tokens_details": {"reasoning_tokens": plan.usage.reasoning},
            "total_tokens": plan.usage.input + plan.usage.output,
        },
        created_s=created_s,
    )


def _output(host: SimulatorHost, plan: Plan, given: dict[str, Any], status: str) -> Iterator[dict[str, Any]]:
    if plan.reasoning:
        item: dict[str, Any] = {"id": f"rs_{host.base32_id()}", "type": "reasoning", "summary": []}
        if as_object(given.get("reasoning")).get("summary"):
            item["summary"] = [{"type": "summary_text", "text": plan.reasoning}]
        if "reasoning.encrypted_content" in as_list(given.get("include")):
            item["encrypted_content"] = base64.b64encode(plan.reasoning.encode()).decode()
        yield item
    if plan.text or plan.refusal or not plan.calls:
        part = {"type": "refusal", "refusal": plan.refusal} if plan.refusal else _text_part(plan.text)
        yield {
            "id": f"msg_{host.base32_id()}",
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [part],
        }
    for call in plan.calls:
        yield {
            "id": f"fc_{host.base32_id()}",
            "type": "function_call",
            "status": status,
            "call_id": f"call_{host.base32_id()}",
            "name": call.name,
            "arguments": call.arguments,
        }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def at_end(made: Made) -> dict[str, Any]:
    """The response when it has ended."""
    return {
        **_shown(made, made.status),
        "completed_at": made.created_s if made.status == "completed" else None,
        "incomplete_details": {"reason": made.incomplete} if made.incomplete else None,
        "output": list(made.output),
        "usage": made.usage,
    }


def waiting(made: Made, status: str) -> dict[str, Any]:
    """The response while it is `queued` or `in_progress`, or after it was `cancelled`."""
    return _shown(made, status)


def _shown(made: Made, status: str) -> dict[str, Any]:
    return {
        "id": made.id,
        "object": "response",
        "created_at": made.created_s,
        "status": status,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
        **made.head,
    }


# the stream


def frames(made: Made) -> list[bytes]:
    """Every event, numbered."""
    return [
        frame(encode({"type": name, "sequence_number": number, **fields}), name)
        for number, (name, fields) in enumerate(_events(made))
    ]


def _events(made: Made) -> Iterator[Event]:
    if made.head["background"]:
        yield "response.created", {"response": waiting(made, "queued")}
        yield "response.queued", {"response": waiting(made, "queued")}
    else:
        yield "response.created", {"response": waiting(made, "in_progress")}
    yield "response.in_progress", {"response": waiting(made, "in_progress")}
    for place, item in enumerate(made.output):
        match item["type"]:
            case "reasoning":
                yield from _reasoning_events(item, place)
            case "message":
                yield from _message_events(item, place)
            case _:
                yield from _call_events(item, place)
    yield f"response.{made.status}", {"response": at_end(made)}


def _reasoning_events(item: dict[str, Any], place: int) -> Iterator[Event]:
    yield "response.output_item.added", {"output_index": place, "item": {**item, "summary": []}}
    for index, part in enumerate(item["summary"]):
        at = {"item_id": item["id"], "output_index": place, "summary_index": index}
        yield "response.reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
        for piece in portions(part["text"]):
            yield "response.reasoning_summary_text.delta", {**at, "delta": piece}
        yield "response.reasoning_summary_text.done", {**at, "text": part["text"]}
        yield "response.reasoning_summary_part.done", {**at, "part": part}
    yield "response.output_item.done", {"output_index": place, "item": item}


def _message_events(item: dict[str, Any], place: int) -> Iterator[Event]:
    begun: dict[str, Any] = {**item, "status": "in_progress", "content": []}
    yield "response.output_item.added", {"output_index": place, "item": begun}
    for index, part in enumerate(item["content"]):
        at = {"item_id": item["id"], "output_index": place, "content_index": index}
        is_text = part["type"] == "output_text"
        field = "text" if is_text else "refusal"
        more: dict[str, Any] = {"logprobs": []} if is_text else {}
        kind = "response.output_text" if is_text else "response.refusal"
        yield "response.content_part.added", {**at, "part": {**part, field: ""}}
        for piece in portions(part[field]):
            yield f"{kind}.delta", {**at, "delta": piece, **more}
        yield f"{kind}.done", {**at, field: part[field], **more}
        yield "response.content_part.done", {**at, "part": part}
    yield "response.output_item.done", {"output_index": place, "item": item}


def _call_events(item: dict[str, Any], place: int) -> Iterator[Event]:
    at = {"item_id": item["id"], "output_index": place}
    begun = {**item, "status": "in_progress", "arguments": ""}
    yield "response.output_item.added", {"output_index": place, "item": begun}
    for piece in portions(item["arguments"]):
        yield "response.function_call_arguments.delta", {**at, "delta": piece}
    finished = {"name": item["name"], "arguments": item["arguments"]}
    yield "response.function_call_arguments.done", {**at, **finished}
    yield "response.output_item.done", {"output_index": place, "item": item}
