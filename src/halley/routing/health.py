"""A circuit breaker per channel and operation: after failures in a row it rests, then lets one call through to see."""

import msgspec

FAILURES_MAX = 5
REST_S = 15.0


class _Circuit(msgspec.Struct):
    failures: int = 0
    open_until: float = 0.0


class Health:
    """What this process has seen of its channels. Only faults of the vendor count, never the caller's."""

    def __init__(self) -> None:
        self._circuits: dict[tuple[str, str], _Circuit] = {}

    def may_try(self, channel_id: str, operation: str, now_s: float) -> bool:
        """Whether to send: yes while closed, and once for a probe when the rest is over."""
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
        self._circuits.pop((channel_id, operation), None)

    def failed(self, channel_id: str, operation: str, now_s: float) -> None:
        """The vendor or the way to it failed."""
        circuit = self._circuits.setdefault((channel_id, operation), _Circuit())
        circuit.failures += 1
        if circuit.failures >= FAILURES_MAX:
            circuit.open_until = now_s + REST_S

    def resting(self) -> list[tuple[str, str]]:
        """List (channel id, operation) that are open, for metrics."""
        return [key for key, circuit in self._circuits.items() if circuit.failures >= FAILURES_MAX]
