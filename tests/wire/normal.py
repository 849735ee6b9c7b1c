"""What orders of all formats have in common once the losses that every format has are taken away."""

from collections.abc import Callable
from itertools import groupby

import msgspec

from halley.kernel.chat import ChatOrder, Message, OutputFormat, OutputKind, Part, Role, Text


def sayable(order: ChatOrder) -> ChatOrder:
    """Without instructions in the middle, which some formats refuse, and with something said at the end."""
    first = next((n for n, turn in enumerate(order.messages) if turn.role is not Role.SYSTEM), len(order.messages))
    kept = (turn for n, turn in enumerate(order.messages) if n < first or turn.role is not Role.SYSTEM)
    return msgspec.structs.replace(order, messages=(*kept, Message(role=Role.USER, parts=(Text(text="last"),))))


def joined(turns: tuple[Message, ...]) -> tuple[Message, ...]:
    """Neighbours of one role as one turn."""
    grouped = ((role, tuple(group)) for role, group in groupby(turns, key=lambda turn: turn.role))
    return tuple(Message(role=role, parts=tuple(p for turn in group for p in turn.parts)) for role, group in grouped)


def turned(order: ChatOrder, change: Callable[[Part], Part]) -> ChatOrder:
    """The order with its turns joined and each part changed."""
    turns = (Message(role=turn.role, parts=tuple(map(change, turn.parts))) for turn in joined(order.messages))
    return msgspec.structs.replace(order, messages=tuple(turns))


def shaped(output: OutputFormat | None) -> OutputFormat | None:
    """Where the description moves into the schema, and name and strictness say nothing."""
    if output is None or output.kind is not OutputKind.SCHEMA:
        return output
    about = {} if output.description is None else {"description": output.description}
    return OutputFormat(kind=output.kind, schema=about | (output.schema or {}))
