"""What formats with one place for instructions cannot say. Pure."""

from halley.kernel.chat import Message, Text
from halley.wire.extras import not_conveyed


def refuse_as_system(message: Message, place: str, *, leading: bool) -> None:
    """Refuse instructions that stand in the middle of a conversation or hold more than text. Raises `NotConveyed`."""
    if not leading:
        raise not_conveyed(f"{place}.role", "instructions can only stand before the conversation")
    for index, part in enumerate(message.parts):
        if not isinstance(part, Text):
            raise not_conveyed(f"{place}.content[{index}]", "instructions are text alone")
