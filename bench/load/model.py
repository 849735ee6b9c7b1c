"""What is asked, and what came of asking it: the same for every generator."""

import msgspec

OK_CLASS = 2
"""Of a status, the hundreds."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One request, or several that differ in their path and are sent in turn."""

    port: int
    method: str
    paths: tuple[str, ...]
    headers: dict[str, str]
    body: bytes = b""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a closed loop of whole calls saw; latencies in microseconds."""

    answered: int
    bad: int
    """Answers that are not 2xx."""
    broken: int
    """Connections that broke, and calls that took too long."""
    seconds: float
    p50_us: float
    p99_us: float
    mean_us: float

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds if self.seconds else 0.0

    @property
    def errors(self) -> int:
        return self.bad + self.broken


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A closed loop: each connection sends its next call when the last is answered."""

    target: Target
    connections: int
    seconds: float
    timeout_s: float = 20.0


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """Streams that are read to their end, again and again, on so many connections."""

    target: Target
    connections: int
    seconds: float
    timeout_s: float = 20.0


class StreamsOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of paced chunks. `lag` is from the vendor's write to our read, in microseconds."""

    streams: int
    chunks: int
    reads: int
    """Reads from a socket that brought at least one chunk: as many as chunks when nothing is gathered on the way."""
    bad: int
    broken: int
    seconds: float
    lag_p50_us: float
    lag_p99_us: float

    @property
    def reads_per_chunk(self) -> float:
        return self.reads / self.chunks if self.chunks else 0.0

    @property
    def errors(self) -> int:
        return self.bad + self.broken


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """Streams that are opened, so many at a time, and then held open until standard input ends."""

    target: Target
    streams: int
    at_once: int
    timeout_s: float


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """How many streams stand, told once all were tried."""

    streams: int
    bad: int
    broken: int
    seconds: float
