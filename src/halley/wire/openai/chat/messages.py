"""Messages of chat completions, read and written."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from halley.kernel.chat import Blob, Message, Part, Refusal, Role, Text, Thinking, ToolCall, ToolResult
from halley.wire.extras import not_conveyed
from halley.wire.openai.chat.calls import THOUGHT_FIELDS, read_call, thoughts_of, write_call
from halley.wire.openai.chat.parts import read_content, read_image, write_content, write_failed, write_texts
from halley.wire.openai.hints import PART_HINTS
from halley.wire.shape import Cursor

_COMMON = PART_HINTS | {"role", "content", "name", "id"}
_OF_ASSISTANT = _COMMON | {"refusal", "tool_calls", "function_call", "annotations", "images", *THOUGHT_FIELDS}
_OF_TOOL = _COMMON | {"tool_call_id"}


# --- read ---------------------------------------------------------------------------------------------------


def read_messages(at: Cursor) -> tuple[Message, ...]:
    """Read all messages. Raises `BadRequest` naming what is wrong."""
    items = list(at.items())
    if not items:
        raise at.wrong("an array with at least one message")
    return tuple(_read_message(item, items[:index]) for index, item in enumerate(items))


def _read_message(at: Cursor, earlier: list[Cursor]) -> Message:
    role = at.at("role")
    match role.text():
        case "system" | "developer":
            return _read_plain(at, Role.SYSTEM)
        case "user":
            return _read_plain(at, Role.USER)
        case "assistant":
            return _read_assistant(at, len(earlier))
        case "tool":
            return _read_result(at)
        case "function":
            return _read_legacy_result(at, earlier)
        case _:
            raise role.wrong("`system`, `developer`, `user`, `assistant` or `tool`")


def _read_plain(at: Cursor, role: Role) -> Message:
    at.keep_others(_COMMON)
    return Message(role=role, parts=read_content(at.at("content")), name=at.at("name").text_or_none())


def _read_assistant(at: Cursor, index: int) -> Message:
    at.keep_others(_OF_ASSISTANT)
    parts = (*thoughts_of(at.object()), *_said(at), *_called(at, index))
    return Message(role=Role.ASSISTANT, parts=parts, name=at.at("name").text_or_none())


def _said(at: Cursor) -> Iterator[Part]:
    content = at.at("content")
    if content.value is not None and content.value != "":
        yield from read_content(content)
    if refusal := at.at("refusal").text_or_none():
        yield Refusal(text=refusal)
    if at.has("images"):
        yield from (read_image(item) for item in at.at("images").items())


def _called(at: Cursor, index: int) -> Iterator[Part]:
    if at.has("tool_calls"):
        for item in at.at("tool_calls").items():
            yield from read_call(item)
    if at.has("function_call"):
        call = at.at("function_call")
        name, arguments = call.at("name").text(), call.at("arguments").text()
        yield ToolCall(id=_legacy_id(index), name=name, arguments=arguments)


def _read_result(at: Cursor) -> Message:
    at.keep_others(_OF_TOOL)
    name = at.at("name").text_or_none()
    return _result(at.at("tool_call_id").text(), name, at.at("content"))


def _read_legacy_result(at: Cursor, earlier: list[Cursor]) -> Message:
    """Read a result of the old kind, which names the function but no call: it belongs to the last one."""
    at.keep_others(_COMMON)
    for index in reversed(range(len(earlier))):
        if earlier[index].has("function_call"):
            return _result(_legacy_id(index), at.at("name").text(), at.at("content"))
    raise at.at("role").wrong("`function` only behind a message with `function_call`")


def _result(call_id: str, name: str | None, content: Cursor) -> Message:
    empty = content.value is None or content.value == ""
    found = () if empty else read_content(content)
    parts = tuple(part for part in found if isinstance(part, Text | Blob))
    if len(parts) < len(found):
        raise content.wrong("a string or parts of the types `text`, `image_url` and `file`")
    return Message(role=Role.USER, parts=(ToolResult(call_id=call_id, name=name, parts=parts),))


def _legacy_id(index: int) -> str:
    return f"call_of_message_{index}"


# --- write --------------------------------------------------------------------------------------------------


def write_messages(messages: tuple[Message, ...], *, thoughts: bool = False) -> list[dict[str, Any]]:
    """Write all messages; `thoughts` hands back earlier thoughts, which some vendors want. Raises `NotConveyed`."""
    written = [item for message in messages for item in _WRITERS[message.role](message)]
    if not thoughts:
        return [{name: value for name, value in item.items() if name != "reasoning_content"} for item in written]
    return written


def _write_system(message: Message) -> Iterator[dict[str, Any]]:
    yield {"role": "system", "content": write_texts(message.parts, "a system message"), **_name(message)}


def _write_user(message: Message) -> Iterator[dict[str, Any]]:
    """Results come first: they must follow the calls at once."""
    for part in message.parts:
        if isinstance(part, ToolResult):
            parts = write_failed(part.parts) if part.is_error else part.parts
            content = write_texts(parts, "a tool's result")
            yield {"role": "tool", "tool_call_id": part.call_id, "content": content}
    others = tuple(part for part in message.parts if not isinstance(part, ToolResult))
    if others or not message.parts:
        yield {"role": "user", "content": write_content(others), **_name(message)}


def _write_assistant(message: Message) -> Iterator[dict[str, Any]]:
    texts = tuple(part for part in message.parts if isinstance(part, Text))
    calls = [write_call(part) for part in message.parts if isinstance(part, ToolCall)]
    refusal = "".join(part.text for part in message.parts if isinstance(part, Refusal))
    thoughts = "".join(part.text for part in message.parts if isinstance(part, Thinking))
    _refuse_others(message)
    written: dict[str, Any] = {"role": "assistant", "content": write_content(texts) if texts else None}
    if thoughts:
        written["reasoning_content"] = thoughts
    if refusal:
        written["refusal"] = refusal
    if calls:
        written["tool_calls"] = calls
    if not texts and not calls and not refusal:
        written["content"] = ""
    yield {**written, **_name(message)}


def _refuse_others(message: Message) -> None:
    for part in message.parts:
        if not isinstance(part, Text | ToolCall | Refusal | Thinking):
            kind = type(part).__name__.lower()
            raise not_conveyed("messages", f"an assistant's message cannot hold a {kind}")


def _name(message: Message) -> dict[str, str]:
    return {} if message.name is None else {"name": message.name}


_WRITERS: Mapping[Role, Callable[[Message], Iterator[dict[str, Any]]]] = {
    Role.SYSTEM: _write_system,
    Role.USER: _write_user,
    Role.ASSISTANT: _write_assistant,
}
