"""Refuses by name what a caller asked for and a format has no word for."""

from collections.abc import Collection

from halley.kernel.chat import ChatOrder
from halley.kernel.faults import NotConveyed

CHANNELS = "any channel of this model"
NAME_CHARACTERS_MAX = 200


def refuse_extras(order: ChatOrder, known: Collection[str] = ()) -> None:
    """Refuse an order with a field that no word of ours stands for, but for those that the writer knows.

    Raises `NotConveyed` naming the first of them in the order in which they were sent.
    """
    for name in order.extras:
        if name not in known:
            raise not_conveyed(name)


def kept_elsewhere(place: str = "") -> NotConveyed:
    """Say that a file cannot be conveyed which a vendor keeps: its id means nothing to any other.

    Where caller and vendor speak one format, bodies pass through with their ids, and nobody asks here.
    """
    why = "the file is kept by a vendor that does not serve this model; send its data instead"
    return not_conveyed(f"{place}.file_id" if place else "file_id", why)


def not_conveyed(name: str, why: str = "") -> NotConveyed:
    """Say that a field cannot be conveyed; `why` goes on after a semicolon."""
    shown = name[:NAME_CHARACTERS_MAX]
    reason = f"; {why}" if why else ""
    return NotConveyed(f"`{shown}` cannot be conveyed to {CHANNELS}{reason}: leave it out", param=shown)
