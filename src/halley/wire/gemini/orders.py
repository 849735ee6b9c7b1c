"""A caller's content order, read into our words. The model and the way of answering stand in the path.

So the caller of `read_order` puts `model` and `stream` into the body. https://ai.google.dev/api/generate-content
"""

from typing import Any

import msgspec

from halley.kernel.chat import (
    ChatOrder,
    Message,
    OutputFormat,
    OutputKind,
    Part,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolChoice,
    ToolMode,
)
from halley.wire.gemini.hints import DECLARED, TOP
from halley.wire.gemini.names import camel
from halley.wire.gemini.parts import PartReader, several
from halley.wire.gemini.schemas import json_schema
from halley.wire.shape import Cursor, missing, wrong

_ROLES = {None: Role.USER, "user": Role.USER, "function": Role.USER, "model": Role.ASSISTANT}
_MODES = {"AUTO": ToolMode.AUTO, "VALIDATED": ToolMode.AUTO, "ANY": ToolMode.REQUIRED, "NONE": ToolMode.NONE}
_JSON = "application/json"
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "responseModalities": (["TEXT"],),
    "responseMimeType": ("text/plain",),
    "mediaResolution": ("MEDIA_RESOLUTION_UNSPECIFIED",),
}


def read_order(body: dict[str, Any]) -> ChatOrder:
    """Raises `BadRequest` naming the field, in the spelling `camelCase`."""
    return read_fields(Cursor(body, spell=camel))


def read_fields(fields: Cursor) -> ChatOrder:
    model = fields.at("model").text().removeprefix("models/")
    stream = bool(fields.at("stream").flag_or_none())
    messages = _messages(fields)
    choice, strict = _choice(fields)
    tools = tuple(msgspec.structs.replace(tool, strict=True) if strict else tool for tool in _tools(fields))
    config = fields.at("generationConfig").or_empty()
    order = ChatOrder(
        model=model,
        messages=messages,
        tools=tools,
        tool_choice=choice,
        output_tokens_max=config.at("maxOutputTokens").whole_or_none(),
        temperature=config.at("temperature").number_or_none(),
        top_p=config.at("topP").number_or_none(),
        top_k=config.at("topK").whole_or_none(),
        stop=config.at("stopSequences").texts(),
        seed=config.at("seed").whole_or_none(),
        presence_penalty=config.at("presencePenalty").number_or_none(),
        frequency_penalty=config.at("frequencyPenalty").number_or_none(),
        count=config.at("candidateCount").whole_or_none(),
        output=_output(config),
        reasoning=_reasoning(config.at("thinkingConfig").or_none()),
        stream=stream,
        extras=fields.extras,
    )
    for name, values in _DEFAULTS.items():
        config.default(name, *values)
    config.done()
    if fields.peek("store") is False:
        # Whether the vendor may keep the call: here `false` is not what holds without it.
        fields.extras["store"] = fields.at("store").value
    fields.default("serviceTier", "unspecified", "standard", "SERVICE_TIER_UNSPECIFIED", "SERVICE_TIER_STANDARD")
    fields.done(TOP)
    return order


def _messages(fields: Cursor) -> tuple[Message, ...]:
    reader = PartReader()
    system = _instruction(fields.at("systemInstruction").or_none(), reader)
    if fields.peek("contents") is None:
        raise missing("contents", "an array of contents")
    turns = [_content(each, reader) for each in several(fields, "contents")]
    if not turns:
        raise wrong("contents", "an array of at least one content", [])
    return (*((Message(role=Role.SYSTEM, parts=system),) if system else ()), *turns)


def _instruction(content: Cursor | None, reader: PartReader) -> tuple[Part, ...]:
    if content is None:
        return ()
    content.drop(("role",))
    parts = _parts(content, reader)
    content.done()
    for index, part in enumerate(parts):
        if not isinstance(part, Text):
            raise wrong(f"{content.path}.parts[{index}]", "a text", {})
    return parts


def _content(content: Cursor, reader: PartReader) -> Message:
    word = content.at("role").text_or_none()
    role = _ROLES.get(word or None)
    if role is None:
        raise wrong(content.place("role"), "`user` or `model`", word)
    message = Message(role=role, parts=_parts(content, reader))
    content.done()
    return message


def _parts(content: Cursor, reader: PartReader) -> tuple[Part, ...]:
    return tuple(part for each in several(content, "parts") for part in reader.read(each))


# --- tools ------------------------------------------------------------------------------------------------------


def _tools(fields: Cursor) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for each in several(fields, "tools"):
        tools += [_tool(declaration) for declaration in several(each, "functionDeclarations")]
        each.done()
    return tuple(tools)


def _tool(declaration: Cursor) -> Tool:
    name = declaration.at("name").text()
    older = declaration.at("parameters").object_or_none()
    schema = declaration.at("parametersJsonSchema").object_or_none()
    declaration.default("behavior", "BLOCKING", "UNSPECIFIED")
    declaration.drop(DECLARED)
    tool = Tool(
        name=name,
        description=declaration.at("description").text_or_none(),
        parameters=schema if schema is not None else json_schema(older) if older is not None else None,
    )
    declaration.done()
    return tool


def _choice(fields: Cursor) -> tuple[ToolChoice | None, bool]:
    """Give the choice, and whether calls must follow their schemas to the letter."""
    config = fields.at("toolConfig").or_none()
    calling = config.at("functionCallingConfig").or_none() if config else None
    if config is None or calling is None:
        if config is not None:
            config.done()
        return None, False
    word = calling.at("mode").text_or_none() or "MODE_UNSPECIFIED"
    mode = _MODES.get(word)
    if mode is None and word != "MODE_UNSPECIFIED":
        raise wrong(calling.place("mode"), "`AUTO`, `ANY`, `NONE` or `VALIDATED`", word)
    names = calling.at("allowedFunctionNames").texts()
    single = len(names) == 1 and mode is ToolMode.REQUIRED
    if names and not single:
        # A choice among some of the functions: no word of ours says so.
        calling.extras[calling.place("allowedFunctionNames")] = list(names)
    name = names[0] if single else None
    calling.done()
    config.done()
    return (ToolChoice(mode=mode, name=name) if mode else None), word == "VALIDATED"


# --- shape of the output ----------------------------------------------------------------------------------------


def _output(config: Cursor) -> OutputFormat | None:
    if config.peek("responseMimeType") != _JSON:
        return None
    config.drop(("responseMimeType",))
    older = config.at("responseSchema").object_or_none()
    schema = config.at("responseJsonSchema").object_or_none()
    if schema is None and older is not None:
        schema = json_schema(older)
    if schema is None:
        return OutputFormat(kind=OutputKind.JSON)
    return OutputFormat(kind=OutputKind.SCHEMA, schema=schema)


def _reasoning(config: Cursor | None) -> Reasoning | None:
    if config is None:
        return None
    budget = config.at("thinkingBudget").whole_or_none()
    level = config.at("thinkingLevel").text_or_none()
    show = config.at("includeThoughts").flag_or_none() or None
    config.done()
    effort = level.lower() if level and level != "THINKING_LEVEL_UNSPECIFIED" else None
    if budget == 0:
        return Reasoning(enabled=False, show=show)
    if effort is not None and budget is not None and budget > 0:
        raise wrong(config.place("thinkingBudget"), "left out beside `thinkingLevel`", budget)
    if budget is None and effort is None and show is None:
        return None
    return Reasoning(effort=effort, budget_tokens=budget if budget and budget > 0 else None, show=show)
