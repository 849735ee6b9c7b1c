"""What vendors ask of tool calls beyond their format: results right behind them, and ids that they take. Pure."""

import hashlib
import re
import string
from collections.abc import Iterator
from itertools import groupby

import msgspec

from halley.kernel.chat import ChatOrder, Message, Part, Role, ToolCall, ToolResult

_ALPHABET = string.ascii_letters + string.digits
_MADE_CHARACTERS = 9
"""Of an id made here: no vendor takes fewer, and Mistral no more."""


def results_first(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Put the results of a turn before all else that the caller says in it.

    OpenAI and Anthropic want them right behind the calls; callers of Responses and Gemini may say something before.
    """
    arranged: list[Message] = []
    for _, grouped in groupby(messages, key=lambda message: message.role is Role.ASSISTANT):
        turn = tuple(grouped)
        arranged += _arranged(turn) if arranged else turn
    return tuple(arranged)


def _arranged(turn: tuple[Message, ...]) -> Iterator[Message]:
    parts = [part for message in turn for part in message.parts]
    results = [part for part in parts if isinstance(part, ToolResult)]
    if results == parts[: len(results)]:
        yield from turn
        return
    yield Message(role=Role.USER, parts=tuple(results))
    for message in turn:
        others = tuple(part for part in message.parts if not isinstance(part, ToolResult))
        if others or not message.parts:
            yield msgspec.structs.replace(message, parts=others)


def with_ids(order: ChatOrder, taken: re.Pattern[str]) -> ChatOrder:
    """Give ids that a vendor takes to the calls and results whose ids it does not, the same each time.

    A conversation that another model began bears ids in that vendor's spelling.
    """

    def renamed(part: Part) -> Part:
        if isinstance(part, ToolCall) and not taken.fullmatch(part.id):
            return msgspec.structs.replace(part, id=_made(part.id))
        if isinstance(part, ToolResult) and not taken.fullmatch(part.call_id):
            return msgspec.structs.replace(part, call_id=_made(part.call_id))
        return part

    messages = tuple(
        msgspec.structs.replace(message, parts=tuple(map(renamed, message.parts))) for message in order.messages
    )
    return msgspec.structs.replace(order, messages=messages)


def _made(call_id: str) -> str:
    number = int.from_bytes(hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).digest())
    characters: list[str] = []
    for _ in range(_MADE_CHARACTERS):
        number, index = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[index])
    return "".join(characters)
