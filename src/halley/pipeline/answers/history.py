"""What was said before a call that goes on from a kept response, and to which vendor it must be said again."""

from typing import Any

import msgspec

from halley.kernel.body import JsonBody
from halley.kernel.faults import BadRequest, NotConveyed
from halley.responses import Turn
from halley.responses.rules import history, input_items, is_sealed

PREVIOUS = "previous_response_id"


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation so far."""

    sent: JsonBody
    """The body as the caller sent it."""
    previous: str
    """The row of the response that is gone on from."""
    holder: str | None
    """The channel whose vendor has it too; it needs to be told nothing."""
    turns: tuple[Turn, ...] = ()
    problem: NotConveyed | None = None
    """Why no other vendor can be told."""

    def thinks_on(self, channel_id: str) -> bool:
        """Whether there are thoughts that this channel can read again."""
        return any(turn.channel_id == channel_id and any(map(is_sealed, turn.output)) for turn in self.turns)

    def told(self, channel_id: str | None = None) -> JsonBody:
        """Give the body with all that was said; of thoughts only those of this channel. Raises `BadRequest`."""
        given: Any = self.sent.whole().get("input")
        if given is not None and not isinstance(given, str | list):
            raise BadRequest("`input` must be a string or an array of items", param="input")
        items: list[Any] = [*history(self.turns, channel_id), *input_items(given)]
        return JsonBody(self.sent.patched({"input": items, PREVIOUS: None}))
