"""Reads the messages of a chat, checked as the vendor checks their order, into what an answer depends on."""

from typing import Any

import msgspec

from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.openai.simulated_call import Call
from halley.vendors.openai.simulated_errors import invalid, missing, unsupported
from halley.vendors.openai.simulated_parts import Seen, look_at
from halley.vendors.simulate import count

MESSAGE_TOKENS = 4
REPLY_TOKENS = 3
ROLES = ("system", "assistant", "user", "function", "tool", "developer")


class Talk(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as far as a simulated answer depends on it."""

    prompt: str = ""
    """What the user said last."""
    notes: tuple[str, ...] = ()
    turns: int = 1
    tool_results: tuple[str, ...] = ()
    """Of the tools called last, if the conversation ends with them."""
    texts: tuple[str, ...] = ()
    """All that was said, for the prompt cache and for looking for a word."""
    tokens: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One message, looked at."""

    role: str
    seen: Seen
    further: str = ""
    """What else counts: names and arguments of calls."""


async def read_messages(call: Call, messages: list[Any]) -> Talk:
    """Read a chat's messages. Raises `Refusal`."""
    lines: list[Line] = []
    owed: list[str] = []
    for place, each in enumerate(messages):
        param = f"messages[{place}]"
        message = as_object(each)
        role = _role(message, param)
        owed = _check_order(message, role, owed, param)
        seen = await look_at(call, message.get("content"), f"{param}.content")
        lines.append(Line(role=role, seen=seen, further=_called(message, param)))
    if owed:
        _refuse_unanswered(owed, f"messages[{len(messages)}]")
    return talk_of(lines)


def talk_of(lines: list[Line]) -> Talk:
    """The conversation of these messages."""
    users = [line for line in lines if line.role == "user"]
    results: list[str] = []
    for line in reversed(lines):
        if line.role not in ("tool", "function"):
            break
        results.insert(0, line.seen.text)
    sizes = [line.seen.tokens + count(line.further) + MESSAGE_TOKENS for line in lines]
    return Talk(
        prompt=users[-1].seen.text if users else "",
        notes=users[-1].seen.notes if users else (),
        turns=max(1, len(users)),
        tool_results=tuple(results),
        texts=tuple(f"{line.role}\n{line.seen.text}{line.further}\n" for line in lines),
        tokens=sum(sizes) + REPLY_TOKENS,
        image_tokens=sum(line.seen.image_tokens for line in lines),
        audio_tokens=sum(line.seen.audio_tokens for line in lines),
    )


def _role(message: dict[str, Any], param: str) -> str:
    role = message.get("role")
    if role is None:
        raise missing(f"{param}.role")
    if role not in ROLES:
        raise unsupported(role, f"{param}.role", ROLES)
    has_else = role == "assistant" and any(message.get(name) for name in ("tool_calls", "function_call", "audio"))
    if message.get("content") is None and not has_else and role != "assistant":
        message_text = f"Invalid value for 'content': expected a string, got null. ({param}.content)"
        raise invalid(message_text, f"{param}.content", "invalid_type")
    return role


def _check_order(message: dict[str, Any], role: str, owed: list[str], param: str) -> list[str]:
    """The ids of calls whose results must follow now. Raises `Refusal` for a result that nobody asked for."""
    if role == "tool":
        answered = message.get("tool_call_id")
        if not isinstance(answered, str):
            raise missing(f"{param}.tool_call_id")
        if answered not in owed:
            text = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
            raise invalid(f"Invalid parameter: {text}", f"{param}.role")
        return [each for each in owed if each != answered]
    if owed:
        _refuse_unanswered(owed, f"{param}.role")
    return [as_text(as_object(each).get("id")) for each in as_list(message.get("tool_calls"))]


def _refuse_unanswered(owed: list[str], param: str) -> None:
    named = ", ".join(owed)
    text = (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {named}"
    )
    raise invalid(text, param)


def _called(message: dict[str, Any], param: str) -> str:
    """The calls in an assistant's message, as text."""
    said: list[str] = []
    for place, each in enumerate(as_list(message.get("tool_calls"))):
        function = as_object(as_object(each).get("function"))
        if as_object(each).get("type") == "function" and not isinstance(function.get("arguments"), str):
            raise missing(f"{param}.tool_calls[{place}].function.arguments")
        said.append(f"{as_text(function.get('name'))}{as_text(function.get('arguments'))}")
    function = as_object(message.get("function_call"))
    return "".join(said) + as_text(function.get("name")) + as_text(function.get("arguments"))
