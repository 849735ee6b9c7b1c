"""Calls of an answer that was cut short: formats whose arguments are objects cannot say half of them. Pure."""

from halley.kernel.chat import Choice, Part, StopReason, ToolCall
from halley.wire.shape import object_of

CUTTING = frozenset((StopReason.LENGTH, StopReason.FILTERED, StopReason.REFUSED))
"""Why an answer may have stopped in the middle of a call."""


def whole_parts(choice: Choice) -> tuple[Part, ...]:
    """Give the parts of an answer without calls that were cut short: nobody may make a call with half of its arguments.

    Where the answer stopped for another reason such calls stay, and cannot be written.
    """
    if choice.stop not in CUTTING:
        return choice.parts
    return tuple(part for part in choice.parts if not (isinstance(part, ToolCall) and is_cut_short(part)))


def is_cut_short(call: ToolCall) -> bool:
    """Whether a call's arguments are no whole object."""
    try:
        object_of(call.arguments, "the arguments")
    except ValueError:
        return True
    return False
