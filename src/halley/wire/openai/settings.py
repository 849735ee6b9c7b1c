"""What both of OpenAI's formats say alike about an order: tools, formats of output, effort."""

import re
from collections.abc import Mapping
from typing import Any

from halley.kernel.chat import ChatOrder, OutputFormat, OutputKind, Reasoning, Tool, ToolChoice, ToolMode
from halley.kernel.faults import BadRequest
from halley.wire.extras import not_conveyed
from halley.wire.reasoning import effort_of
from halley.wire.shape import Cursor

NO_EFFORT = "none"
_LEAST_EFFORT: tuple[tuple[re.Pattern[str], str | None], ...] = (
    (re.compile(r"chat|search|audio|-pro|gpt-[1-4]|o1-(mini|preview)"), None),
    (re.compile(r"codex|(^|/)o\d"), "low"),
    (re.compile(r"gpt-5(?!\.\d)"), "minimal"),
)
"""The least that OpenAI's models from before `none` can be told to think; None for those that are not told at all.

The pages of its models, 2026-11."""
SHARED_EXTRAS: Mapping[str, frozenset[str]] = {
    "verbosity": frozenset(("low", "high")),
    "service_tier": frozenset(("flex", "scale", "priority", "fast")),
}
"""Extras that both formats have a word for, and their values: other formats use the same names for other things."""

_MODES: Mapping[str, ToolMode] = {
    "auto": ToolMode.AUTO,
    "none": ToolMode.NONE,
    "required": ToolMode.REQUIRED,
    "any": ToolMode.REQUIRED,
}
_FUNCTION_FIELDS = frozenset(("name", "description", "parameters", "strict"))


def read_function(at: Cursor, known: frozenset[str] = frozenset()) -> Tool:
    """Read a function's description; fields of the same object that are `known` to the caller are not its."""
    at.keep_others(_FUNCTION_FIELDS | known)
    return Tool(
        name=at.at("name").text(),
        description=at.at("description").text_or_none(),
        parameters=at.at("parameters").object_or_none(),
        strict=at.at("strict").flag_or_none(),
    )


def write_function(tool: Tool) -> dict[str, Any]:
    """Write a function's description without what is not set."""
    fields = {"name": tool.name, "description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    return {name: value for name, value in fields.items() if value is not None}


def read_mode(at: Cursor) -> ToolChoice:
    """Read a word for how tools are chosen."""
    mode = _MODES.get(at.text())
    if mode is None:
        raise at.wrong("`none`, `auto`, `required` or an object that names a function")
    return ToolChoice(mode=mode)


def read_schema(at: Cursor) -> OutputFormat:
    """Read the JSON schema that an answer shall keep to."""
    at.keep_others(("type", "name", "schema", "strict", "description"))
    return OutputFormat(
        kind=OutputKind.SCHEMA,
        name=at.at("name").text_or_none(),
        schema=at.at("schema").object_or_none(),
        strict=at.at("strict").flag_or_none(),
        description=at.at("description").text_or_none(),
    )


def write_schema(output: OutputFormat) -> dict[str, Any]:
    """Write it; a schema must have a name here, other formats need none."""
    fields = {
        "name": output.name or "answer",
        "schema": output.schema,
        "strict": output.strict,
        "description": output.description,
    }
    return {name: value for name, value in fields.items() if value is not None}


def effort_for(reasoning: Reasoning | None, model: str) -> str | None:
    """Give the word for how much this model shall think; None leaves it to the vendor."""
    if reasoning is None:
        return None
    if not reasoning.enabled:
        return next((effort for names, effort in _LEAST_EFFORT if names.search(model)), NO_EFFORT)
    if reasoning.budget_tokens is not None:
        return effort_of(reasoning.budget_tokens)
    return reasoning.effort


def shared_extras(order: ChatOrder) -> dict[str, Any]:
    """The extras of an order that both formats can say."""
    return {
        name: value
        for name, value in order.extras.items()
        if isinstance(value, str) and value in SHARED_EXTRAS.get(name, ())
    }


def refuse_fields(fields: Mapping[str, object], why: str) -> None:
    """Raises `NotConveyed` for the first field that is set."""
    for name, value in fields.items():
        if value is not None and value != ():
            raise not_conveyed(name, why)


def required(body: dict[str, Any], name: str) -> None:
    """Raises `BadRequest` when a field is missing."""
    if body.get(name) is None:
        raise BadRequest(f"`{name}` is required", param=name)
