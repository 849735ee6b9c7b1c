"""A caller's message order, read into our words.

https://platform.claude.com/docs/en/api/messages
"""

from typing import Any

from halley.kernel.chat import (
    ChatOrder,
    Message,
    OutputFormat,
    OutputKind,
    Reasoning,
    Role,
    Tool,
    ToolChoice,
    ToolMode,
)
from halley.wire.anthropic.blocks import read_content, read_texts
from halley.wire.anthropic.hints import TOP
from halley.wire.shape import Fields, missing, wrong

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_SHOWN = {"summarized": True, "omitted": False}


def read_order(body: dict[str, Any]) -> ChatOrder:
    """Raises `BadRequest` naming the field."""
    return _read(Fields(body), output_tokens_needed=True)


def read_counted(body: dict[str, Any]) -> ChatOrder:
    """Read what is to be counted only: no output will be made, so its size need not be told."""
    return _read(Fields(body), output_tokens_needed=False)


def _read(fields: Fields, *, output_tokens_needed: bool) -> ChatOrder:
    model = fields.needed_text("model")
    output_tokens = fields.needed_whole("max_tokens") if output_tokens_needed else fields.whole("max_tokens")
    messages = _messages(fields)
    choice, parallel = _choice(fields.child("tool_choice"))
    output, reasoning = _config(fields)
    order = ChatOrder(
        model=model,
        messages=messages,
        tools=_tools(fields),
        tool_choice=choice,
        parallel_tools=parallel,
        output_tokens_max=output_tokens,
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        stop=fields.texts("stop_sequences"),
        output=output,
        reasoning=reasoning,
        stream=bool(fields.flag("stream")),
        extras=fields.extras,
    )
    _drop_defaults(fields)
    fields.done(TOP)
    return order


def _drop_defaults(fields: Fields) -> None:
    fields.default("service_tier", "auto", "standard_only")
    fields.default("speed", "standard")
    edits = fields.peek("context_management")
    if isinstance(edits, dict) and _keeps_all(fields.below(edits, "context_management")):
        fields.take("context_management")


def _keeps_all(management: Fields) -> bool:
    """Whether nothing of the conversation shall be cleared, as agents ask for with each call."""
    edits = management.children("edits")
    return all(
        str(edit.peek("type")).startswith("clear_thinking") and edit.peek("keep") in ("all", {"type": "all"})
        for edit in edits
    )


def _messages(fields: Fields) -> tuple[Message, ...]:
    system = read_texts(fields, "system")
    if fields.peek("messages") is None:
        raise missing("messages", "an array of messages")
    turns = [_message(each) for each in fields.children("messages")]
    if not turns:
        raise wrong("messages", "an array of at least one message", [])
    return (*((Message(role=Role.SYSTEM, parts=system),) if system else ()), *turns)


def _message(message: Fields) -> Message:
    word = message.needed_text("role")
    role = _ROLES.get(word)
    if role is None:
        raise wrong(message.place("role"), "`user`, `assistant` or `system`", word)
    parts = read_texts(message, "content") if role is Role.SYSTEM else read_content(message)
    message.done()
    return Message(role=role, parts=parts)


def _tools(fields: Fields) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for each in fields.children("tools"):
        if each.peek("type") in (None, "custom"):
            tools.append(_tool(each))
        else:
            # The vendor's own tools, which it runs itself.
            each.leave()
    return tuple(tools)


def _tool(tool: Fields) -> Tool:
    tool.drop(("type", "cache_control", "eager_input_streaming"))
    tool.default("allowed_callers", ["direct"])
    schema = tool.free("input_schema")
    if schema is None:
        raise missing(tool.place("input_schema"), "a JSON schema of type `object`")
    read = Tool(
        name=tool.needed_text("name"),
        description=tool.text("description"),
        parameters=schema,
        strict=tool.flag("strict"),
    )
    tool.done()
    return read


def _choice(choice: Fields | None) -> tuple[ToolChoice | None, bool | None]:
    if choice is None:
        return None, None
    word = choice.needed_text("type")
    name = choice.needed_text("name") if word == "tool" else None
    parallel = False if choice.flag("disable_parallel_tool_use") else None
    choice.done()
    match word:
        case "auto":
            return ToolChoice(mode=ToolMode.AUTO), parallel
        case "any" | "tool":
            return ToolChoice(mode=ToolMode.REQUIRED, name=name), parallel
        case "none":
            return ToolChoice(mode=ToolMode.NONE), parallel
        case _:
            raise wrong(choice.place("type"), "`auto`, `any`, `tool` or `none`", word)


def _config(fields: Fields) -> tuple[OutputFormat | None, Reasoning | None]:
    """Read what shapes the output; `output_format` is the older place of the schema."""
    config = fields.child("output_config") or fields.below({}, "output_config")
    effort = config.text("effort")
    output = _output(config.child("format") or fields.child("output_format"))
    config.done()
    reasoning, used = _reasoning(fields, effort)
    if effort is not None and not used:
        fields.extras["output_config.effort"] = effort
    return output, reasoning


def _output(fields: Fields | None) -> OutputFormat | None:
    if fields is None:
        return None
    word = fields.needed_text("type")
    if word != "json_schema":
        raise wrong(fields.place("type"), "`json_schema`", word)
    schema = fields.free("schema")
    if schema is None:
        raise missing(fields.place("schema"), "a JSON schema")
    fields.done()
    return OutputFormat(kind=OutputKind.SCHEMA, schema=schema)


def _reasoning(fields: Fields, effort: str | None) -> tuple[Reasoning | None, bool]:
    """Give how much to think, and whether the effort is part of it."""
    thinking = fields.child("thinking")
    if thinking is None:
        return (Reasoning(effort=effort), True) if effort else (None, True)
    word = thinking.peek("type")
    if word not in ("adaptive", "enabled", "disabled"):
        thinking.needed_text("type")
        fields.extras[thinking.path] = {"type": word}
        return None, False
    thinking.take("type")
    show = _SHOWN.get(str(thinking.peek("display")))
    if show is not None:
        thinking.take("display")
    budget = thinking.needed_whole("budget_tokens") if word == "enabled" else None
    thinking.done()
    if word == "adaptive":
        return Reasoning(effort=effort, show=show), True
    return Reasoning(enabled=word == "enabled", budget_tokens=budget, show=show), False
