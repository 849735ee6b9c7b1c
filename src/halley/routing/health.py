"""A circuit breaker per channel and operation: after failures in a row it rests, then lets one call through to see.

It also rests for as long as a vendor asked for, without having failed. Limits of vendors are often those of one model:
then that model rests alone.
"""

import msgspec

FAILURES_MAX = 5
REST_S = 15.0
ASKED_REST_S_MAX = 300.0
"""A vendor that asks for a longer rest is asked again after this: its word may be wrong, or no longer hold."""
MODELS_MAX = 1_000
"""Callers name models: beyond so many rests what was kept first is forgotten, and the vendor says it again."""
EVERY = ""
"""Stands for all models of a channel."""

_Key = tuple[str, str, str]
"""Channel id, operation, model."""


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a rest."""

    seconds: float
    busy: bool
    """Whether the vendor has too much to do, instead of being out."""


class _Circuit(msgspec.Struct):
    failures: int = 0
    open_until: float = 0.0
    probing: bool = False


class Health:
    """What this process has seen of its channels. Only faults of the vendor count, never the caller's."""

    def __init__(self) -> None:
        self._circuits: dict[_Key, _Circuit] = {}
        self._asked: dict[_Key, float] = {}

    def may_try(self, channel_id: str, operation: str, now_s: float, model: str = EVERY) -> bool:
        """Whether to send: yes while closed, and once for a probe when the rest is over."""
        if not self._asked and not self._circuits:
            return True
        if self.left(channel_id, operation, now_s, model) is not None:
            return False
        for key in _keys(channel_id, operation, model):
            self._asked.pop(key, None)
            circuit = self._circuits.get(key)
            if circuit is not None and circuit.failures >= FAILURES_MAX:
                # Nothing may be heard of the probe, e.g. when the order was not sent after all: then the next is let
                # through after another rest.
                circuit.open_until = now_s + REST_S
                circuit.probing = True
        return True

    def left(self, channel_id: str, operation: str, now_s: float, model: str = EVERY) -> Rest | None:
        """Give what is left of the longest rest that stands in the way; None if none does."""
        rests = [self._left(key, now_s) for key in _keys(channel_id, operation, model)]
        return max((rest for rest in rests if rest.seconds > 0), key=lambda rest: rest.seconds, default=None)

    def began(self, channel_id: str, operation: str, model: str = EVERY) -> None:
        """The first of an answer has come: if it was the probe, others may come too, and one failure is a rest."""
        if self._circuits:
            for key in _keys(channel_id, operation, model):
                circuit = self._circuits.get(key)
                if circuit is not None and circuit.probing:
                    circuit.failures = FAILURES_MAX - 1
                    circuit.probing = False

    def succeeded(self, channel_id: str, operation: str, model: str = EVERY) -> bool:
        """The vendor answered as it should, a refusal of the caller's order included. True if that ends its illness."""
        if not self._circuits:
            return False
        closed = [self._circuits.pop(key, None) for key in _keys(channel_id, operation, model)]
        return any(circuit is not None and circuit.open_until for circuit in closed)

    def failed(self, channel_id: str, operation: str, now_s: float, model: str = EVERY) -> float:
        """The vendor or the way to it failed; or had too much to do for this model.

        Gives for how many seconds it rests, if it begins to.
        """
        circuit = self._circuits.setdefault((channel_id, operation, model), _Circuit())
        rested = circuit.open_until > now_s and not circuit.probing
        circuit.failures += 1
        circuit.probing = False
        if circuit.failures >= FAILURES_MAX:
            circuit.open_until = now_s + REST_S
        _bound(self._circuits)
        return REST_S if circuit.failures >= FAILURES_MAX and not rested else 0.0

    def not_told(self, channel_id: str, operation: str, now_s: float) -> None:
        """What came says nothing of the channel's health; if it was the probe, the next call is."""
        circuit = self._circuits.get((channel_id, operation, EVERY))
        if circuit is not None and circuit.probing:
            circuit.open_until = now_s
            circuit.probing = False

    def rest(self, channel_id: str, operation: str, now_s: float, seconds: float, model: str = EVERY) -> float:
        """Leave it alone for as long as the vendor asked, e.g. by `Retry-After`; the longest of several counts.

        Gives for how many seconds it rests, if it begins to.
        """
        until = now_s + min(seconds, ASKED_REST_S_MAX)
        key = (channel_id, operation, model)
        known = self._asked.get(key, now_s)
        if not until > known:
            return 0.0
        self._asked[key] = until
        _bound(self._asked)
        return 0.0 if known > now_s else until - now_s

    def resting(self, now_s: float | None = None) -> list[tuple[str, str]]:
        """List (channel id, operation) that rest for all models, for metrics.

        Without the time, a rest that a vendor asked for is listed until somebody tries after it.
        """
        ill = {key for key, circuit in self._circuits.items() if circuit.failures >= FAILURES_MAX}
        asked = {key for key, until in self._asked.items() if now_s is None or now_s < until}
        return sorted((channel_id, operation) for channel_id, operation, model in ill | asked if model == EVERY)

    def _left(self, key: _Key, now_s: float) -> Rest:
        asked_s = self._asked.get(key, now_s) - now_s
        circuit = self._circuits.get(key)
        ill_s = circuit.open_until - now_s if circuit is not None and circuit.failures >= FAILURES_MAX else 0.0
        # A model's circuit opens for nothing but its limits.
        return Rest(seconds=max(asked_s, ill_s), busy=asked_s >= ill_s or key[2] != EVERY)


def _keys(channel_id: str, operation: str, model: str) -> tuple[_Key, ...]:
    every = (channel_id, operation, EVERY)
    return (every,) if model == EVERY else (every, (channel_id, operation, model))


def _bound(kept: dict[_Key, float] | dict[_Key, _Circuit]) -> None:
    while len(kept) > MODELS_MAX:
        del kept[next(iter(kept))]
