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
from halley.wire.shape import Fields, missing, wrong

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
    return read_fields(Fields(body, spell=camel))


def read_fields(fields: Fields) -> ChatOrder:
    model = fields.needed_text("model").removeprefix("models/")
    stream = bool(fields.flag("stream"))
    messages = _messages(fields)
    choice, strict = _choice(fields)
    tools = tuple(msgspec.structs.replace(tool, strict=True) if strict else tool for tool in _tools(fields))
    config = fields.child("generationConfig") or fields.below({}, "generationConfig")
    order = ChatOrder(
        model=model,
        messages=messages,
        tools=tools,
        tool_choice=choice,
        output_tokens_max=config.whole("maxOutputTokens"),
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.whole("topK"),
        stop=config.texts("stopSequences"),
        seed=config.whole("seed"),
        presence_penalty=config.number("presencePenalty"),
        frequency_penalty=config.number("frequencyPenalty"),
        count=config.whole("candidateCount"),
        output=_output(config),
        reasoning=_reasoning(config.child("thinkingConfig")),
        stream=stream,
        extras=fields.extras,
    )
    for name, values in _DEFAULTS.items():
        config.default(name, *values)
    config.done()
    if fields.peek("store") is False:
        # Whether the vendor may keep the call: here `false` is not what holds without it.
        fields.extras["store"] = fields.take("store")
    fields.default("serviceTier", "unspecified", "standard", "SERVICE_TIER_UNSPECIFIED", "SERVICE_TIER_STANDARD")
    fields.done(TOP)
    return order


def _messages(fields: Fields) -> tuple[Message, ...]:
    reader = PartReader()
    system = _instruction(fields.child("systemInstruction"), reader)
    if fields.peek("contents") is None:
        raise missing("contents", "an array of contents")
    turns = [_content(each, reader) for each in several(fields, "contents")]
    if not turns:
        raise wrong("contents", "an array of at least one content", [])
    return (*((Message(role=Role.SYSTEM, parts=system),) if system else ()), *turns)


def _instruction(content: Fields | None, reader: PartReader) -> tuple[Part, ...]:
    if content is None:
        return ()
    content.drop(("role",))
    parts = _parts(content, reader)
    content.done()
    for index, part in enumerate(parts):
        if not isinstance(part, Text):
            raise wrong(f"{content.path}.parts[{index}]", "a text", {})
    return parts


def _content(content: Fields, reader: PartReader) -> Message:
    word = content.text("role")
    role = _ROLES.get(word or None)
    if role is None:
        raise wrong(content.place("role"), "`user` or `model`", word)
    message = Message(role=role, parts=_parts(content, reader))
    content.done()
    return message


def _parts(content: Fields, reader: PartReader) -> tuple[Part, ...]:
    return tuple(part for each in several(content, "parts") for part in reader.read(each))


# --- tools ------------------------------------------------------------------------------------------------------


def _tools(fields: Fields) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for each in several(fields, "tools"):
        tools += [_tool(declaration) for declaration in several(each, "functionDeclarations")]
        each.done()
    return tuple(tools)


def _tool(declaration: Fields) -> Tool:
    name = declaration.needed_text("name")
    older = declaration.free("parameters")
    schema = declaration.free("parametersJsonSchema")
    declaration.default("behavior", "BLOCKING", "UNSPECIFIED")
    declaration.drop(DECLARED)
    tool = Tool(
        name=name,
        description=declaration.text("description"),
        parameters=schema if schema is not None else json_schema(older) if older is not None else None,
    )
    declaration.done()
    return tool


def _choice(fields: Fields) -> tuple[ToolChoice | None, bool]:
    """Give the choice, and whether calls must follow their schemas to the letter."""
    config = fields.child("toolConfig")
    calling = config.child("functionCallingConfig") if config else None
    if config is None or calling is None:
        if config is not None:
            config.done()
        return None, False
    word = calling.text("mode") or "MODE_UNSPECIFIED"
    mode = _MODES.get(word)
    if mode is None and word != "MODE_UNSPECIFIED":
        raise wrong(calling.place("mode"), "`AUTO`, `ANY`, `NONE` or `VALIDATED`", word)
    names = calling.texts("allowedFunctionNames")
    single = len(names) == 1 and mode is ToolMode.REQUIRED
    if names and not single:
        # A choice among some of the functions: no word of ours says so.
        calling.extras[calling.place("allowedFunctionNames")] = list(names)
    name = names[0] if single else None
    calling.done()
    config.done()
    return (ToolChoice(mode=mode, name=name) if mode else None), word == "VALIDATED"


# --- shape of the output ----------------------------------------------------------------------------------------


def _output(config: Fields) -> OutputFormat | None:
    if config.peek("responseMimeType") != _JSON:
        return None
    config.take("responseMimeType")
    older = config.free("responseSchema")
    schema = config.free("responseJsonSchema")
    if schema is None and older is not None:
        schema = json_schema(older)
    if schema is None:
        return OutputFormat(kind=OutputKind.JSON)
    return OutputFormat(kind=OutputKind.SCHEMA, schema=schema)


def _reasoning(config: Fields | None) -> Reasoning | None:
    if config is None:
        return None
    budget = config.whole("thinkingBudget")
    level = config.text("thinkingLevel")
    show = config.flag("includeThoughts") or None
    config.done()
    effort = level.lower() if level and level != "THINKING_LEVEL_UNSPECIFIED" else None
    if budget == 0:
        return Reasoning(enabled=False, show=show)
    if effort is not None and budget is not None and budget > 0:
        raise wrong(config.place("thinkingBudget"), "left out beside `thinkingLevel`", budget)
    if budget is None and effort is None and show is None:
        return None
    return Reasoning(effort=effort, budget_tokens=budget if budget and budget > 0 else None, show=show)
