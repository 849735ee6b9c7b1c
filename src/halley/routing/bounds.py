"""How many calls a channel has now and had lately, against what its operator allows it. Known to this process alone."""

from halley.limits.rules import Bucket
from halley.routing.model import Channel

FULL_WAIT_S = 1.0
"""When to look again at a channel that has all its calls at once: nobody knows when one will end."""


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
            now_us = int(now_s * 1e6)
            if self._minute(channel.id, channel.per_minute_max, now_us).take(1, now_us) is None:
                return False
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

    def give_back(self, channel: Channel, now_s: float) -> None:
        """Undo `enter` for a call that is not sent after all."""
        self.leave(channel.id)
        if channel.per_minute_max is not None:
            now_us = int(now_s * 1e6)
            self._minute(channel.id, channel.per_minute_max, now_us).pour(-1, now_us)

    def wait_s(self, channel: Channel, now_s: float) -> float:
        """Tell in how long the channel may be tried again; 0 is now."""
        is_full = channel.at_once_max is not None and self.running(channel.id) >= channel.at_once_max
        wait_s = FULL_WAIT_S if is_full else 0.0
        if channel.per_minute_max is None:
            return wait_s
        now_us = int(now_s * 1e6)
        wait_us = self._minute(channel.id, channel.per_minute_max, now_us).wait_us(1, now_us)
        assert wait_us is not None, "a channel's bound is at least 1"
        return max(wait_s, wait_us / 1e6)

    def running(self, channel_id: str) -> int:
        """Count the calls that have entered and not left."""
        return self._running.get(channel_id, 0)

    def _minute(self, channel_id: str, per_minute: int, now_us: int) -> Bucket:
        minute = self._minutes.get(channel_id)
        if minute is None or minute.per_minute != per_minute:
            units = 0 if minute is None else minute.units(now_us)
            minute = self._minutes[channel_id] = Bucket(per_minute, units, now_us)
        return minute
