"""Work of one kind that comes from many callers at once, and is done for all of them by the same few statements."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from halley.db.engine import Tx

Item = TypeVar("Item")
Result = TypeVar("Result")


class Group(msgspec.Struct, Generic[Item, Result], frozen=True, eq=False):
    """A kind of unit that is run once for all the items that wait for the same commit.

    Make one per kind and keep it: the writer knows a group by its identity. `name` is what failpoints and metrics
    call each of its units.
    """

    name: str
    run: "Callable[[Tx, Sequence[Item]], Sequence[Result]]"
    """Does the work of all items, be it one, and gives their results in the same order.

    It may raise whenever it is in doubt, with any of its work half done: all of it is undone, and each item is done
    alone.
    """
    alone: "Callable[[Tx, Item], Result] | None" = None
    """Does it for one item, and knows what to do or what to refuse. Without it `run` must know that of one item."""
