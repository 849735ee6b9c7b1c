"""Usage as vendors tell it: in part, or bit by bit in a stream. Pure."""

from typing import Any, TypeVar

import msgspec

from halley.kernel.chat import ChatUsage
from halley.kernel.loose import as_object

Shape = TypeVar("Shape")


def counts_of(value: Any, shape: type[Shape]) -> Shape:
    """Read an object of counts that is not just like its shape: what is no count was not told, and the others stand."""
    told = as_object(value).items()
    return msgspec.convert({name: count for name, count in told if _is_of(shape, name, count)}, shape)


def _is_of(shape: type[Any], name: str, count: Any) -> bool:
    try:
        msgspec.convert({name: count}, shape)
    except msgspec.ValidationError:
        return False
    return True


def larger(earlier: ChatUsage | None, later: ChatUsage) -> ChatUsage:
    """The larger of each count: counts only grow in a stream, and a later frame may leave out what was told before."""
    if earlier is None:
        return later
    names = [name for name in ChatUsage.__struct_fields__ if name != "tools"]
    counts = {name: max(getattr(earlier, name), getattr(later, name)) for name in names}
    return ChatUsage(**counts, tools=later.tools or earlier.tools)
