"""How many calls a channel has now and had lately, against what its operator allows it. Known to this process alone."""

from halley.limits import rules
from halley.limits.rules import Bucket
from halley.routing.model import Channel

FULL_WAIT_S = 1.0
"""When to look again at a channel that has all its calls at once: nobody knows when one will end."""

_EMPTY = Bucket()


class Bounds:
    """Every call enters before it is sent and leaves when it has ended, also where a channel has no bounds now."""

    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._minutes: dict[str, Bucket] = {}

    def enter(self, channel: Channel, now_s: float) -> bool:
        """Let a call in, and count it; False, counting nothing, when the channel is at one of its bounds."""
        running = self._running.get(channel.id, 0)
        if channel.at_once_max is not None and running >= channel.at_once_max:
            return False
        if channel.per_minute_max is not None:
            minute = self._minute(channel, channel.per_minute_max, now_s)
            if not rules.has_room(minute, channel.per_minute_max, 1):
                return False
            self._minutes[channel.id] = rules.poured(minute, 1)
        self._running[channel.id] = running + 1
        return True

    def leave(self, channel_id: str) -> None:
        """Count a call out, once for each that was let in."""
        running = self._running.get(channel_id, 0)
        assert running > 0, "a call leaves that never entered"
        if running == 1:
            del self._running[channel_id]
        else:
            self._running[channel_id] = running - 1

    def wait_s(self, channel: Channel, now_s: float) -> float:
        """Tell in how long the channel may be tried again; 0 is now."""
        is_full = channel.at_once_max is not None and self.running(channel.id) >= channel.at_once_max
        wait_s = FULL_WAIT_S if is_full else 0.0
        if channel.per_minute_max is None:
            return wait_s
        minute = self._minute(channel, channel.per_minute_max, now_s)
        wait_us = rules.room_after_us(minute, channel.per_minute_max, 1)
        assert wait_us is not None, "a channel's bound is at least 1"
        return max(wait_s, wait_us / 1e6)

    def running(self, channel_id: str) -> int:
        """Count the calls that have entered and not left."""
        return self._running.get(channel_id, 0)

    def _minute(self, channel: Channel, per_minute: int, now_s: float) -> Bucket:
        return rules.drained(self._minutes.get(channel.id, _EMPTY), per_minute, int(now_s * 1e6))
