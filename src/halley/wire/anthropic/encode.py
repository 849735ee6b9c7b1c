"""An order in our words, written as a message order for a vendor."""

import base64
import re
from collections.abc import Iterator
from typing import Any

from halley.kernel.chat import (
    Blob,
    BlobKind,
    ChatOrder,
    Message,
    OutputFormat,
    OutputKind,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from halley.kernel.faults import BadRequest
from halley.wire.anthropic.blocks import PDF, PLAIN
from halley.wire.calls import with_ids
from halley.wire.extras import kept_elsewhere, not_conveyed, refuse_extras
from halley.wire.instructions import refuse_as_system
from halley.wire.media import media_type_of
from halley.wire.reasoning import BUDGET_MIN, budget_of
from halley.wire.shape import object_of

CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
"""What the vendor takes for the id of a call, by the words of its refusal."""
DEFAULT_OUTPUT_TOKENS = 4_096
"""The format needs a maximum; this one where neither the caller nor the model's limits give any."""
TEMPERATURE_MAX = 1.0
EFFORTS = frozenset(("low", "medium", "high", "xhigh", "max"))
EFFORT_UNSAID = "medium"
BUDGETED = (
    "claude-3",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-opus-4-2025",
    "claude-opus-4-5",
    "claude-sonnet-4-0",
    "claude-sonnet-4-2025",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
)
"""Beginnings of the names of models that think by a budget of tokens: the closed list of those before `adaptive`."""

Json = dict[str, Any]


def write_order(order: ChatOrder) -> Json:
    """Raises `NotConveyed` for what this format has no word for, `BadRequest` for arguments that are no object."""
    refuse_extras(order)
    _refuse_unspoken(order)
    order = with_ids(order, CALL_ID)
    system, turns = _parted(order.messages)
    body: Json = {"model": order.model, "max_tokens": _output_tokens(order)}
    if system:
        body["system"] = system
    body["messages"] = turns
    body |= _tools(order)
    body |= _shape(order)
    sampling: Json = {"temperature": order.temperature, "top_p": order.top_p, "top_k": order.top_k}
    body |= {name: value for name, value in sampling.items() if value is not None}
    if order.stop:
        body["stop_sequences"] = list(order.stop)
    if order.stream:
        body["stream"] = True
    return body


def _refuse_unspoken(order: ChatOrder) -> None:
    unspoken = {
        "n": (order.count or 1) > 1,
        "seed": order.seed is not None,
        "presence_penalty": bool(order.presence_penalty),
        "frequency_penalty": bool(order.frequency_penalty),
    }
    for name, is_set in unspoken.items():
        if is_set:
            raise not_conveyed(name)
    if order.temperature is not None and order.temperature > TEMPERATURE_MAX:
        raise not_conveyed("temperature", f"it takes at most {TEMPERATURE_MAX:g}")
    if order.output is not None and order.output.kind is OutputKind.JSON:
        raise not_conveyed("response_format", "JSON without a schema is not known there; send a schema")


def _output_tokens(order: ChatOrder) -> int:
    if order.output_tokens_max is not None:
        return order.output_tokens_max
    budget = order.reasoning.budget_tokens if order.reasoning else None
    return DEFAULT_OUTPUT_TOKENS + (budget or 0)


# --- messages ---------------------------------------------------------------------------------------------------


def _parted(messages: tuple[Message, ...]) -> tuple[str | list[Json], list[Json]]:
    """Give the system prompt and the turns, each role's in one: the vendor would join them itself."""
    system: list[Json] = []
    turns: list[Json] = []
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if message.name is not None:
            raise not_conveyed(f"{place}.name")
        blocks = list(_blocks(message, place))
        if message.role is Role.SYSTEM:
            refuse_as_system(message, place, leading=not turns)
            system += blocks
        else:
            _add(turns, message.role.value, blocks)
    text = system[0]["text"] if len(system) == 1 else None
    return text if text is not None else system, turns


def _add(turns: list[Json], role: str, blocks: list[Json]) -> None:
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _blocks(message: Message, place: str) -> Iterator[Json]:
    alone = len(message.parts) == 1
    for index, part in enumerate(message.parts):
        if isinstance(part, Text) and not part.text and not alone:
            # The vendor refuses empty blocks; other formats send them beside tool calls.
            continue
        yield from _block(part, f"{place}.content[{index}]")


def _block(part: Part, place: str) -> Iterator[Json]:
    match part:
        case Text(text=text) | Refusal(text=text):
            yield {"type": "text", "text": text}
        case Blob():
            yield _blob(part, place)
        case ToolCall():
            yield {"type": "tool_use", "id": part.id, "name": part.name, "input": _input(part, place)}
        case ToolResult():
            yield _result(part, place)
        case Thinking(redacted=str(data)):
            yield {"type": "redacted_thinking", "data": data}
        case Thinking(signature=str(signature)):
            yield {"type": "thinking", "thinking": part.text, "signature": signature}
        case Thinking():
            return


def _input(call: ToolCall, place: str) -> Json:
    try:
        return object_of(call.arguments, "the arguments")
    except ValueError as error:
        raise BadRequest(f"`{place}`: the arguments of `{call.name}` must be a JSON object", param=place) from error


def _result(result: ToolResult, place: str) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": result.call_id}
    match result.parts:
        case ():
            pass
        case (Text(text=text),):
            block["content"] = text
        case parts:
            block["content"] = [each for index, part in enumerate(parts) for each in _block(part, f"{place}[{index}]")]
    if result.is_error:
        block["is_error"] = True
    return block


def _blob(blob: Blob, place: str) -> Json:
    match blob.kind:
        case BlobKind.IMAGE:
            return {"type": "image", "source": _source(blob, place)}
        case BlobKind.FILE:
            plain = blob.data is not None and media_type_of(blob) == PLAIN
            source = _plain_source(blob, place) if plain else _source(blob, place)
            title = {"title": blob.name} if blob.name is not None else {}
            return {"type": "document", "source": source, **title}
        case BlobKind.AUDIO | BlobKind.VIDEO:
            raise not_conveyed(place, f"it holds {blob.kind.value}")


def _source(blob: Blob, place: str) -> Json:
    if blob.data is not None:
        media_type = media_type_of(blob)
        if media_type is None:
            raise not_conveyed(place, "its media type is not known; send it as `data:TYPE;base64,…`")
        if blob.kind is BlobKind.FILE and media_type != PDF:
            raise not_conveyed(place, f"files are {PDF} or {PLAIN} there, this one is `{media_type[:60]}`")
        return {"type": "base64", "media_type": media_type, "data": blob.data}
    if blob.url is not None:
        return {"type": "url", "url": blob.url}
    raise kept_elsewhere(place)


def _plain_source(blob: Blob, place: str) -> Json:
    try:
        text = base64.b64decode(blob.data or "", validate=True).decode()
    except ValueError as error:
        raise BadRequest(f"`{place}`: a text file must be base64 of UTF-8", param=place) from error
    return {"type": "text", "media_type": PLAIN, "data": text}


# --- tools and the shape of the output --------------------------------------------------------------------------


def _tools(order: ChatOrder) -> Json:
    tools = {"tools": [_tool(each) for each in order.tools]} if order.tools else {}
    choice = _choice(order.tool_choice, parallel=order.parallel_tools is not False)
    # Without tools the vendor takes no choice, and but for a demand for one it means nothing.
    demanded = order.tool_choice is not None and order.tool_choice.mode is ToolMode.REQUIRED
    return {**tools, "tool_choice": choice} if choice and (tools or demanded) else tools


def _tool(tool: Tool) -> Json:
    written: Json = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    written["input_schema"] = {"type": "object"} | (tool.parameters or {"properties": {}})
    if tool.strict:
        written["strict"] = True
    return written


def _choice(choice: ToolChoice | None, *, parallel: bool) -> Json | None:
    if choice is None:
        return None if parallel else {"type": "auto", "disable_parallel_tool_use": True}
    single: Json = {} if parallel else {"disable_parallel_tool_use": True}
    match choice.mode:
        case ToolMode.NONE:
            return {"type": "none"}
        case ToolMode.AUTO:
            return {"type": "auto", **single}
        case ToolMode.REQUIRED if choice.name is not None:
            return {"type": "tool", "name": choice.name, **single}
        case ToolMode.REQUIRED:
            return {"type": "any", **single}


def _shape(order: ChatOrder) -> Json:
    shape = _reasoning(order, order.reasoning) if order.reasoning else {}
    if order.output is not None and order.output.kind is OutputKind.SCHEMA:
        config = {**shape.get("output_config", {}), "format": _format(order.output)}
        shape = {**shape, "output_config": config}
    return shape


def _format(output: OutputFormat) -> Json:
    schema = output.schema or {}
    if output.description is not None:
        schema = {"description": output.description} | schema
    return {"type": "json_schema", "schema": schema}


def _reasoning(order: ChatOrder, reasoning: Reasoning) -> Json:
    """Write an effort as the vendor's word for it, and as a budget of tokens for models from before that word."""
    if not reasoning.enabled:
        return {"thinking": {"type": "disabled"}}
    display = {} if reasoning.show is None else {"display": "summarized" if reasoning.show else "omitted"}
    budget = reasoning.budget_tokens
    if budget is None and order.model.startswith(BUDGETED):
        room = _output_tokens(order)
        if room <= BUDGET_MIN:
            raise not_conveyed(
                "reasoning_effort", f"{room} output tokens leave no room to think ({BUDGET_MIN} and more)"
            )
        budget = budget_of(reasoning.effort or EFFORT_UNSAID, room)
    if budget is not None and _calls_without_thought(order.messages):
        return {}
    if budget is not None:
        return {"thinking": {"type": "enabled", "budget_tokens": budget, **display}}
    thinking: Json = {"thinking": {"type": "adaptive", **display}}
    if reasoning.effort is None:
        return thinking
    if reasoning.effort not in EFFORTS:
        raise not_conveyed("reasoning_effort", f"`{reasoning.effort[:40]}` is none of {', '.join(sorted(EFFORTS))}")
    return {**thinking, "output_config": {"effort": reasoning.effort}}


def _calls_without_thought(messages: tuple[Message, ...]) -> bool:
    """Whether what is being answered are results of calls before which no thought stands that the vendor knows again.

    With a budget it refuses this; most formats have no place to keep such a thought in. Its page on extended thinking:
    a turn of calls and results is gone on with as it was begun.
    """
    last = next((message for message in reversed(messages) if message.role is Role.ASSISTANT), None)
    if last is None or not any(isinstance(part, ToolCall) for part in last.parts):
        return False
    return not any(isinstance(part, Thinking) and (part.signature or part.redacted) for part in last.parts)
