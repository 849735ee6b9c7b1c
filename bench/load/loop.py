"""Our own closed loop, for machines without `wrk`: reads a `Closed` from standard input and prints an `Outcome`."""

import asyncio
import sys
from collections import Counter
from time import monotonic

import msgspec
import uvloop

from bench.load.caller import call_all
from bench.load.model import OK_CLASS, Closed, Outcome
from bench.load.statistics import percentile


class Tally:
    """What all connections have seen."""

    def __init__(self) -> None:
        self.latencies_us: list[float] = []
        self.counts: Counter[str] = Counter()


class Timer:
    """Times the calls of one connection."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._sent_at = 0.0

    def sent(self) -> None:
        self._sent_at = monotonic()

    def body(self, data: bytes) -> None:
        """What it says is not looked at."""

    def read(self) -> None:
        """Nor in how many pieces it came."""

    def ended(self, status: int) -> None:
        if status // 100 == OK_CLASS:
            self._tally.latencies_us.append((monotonic() - self._sent_at) * 1e6)
        else:
            self._tally.counts["bad"] += 1

    def broke(self) -> None:
        self._tally.counts["broken"] += 1


async def run(wanted: Closed) -> Outcome:
    tally = Tally()
    began = monotonic()
    await call_all(wanted, lambda: Timer(tally))
    seconds = monotonic() - began
    latencies = sorted(tally.latencies_us)
    return Outcome(
        answered=len(latencies) + tally.counts["bad"],
        bad=tally.counts["bad"],
        broken=tally.counts["broken"],
        seconds=seconds,
        p50_us=percentile(latencies, 50),
        p99_us=percentile(latencies, 99),
        mean_us=sum(latencies) / len(latencies) if latencies else 0.0,
    )


def main() -> None:
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Closed)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(run(wanted))
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")


if __name__ == "__main__":
    main()
