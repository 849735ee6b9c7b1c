"""What a change has brought, to a percent on a noisy machine: `python -m bench.pair COMMIT`.

Halley of the tree and Halley of a commit share one core under the same load at the same time. Whatever others take of
the machine they take from both, so the ratio of their CPU time per call can be trusted where two loads in turn differ
by a third. Latencies and calls per second say nothing here: each has half a core.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import sqrt

from bench import proc
from bench.cases import BY_NAME, DIRECT
from bench.faults import BenchError, Failed, Unavailable
from bench.host import Host
from bench.load.model import Target
from bench.measure import MANY
from bench.options import Options
from bench.run import Run
from bench.systems.base import Kind, System
from bench.systems.before import HalleyBefore
from bench.systems.halley import HalleySqlite

CASES = ("chat", "chat-large", "sse", "embeddings", "task-submit", "task-fetch")
ROUNDS, SECONDS = 8, 4.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pair", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("commit", help="what the tree is compared with")
    parser.add_argument("--case", choices=CASES, default=CASES[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of a round")
    parser.add_argument("--connections", type=int, default=MANY, help="of each, but for streams")
    parser.add_argument("--load", choices=("wrk", "python"), default="wrk")
    asked = parser.parse_args(arguments)
    options = Options(
        cases=(asked.case,),
        systems=(),
        peers=False,
        rounds=asked.rounds,
        seconds=asked.seconds,
        quick=False,
        wrk=asked.load == "wrk",
        database_url=None,
        against=asked.commit,
        idle_streams=0,
    )
    try:
        _say(told(_measure(options, asked.connections)))
    except BenchError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def told(pairs: Sequence[tuple[float, float]]) -> str:
    """Say what the pairs of (before, now) come to, in the same unit."""
    ratios = [now / before for before, now in pairs]
    error = statistics.stdev(ratios) / sqrt(len(ratios)) if len(ratios) > 1 else float("nan")
    return (
        f"now / before: {statistics.mean(ratios):.3f} ± {error:.3f}, the mean of {len(ratios)} and its standard error"
    )


def _measure(options: Options, connections: int) -> list[tuple[float, float]]:
    case = BY_NAME[options.cases[0]]
    assert options.against is not None
    systems: tuple[System, ...] = (HalleyBefore(options.against), HalleySqlite())
    with Run(options, systems, _say) as run:
        run.install()
        if len([each for each in run.systems() if each.name != DIRECT]) < len(systems):
            raise Unavailable("; ".join(problem.words for problem in run.problems))
        hosts = [run.host(case, system) for system in systems]
        try:
            targets = [host.warm(case.kind) for host in hosts]
            return [_round(hosts, targets, case.kind, connections, options.seconds) for _ in range(options.rounds)]
        finally:
            for host in hosts:
                host.down(read=False)


def _round(
    hosts: Sequence[Host], targets: Sequence[Target], kind: Kind, connections: int, seconds: float
) -> tuple[float, float]:
    with ThreadPoolExecutor(len(hosts)) as pool:
        running = [
            pool.submit(_cpu_us, host, target, kind, connections, seconds)
            for host, target in zip(hosts, targets, strict=True)
        ]
        before, now = (each.result() for each in running)
    _say(f"before {before:6.1f} µs, now {now:6.1f} µs: {now / before:.3f}")
    return before, now


def _cpu_us(host: Host, target: Target, kind: Kind, connections: int, seconds: float) -> float:
    """CPU time of the gateway for a call, or for a chunk of a stream."""
    roots = host.up().roots
    used = proc.cpu(roots)
    if kind is Kind.STREAM:
        count = host.streams(target, MANY, seconds).chunks
    else:
        outcome = host.load(target, connections, seconds)
        count = outcome.answered - outcome.bad
    if count <= 0:
        raise Failed(f"{host.system.title} answered nothing well")
    return proc.cpu(roots).since(used).total_us / count


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
