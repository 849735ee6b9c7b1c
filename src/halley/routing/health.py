"""A circuit breaker per channel and operation: after failures in a row it rests, then lets one call through to see.

It also rests for as long as a vendor asked for, without having failed.
"""

import msgspec

FAILURES_MAX = 5
REST_S = 15.0
ASKED_REST_S_MAX = 300.0
"""A vendor that asks for a longer rest is asked again after this: its word may be wrong, or no longer hold."""


class _Circuit(msgspec.Struct):
    failures: int = 0
    open_until: float = 0.0


class Health:
    """What this process has seen of its channels. Only faults of the vendor count, never the caller's."""

    def __init__(self) -> None:
        self._circuits: dict[tuple[str, str], _Circuit] = {}
        self._asked: dict[tuple[str, str], float] = {}

    def may_try(self, channel_id: str, operation: str, now_s: float) -> bool:
        """Whether to send: yes while closed, and once for a probe when the rest is over."""
        if not self._asked and not self._circuits:
            return True
        if now_s < self._asked.get((channel_id, operation), now_s):
            return False
        self._asked.pop((channel_id, operation), None)
        circuit = self._circuits.get((channel_id, operation))
        if circuit is None or circuit.failures < FAILURES_MAX:
            return True
        if now_s < circuit.open_until:
            return False
        # Nothing may be heard of the probe, e.g. when the order was not sent after all: then the next is let through
        # after another rest.
        circuit.open_until = now_s + REST_S
        return True

    def succeeded(self, channel_id: str, operation: str) -> None:
        """The vendor answered as it should, a refusal of the caller's order included."""
        if self._circuits:
            self._circuits.pop((channel_id, operation), None)

    def failed(self, channel_id: str, operation: str, now_s: float) -> None:
        """The vendor or the way to it failed."""
        circuit = self._circuits.setdefault((channel_id, operation), _Circuit())
        circuit.failures += 1
        if circuit.failures >= FAILURES_MAX:
            circuit.open_until = now_s + REST_S

    def not_told(self, channel_id: str, operation: str, now_s: float) -> None:
        """What came says nothing of the channel's health; if it was the probe, the next call is."""
        circuit = self._circuits.get((channel_id, operation))
        if circuit is not None:
            circuit.open_until = min(circuit.open_until, now_s)

    def rest(self, channel_id: str, operation: str, now_s: float, seconds: float) -> None:
        """Leave it alone for as long as the vendor asked, e.g. by `Retry-After`; the longest of several counts."""
        until = now_s + min(seconds, ASKED_REST_S_MAX)
        key = (channel_id, operation)
        if until > self._asked.get(key, now_s):
            self._asked[key] = until

    def resting(self, now_s: float | None = None) -> list[tuple[str, str]]:
        """List (channel id, operation) that rest, for metrics.

        Without the time, a rest that a vendor asked for is listed until somebody tries after it.
        """
        ill = {key for key, circuit in self._circuits.items() if circuit.failures >= FAILURES_MAX}
        asked = {key for key, until in self._asked.items() if now_s is None or now_s < until}
        return sorted(ill | asked)
