"""Usage that a stream tells bit by bit, put together. Pure."""

import msgspec

from halley.kernel.chat import ChatUsage


def larger(earlier: ChatUsage | None, later: ChatUsage) -> ChatUsage:
    """The larger of each count: counts only grow in a stream, and a later frame may leave out what was told before."""
    if earlier is None:
        return later
    fields = msgspec.structs.fields(ChatUsage)
    counts = {field.name: max(getattr(earlier, field.name), getattr(later, field.name)) for field in fields}
    return ChatUsage(**counts)
