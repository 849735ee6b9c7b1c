"""Reads tools, the choice of one and the format of an answer, in both spellings of the vendor. Pure."""

from typing import Any

import msgspec

from halley.kernel.chat import ToolMode
from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.openai.simulated_errors import invalid, missing
from halley.vendors.openai.simulated_fields import check_strict_schema
from halley.vendors.simulate import ToolSpec, count

TOOLS_MAX = 128
_MODES = {"auto": ToolMode.AUTO, "none": ToolMode.NONE, "required": ToolMode.REQUIRED}


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What may be called and what must."""

    specs: tuple[ToolSpec, ...] = ()
    mode: ToolMode = ToolMode.AUTO
    name: str | None = None
    tokens: int = 0


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer must be."""

    wants_json: bool = False
    schema: dict[str, Any] | None = None


def read_tools(given: Any, choice: Any) -> Tools:
    """Read `tools` and `tool_choice`; what the vendor runs itself is never called. Raises `Refusal`."""
    specs: list[ToolSpec] = []
    if len(as_list(given)) > TOOLS_MAX:
        raise invalid(
            f"Invalid 'tools': array too long. Expected at most {TOOLS_MAX} items.", "tools", "array_above_max_length"
        )
    for place, each in enumerate(as_list(given)):
        tool = as_object(each)
        kind = tool.get("type")
        if not isinstance(kind, str):
            raise missing(f"tools[{place}].type")
        if kind == "function":
            specs.append(_spec(as_object(tool.get("function")) if "function" in tool else tool, place))
    tokens = count(encode(given).decode()) if specs else 0
    mode, name = _choice(choice, specs)
    return Tools(specs=tuple(specs), mode=mode, name=name, tokens=tokens)


def _spec(function: dict[str, Any], place: int) -> ToolSpec:
    name = function.get("name")
    if not isinstance(name, str):
        raise missing(f"tools[{place}].function.name")
    schema = as_object(function.get("parameters"))
    if function.get("strict") is True:
        check_strict_schema(schema, where=f"function '{name}'", param=f"tools[{place}].function.parameters")
    return ToolSpec(name=name, schema=schema)


def _choice(choice: Any, specs: list[ToolSpec]) -> tuple[ToolMode, str | None]:
    if choice is None:
        return ToolMode.AUTO, None
    if not specs and isinstance(choice, str) and choice in _MODES:
        if choice == "none":
            return ToolMode.NONE, None
        raise invalid(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", "tool_choice"
        )
    if isinstance(choice, str):
        if choice not in _MODES:
            text = f"Invalid value: '{choice[:60]}'. Supported values are: 'none', 'auto', and 'required'."
            raise invalid(text, "tool_choice", "invalid_value")
        return _MODES[choice], None
    chosen = as_object(choice)
    if chosen.get("type") == "allowed_tools":
        allowed = as_object(chosen.get("allowed_tools")) or chosen
        return _MODES.get(as_text(allowed.get("mode")), ToolMode.AUTO), _named(
            as_object(next(iter(as_list(allowed.get("tools"))), None))
        )
    name = _named(chosen)
    if chosen.get("type") == "function" and name not in {spec.name for spec in specs}:
        raise invalid(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")
    return (ToolMode.REQUIRED, name) if name else (ToolMode.AUTO, None)


def _named(chosen: dict[str, Any]) -> str | None:
    return as_text(as_object(chosen.get("function")).get("name")) or as_text(chosen.get("name")) or None


def read_format(given: Any, *, param: str, texts: tuple[str, ...]) -> Format:
    """Read `response_format` or `text.format`. Raises `Refusal`."""
    asked = as_object(given)
    match asked.get("type"):
        case None | "text":
            return Format()
        case "json_object":
            if not any("json" in text.lower() for text in texts):
                text = f"'messages' must contain the word 'json' in some form, to use '{param}' of type 'json_object'."
                raise invalid(text, "messages")
            return Format(wants_json=True)
        case "json_schema":
            return _schema_format(as_object(asked.get("json_schema")) if "json_schema" in asked else asked, param)
        case kind:
            text = f"Invalid value: '{str(kind)[:60]}'. Supported values are: 'json_object', 'json_schema', and 'text'."
            raise invalid(text, f"{param}.type", "invalid_value")


def _schema_format(asked: dict[str, Any], param: str) -> Format:
    name = asked.get("name")
    if not isinstance(name, str) or not name:
        raise missing(f"{param}.json_schema.name")
    schema = asked.get("schema")
    if not isinstance(schema, dict):
        raise missing(f"{param}.json_schema.schema")
    if asked.get("strict") is True:
        check_strict_schema(schema, where=f"{param} '{name}'", param=param)
    return Format(wants_json=True, schema=as_object(schema))
