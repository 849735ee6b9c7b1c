"""Tools, how they are chosen, and the format of the output in chat completions."""

from typing import Any

from halley.kernel.chat import OutputFormat, OutputKind, Tool, ToolChoice, ToolMode
from halley.wire.openai.settings import read_function, read_mode, read_schema, write_function, write_schema
from halley.wire.shape import Cursor


def read_tools(tools: Cursor, functions: Cursor) -> tuple[Tool, ...]:
    """Read `tools` and the older `functions`; tools that are no functions are kept as extras."""
    found: list[Tool] = []
    if tools.value is not None:
        for item in tools.items():
            if item.at("type").text() == "function":
                item.keep_others(("type", "function"))
                found.append(read_function(item.at("function")))
            else:
                item.keep()
    if functions.value is not None:
        found.extend(read_function(item) for item in functions.items())
    return tuple(found)


def write_tools(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    return [{"type": "function", "function": write_function(tool)} for tool in tools]


def read_choice(choice: Cursor, legacy: Cursor) -> ToolChoice | None:
    """Read `tool_choice` or the older `function_call`; a choice among some tools is kept as an extra."""
    if choice.value is None:
        return None if legacy.value is None else _read_legacy(legacy)
    if isinstance(choice.value, str):
        return read_mode(choice)
    if choice.at("type").text() != "function":
        choice.keep()
        return None
    return ToolChoice(mode=ToolMode.REQUIRED, name=choice.at("function").at("name").text())


def write_choice(choice: ToolChoice) -> str | dict[str, Any]:
    if choice.name is not None:
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode.value


def read_output(at: Cursor) -> OutputFormat | None:
    """Read `response_format`; kinds that other formats do not know (a grammar) are kept as extras."""
    if at.value is None:
        return None
    match at.at("type").text():
        case "text":
            return None
        case "json_object":
            return OutputFormat(kind=OutputKind.JSON)
        case "json_schema":
            return read_schema(at.at("json_schema"))
        case _:
            at.keep()
            return None


def write_output(output: OutputFormat) -> dict[str, Any]:
    match output.kind:
        case OutputKind.TEXT:
            return {"type": "text"}
        case OutputKind.JSON:
            return {"type": "json_object"}
        case OutputKind.SCHEMA:
            return {"type": "json_schema", "json_schema": write_schema(output)}


def _read_legacy(at: Cursor) -> ToolChoice:
    if isinstance(at.value, str):
        return read_mode(at)
    return ToolChoice(mode=ToolMode.REQUIRED, name=at.at("name").text())
