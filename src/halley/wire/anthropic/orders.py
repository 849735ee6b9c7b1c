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
from halley.wire.shape import Cursor

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_SHOWN = {"summarized": True, "omitted": False}


def read_order(body: dict[str, Any]) -> ChatOrder:
    """Raises `BadRequest` naming the field."""
    return _read(Cursor(body), output_tokens_needed=True)


def read_counted(body: dict[str, Any]) -> ChatOrder:
    """Read what is to be counted only: no output will be made, so its size need not be told."""
    return _read(Cursor(body), output_tokens_needed=False)


def _read(fields: Cursor, *, output_tokens_needed: bool) -> ChatOrder:
    model = fields.at("model").text()
    output_tokens = fields.at("max_tokens").whole() if output_tokens_needed else fields.at("max_tokens").whole_or_none()
    messages = _messages(fields)
    choice, parallel = _choice(fields.at("tool_choice").or_none())
    output, reasoning = _config(fields)
    order = ChatOrder(
        model=model,
        messages=messages,
        tools=_tools(fields),
        tool_choice=choice,
        parallel_tools=parallel,
        output_tokens_max=output_tokens,
        temperature=fields.at("temperature").number_or_none(),
        top_p=fields.at("top_p").number_or_none(),
        top_k=fields.at("top_k").whole_or_none(),
        stop=fields.at("stop_sequences").texts(),
        output=output,
        reasoning=reasoning,
        stream=bool(fields.at("stream").flag_or_none()),
        extras=fields.extras,
    )
    _drop_defaults(fields)
    fields.done(TOP)
    return order


def _drop_defaults(fields: Cursor) -> None:
    fields.default("service_tier", "auto", "standard_only")
    fields.default("speed", "standard")
    edits = fields.peek("context_management")
    if isinstance(edits, dict) and _keeps_all(Cursor(edits)):
        fields.drop(("context_management",))


def _keeps_all(management: Cursor) -> bool:
    """Whether nothing of the conversation shall be cleared, as agents ask for with each call."""
    edits = management.at("edits").each()
    return all(
        str(edit.peek("type")).startswith("clear_thinking") and edit.peek("keep") in ("all", {"type": "all"})
        for edit in edits
    )


def _messages(fields: Cursor) -> tuple[Message, ...]:
    system = read_texts(fields, "system")
    sent = fields.at("messages")
    turns = [_message(each) for each in sent.items()]
    if not turns:
        raise sent.wrong("an array of at least one message")
    return (*((Message(role=Role.SYSTEM, parts=system),) if system else ()), *turns)


def _message(message: Cursor) -> Message:
    word = message.at("role").text()
    role = _ROLES.get(word)
    if role is None:
        raise message.at("role").wrong("`user`, `assistant` or `system`")
    parts = read_texts(message, "content") if role is Role.SYSTEM else read_content(message)
    message.done()
    return Message(role=role, parts=parts)


def _tools(fields: Cursor) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for each in fields.at("tools").each():
        if each.peek("type") in (None, "custom"):
            tools.append(_tool(each))
        else:
            # The vendor's own tools, which it runs itself.
            each.keep()
    return tuple(tools)


def _tool(tool: Cursor) -> Tool:
    tool.drop(("type", "cache_control", "eager_input_streaming"))
    tool.default("allowed_callers", ["direct"])
    read = Tool(
        name=tool.at("name").text(),
        description=tool.at("description").text_or_none(),
        parameters=tool.at("input_schema").object(),
        strict=tool.at("strict").flag_or_none(),
    )
    tool.done()
    return read


def _choice(choice: Cursor | None) -> tuple[ToolChoice | None, bool | None]:
    if choice is None:
        return None, None
    word = choice.at("type").text()
    name = choice.at("name").text() if word == "tool" else None
    parallel = False if choice.at("disable_parallel_tool_use").flag_or_none() else None
    choice.done()
    match word:
        case "auto":
            return ToolChoice(mode=ToolMode.AUTO), parallel
        case "any" | "tool":
            return ToolChoice(mode=ToolMode.REQUIRED, name=name), parallel
        case "none":
            return ToolChoice(mode=ToolMode.NONE), parallel
        case _:
            raise choice.at("type").wrong("`auto`, `any`, `tool` or `none`")


def _config(fields: Cursor) -> tuple[OutputFormat | None, Reasoning | None]:
    """Read what shapes the output; `output_format` is the older place of the schema."""
    config = fields.at("output_config").or_empty()
    effort = config.at("effort").text_or_none()
    output = _output(config.at("format").or_none() or fields.at("output_format").or_none())
    config.done()
    reasoning, used = _reasoning(fields, effort)
    if effort is not None and not used:
        fields.extras["output_config.effort"] = effort
    return output, reasoning


def _output(fields: Cursor | None) -> OutputFormat | None:
    if fields is None:
        return None
    if fields.at("type").text() != "json_schema":
        raise fields.at("type").wrong("`json_schema`")
    schema = fields.at("schema").object()
    fields.done()
    return OutputFormat(kind=OutputKind.SCHEMA, schema=schema)


def _reasoning(fields: Cursor, effort: str | None) -> tuple[Reasoning | None, bool]:
    """Give how much to think, and whether the effort is part of it."""
    thinking = fields.at("thinking").or_none()
    if thinking is None:
        return (Reasoning(effort=effort), True) if effort else (None, True)
    word = thinking.peek("type")
    if word not in ("adaptive", "enabled", "disabled"):
        thinking.at("type").text()
        fields.extras[thinking.path] = {"type": word}
        return None, False
    thinking.drop(("type",))
    show = _SHOWN.get(str(thinking.peek("display")))
    if show is not None:
        thinking.drop(("display",))
    budget = thinking.at("budget_tokens").whole() if word == "enabled" else None
    thinking.done()
    if word == "adaptive":
        return Reasoning(effort=effort, show=show), True
    return Reasoning(enabled=word == "enabled", budget_tokens=budget, show=show), False
