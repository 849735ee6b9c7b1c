"""Reads paced streams and sees when each chunk comes: a `Streams` on standard input, a `StreamsOutcome` printed."""

import asyncio
import re
import sys
from time import monotonic, monotonic_ns

import msgspec
import uvloop

from bench.bodies import TIME_DIGITS
from bench.load.caller import call_all
from bench.load.model import OK_CLASS, Streams, StreamsOutcome
from bench.load.statistics import percentile

_STAMP = re.compile(rb"@(\d{%d})@" % TIME_DIGITS)
_STAMP_BYTES = TIME_DIGITS + 2


class Seen:
    """What all connections have seen."""

    def __init__(self) -> None:
        self.lags_us: list[float] = []
        self.reads = self.streams = self.bad = self.broken = 0


class Reader:
    """Reads the streams of one connection. A stamp may come in two reads: it counts with the second."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._rest = b""
        self._found = 0

    def sent(self) -> None:
        self._rest = b""

    def body(self, data: bytes) -> None:
        now = monotonic_ns()
        text = self._rest + data
        end = 0
        for stamp in _STAMP.finditer(text):
            self._seen.lags_us.append((now - int(stamp[1])) / 1_000)
            self._found += 1
            end = stamp.end()
        self._rest = text[max(end, len(text) - _STAMP_BYTES + 1) :]

    def read(self) -> None:
        if self._found:
            self._seen.reads += 1
            self._found = 0

    def ended(self, status: int) -> None:
        if status // 100 == OK_CLASS:
            self._seen.streams += 1
        else:
            self._seen.bad += 1

    def broke(self) -> None:
        self._seen.broken += 1


async def run(wanted: Streams) -> StreamsOutcome:
    seen = Seen()
    began = monotonic()
    await call_all(wanted, lambda: Reader(seen))
    seconds = monotonic() - began
    lags = sorted(seen.lags_us)
    return StreamsOutcome(
        streams=seen.streams,
        chunks=len(lags),
        reads=seen.reads,
        bad=seen.bad,
        broken=seen.broken,
        seconds=seconds,
        lag_p50_us=percentile(lags, 50),
        lag_p99_us=percentile(lags, 99),
    )


def main() -> None:
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Streams)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(run(wanted))
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")


if __name__ == "__main__":
    main()
