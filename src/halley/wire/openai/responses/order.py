"""An order in responses: the body that a caller sends, and the one that a vendor gets."""

from typing import Any

from halley.kernel.chat import (
    ChatOrder,
    Message,
    OutputFormat,
    OutputKind,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolChoice,
    ToolMode,
)
from halley.wire.extras import refuse_extras
from halley.wire.openai.hints import sent
from halley.wire.openai.responses.items import read_input, write_input
from halley.wire.openai.settings import (
    NO_EFFORT,
    effort_for,
    read_function,
    read_mode,
    read_schema,
    refuse_fields,
    required,
    shared_extras,
    write_function,
    write_schema,
)
from halley.wire.shape import Cursor

SEALED_THOUGHTS = "reasoning.encrypted_content"
VERBOSITY_USUAL = "medium"

_KNOWN = frozenset(
    (
        *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "max_output_tokens"),
        *("temperature", "top_p", "text", "reasoning", "stream"),
    )
)


def read_order(body: dict[str, Any]) -> ChatOrder:
    """Read a caller's body. Raises `BadRequest` naming the field."""
    required(body, "model")
    required(body, "input")
    extras: dict[str, Any] = {}
    at = Cursor(sent(body), "", extras)
    at.keep_others(_KNOWN)
    return ChatOrder(
        model=at.at("model").text(),
        messages=(*_read_instructions(at.at("instructions")), *read_input(at.at("input"))),
        tools=_read_tools(at.at("tools")),
        tool_choice=_read_choice(at.at("tool_choice")),
        parallel_tools=at.at("parallel_tool_calls").flag_or_none(),
        output_tokens_max=at.at("max_output_tokens").whole_or_none(),
        temperature=at.at("temperature").number_or_none(),
        top_p=at.at("top_p").number_or_none(),
        output=_read_text(at.at("text")),
        reasoning=_read_reasoning(at.at("reasoning")),
        stream=at.at("stream").flag_or_none() or False,
        extras=extras,
    )


def write_order(order: ChatOrder) -> dict[str, Any]:
    """Write a body for a vendor, who shall not keep it. Raises `NotConveyed` for what this format has no word for."""
    shared = shared_extras(order)
    refuse_extras(order, shared)
    refuse_fields(
        {
            "top_k": order.top_k,
            "stop": order.stop,
            "seed": order.seed,
            "presence_penalty": order.presence_penalty,
            "frequency_penalty": order.frequency_penalty,
            "n": None if order.count == 1 else order.count,
        },
        "OpenAI's responses have no word for it",
    )
    instructions, messages = _instructions_of(order.messages)
    fields: dict[str, Any] = {
        "model": order.model,
        "instructions": instructions,
        "input": write_input(messages),
        "tools": [_write_tool(tool) for tool in order.tools] or None,
        "tool_choice": None if order.tool_choice is None else _write_choice(order.tool_choice),
        "parallel_tool_calls": order.parallel_tools,
        "max_output_tokens": order.output_tokens_max,
        "temperature": order.temperature,
        "top_p": order.top_p,
        "text": _write_text(order.output, shared.get("verbosity")),
        "reasoning": _write_reasoning(order.reasoning, order.model),
        "include": [SEALED_THOUGHTS] if order.reasoning is not None and order.reasoning.enabled else None,
        "service_tier": shared.get("service_tier"),
        "store": False,
        "stream": True if order.stream else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


# --- instructions ---------------------------------------------------------------------------------------------


def _read_instructions(at: Cursor) -> tuple[Message, ...]:
    text = at.text_or_none()
    return () if text is None else (Message(role=Role.SYSTEM, parts=(Text(text=text),)),)


def _instructions_of(messages: tuple[Message, ...]) -> tuple[str | None, tuple[Message, ...]]:
    """A system message of one text at the beginning stands apart."""
    match messages:
        case (Message(role=Role.SYSTEM, parts=(Text(text=text),)), *rest) if rest:
            return text, tuple(rest)
        case _:
            return None, messages


# --- tools ----------------------------------------------------------------------------------------------------


def _read_tools(at: Cursor) -> tuple[Tool, ...]:
    """Read the functions; the vendor's own tools are kept as extras."""
    found: list[Tool] = []
    for item in () if at.value is None else at.items():
        if item.at("type").text() == "function":
            tool = read_function(item, frozenset(("type",)))
            # Not to be strict is what other formats do when nothing is said.
            found.append(
                tool if tool.strict else Tool(name=tool.name, description=tool.description, parameters=tool.parameters)
            )
        else:
            item.keep()
    return tuple(found)


def _write_tool(tool: Tool) -> dict[str, Any]:
    """Functions are strict here unless it is said that they are not; a schema must be given."""
    fields = write_function(tool)
    return {"type": "function", **fields, "parameters": tool.parameters or {}, "strict": bool(tool.strict)}


def _read_choice(at: Cursor) -> ToolChoice | None:
    """Read `tool_choice`; a choice of the vendor's tools or among some is kept as an extra."""
    if at.value is None:
        return None
    if isinstance(at.value, str):
        return read_mode(at)
    if at.at("type").text() != "function":
        at.keep()
        return None
    return ToolChoice(mode=ToolMode.REQUIRED, name=at.at("name").text())


def _write_choice(choice: ToolChoice) -> str | dict[str, Any]:
    return choice.mode.value if choice.name is None else {"type": "function", "name": choice.name}


# --- text and reasoning ---------------------------------------------------------------------------------------


def _read_text(at: Cursor) -> OutputFormat | None:
    if at.value is None:
        return None
    at.keep_others(("format", "verbosity"))
    verbosity = at.at("verbosity").text_or_none()
    if verbosity not in (None, VERBOSITY_USUAL):
        # The name that the field has in OpenAI's other format, so that it can be conveyed there.
        at.extras["verbosity"] = verbosity
    return None if not at.has("format") else _read_format(at.at("format"))


def _read_format(at: Cursor) -> OutputFormat | None:
    match at.at("type").text():
        case "text":
            return None
        case "json_object":
            return OutputFormat(kind=OutputKind.JSON)
        case "json_schema":
            return read_schema(at)
        case _:
            at.keep()
            return None


def _write_text(output: OutputFormat | None, verbosity: str | None) -> dict[str, Any] | None:
    text: dict[str, Any] = {}
    if output is not None:
        schema = write_schema(output) if output.kind is OutputKind.SCHEMA else {}
        text["format"] = {"type": _FORMATS[output.kind], **schema}
    if verbosity is not None:
        text["verbosity"] = verbosity
    return text or None


_FORMATS = {OutputKind.TEXT: "text", OutputKind.JSON: "json_object", OutputKind.SCHEMA: "json_schema"}


def _read_reasoning(at: Cursor) -> Reasoning | None:
    if at.value is None:
        return None
    at.keep_others(("effort", "summary", "generate_summary"))
    effort = at.at("effort").text_or_none()
    summary = at.at("summary").text_or_none() or at.at("generate_summary").text_or_none()
    if effort is None and summary is None:
        return None
    return Reasoning(
        enabled=effort != NO_EFFORT,
        effort=None if effort == NO_EFFORT else effort,
        show=None if summary is None else summary != "none",
    )


def _write_reasoning(reasoning: Reasoning | None, model: str) -> dict[str, Any] | None:
    if reasoning is None:
        return None
    fields = {"effort": effort_for(reasoning, model), "summary": "auto" if reasoning.show else None}
    return {name: value for name, value in fields.items() if value is not None} or None
