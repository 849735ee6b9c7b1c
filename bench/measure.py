"""The measurements: each takes a system and gives its figures. What they mean: docs/dev/benchmarks.md."""

from time import monotonic

from bench import proc
from bench.faults import Failed
from bench.host import Host
from bench.load.model import Opening
from bench.proc import Used
from bench.process import pause
from bench.systems.base import Kind

FEW, MANY = 1, 64
STREAMS_AT_ONCE = 64
OPENING_AT_ONCE = 64
OPENING_S_MAX = 120.0
REST_S, REST_QUICK_S = 2.0, 0.5
MIB = 1024 * 1024
MICRO = 1_000_000

Figures = dict[str, float]


class Meter:
    """What the system, what is beside it, the vendor and others used of their cores since now."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._began = monotonic()
        self._before = self._read()

    def figures(self, each: int) -> Figures:
        """Per call or chunk, of which there were so many; parts of a core for the rest."""
        seconds = monotonic() - self._began
        now = self._read()
        own, beside, vendor = (after.since(before) for after, before in zip(now[0], self._before[0], strict=True))
        core_us = now[1] - self._before[1]
        return {
            "cpu_us": own.total_us / each,
            "cpu_system_us": own.system_us / each,
            "cpu_beside_us": beside.total_us / each,
            "busy": own.total_us / MICRO / seconds,
            "others": max(0.0, (core_us - own.total_us) / MICRO / seconds),
            "vendor_busy": vendor.total_us / MICRO / seconds,
        }

    def _read(self) -> tuple[tuple[Used, Used, Used], int]:
        rig, running = self._host.rig, self._host.up()
        used = (proc.cpu(running.roots), proc.cpu(running.beside), proc.cpu((rig.vendor_pid,)))
        return used, proc.core_busy_us(rig.cores.gateway)


def calls(host: Host, kind: Kind) -> Figures:
    """Whole calls in a closed loop, on one connection and on 64."""
    target = host.warm(kind)
    figures: Figures = {}
    errors = 0
    for connections in (FEW, MANY):
        meter = Meter(host)
        outcome = host.load(target, connections, host.rig.seconds)
        if outcome.answered <= outcome.bad:
            raise Failed(f"no call on {connections} connections was answered well; {outcome.errors} errors")
        found = {"per_second": outcome.per_second, "p50_us": outcome.p50_us, "p99_us": outcome.p99_us}
        found |= meter.figures(outcome.answered)
        figures |= {f"{name}_{connections}": value for name, value in found.items()}
        errors += outcome.errors
        host.settle()
    memory = proc.memory_bytes(host.up().roots) / MIB
    return figures | {"errors": errors, "memory_mb": memory}


def streams(host: Host, kind: Kind) -> Figures:
    """Paced streams, 64 at once: what a chunk costs, how late it comes, and whether any are gathered."""
    target = host.up().target(kind)
    host.demand(target)
    host.streams(target, STREAMS_AT_ONCE, 1)
    host.settle()
    meter = Meter(host)
    outcome = host.streams(target, STREAMS_AT_ONCE, host.rig.seconds)
    if not outcome.chunks:
        raise Failed(f"no chunk came; {outcome.bad} bad answers, {outcome.broken} broken connections")
    return meter.figures(outcome.chunks) | {
        "chunks_per_second": outcome.chunks / outcome.seconds,
        "reads_per_chunk": outcome.reads_per_chunk,
        "lag_p50_us": outcome.lag_p50_us,
        "lag_p99_us": outcome.lag_p99_us,
        "errors": outcome.errors,
        "memory_mb": proc.memory_bytes(host.up().roots) / MIB,
    }


def idle(host: Host, kind: Kind) -> Figures:
    """Streams that stand open and are silent: what memory they take."""
    running = host.up()
    host.demand(running.target(Kind.CHAT))
    target = running.target(kind)
    pause(REST_QUICK_S)
    before = proc.memory_bytes(running.roots)
    wanted = host.rig.idle_streams
    opening = Opening(target=target, streams=wanted, at_once=OPENING_AT_ONCE, timeout_s=OPENING_S_MAX)
    with host.held(opening) as opened:
        rest_s = REST_QUICK_S if host.rig.quick else REST_S
        began, used = monotonic(), proc.cpu(running.roots)
        pause(rest_s)
        spent = proc.cpu(running.roots).since(used).total_us / MICRO / (monotonic() - began)
        memory = proc.memory_bytes(running.roots)
    return {
        "streams": opened.streams,
        "streams_wanted": wanted,
        "opening_s": opened.seconds,
        "errors": wanted - opened.streams,
        "memory_mb": memory / MIB,
        "memory_added_mb": (memory - before) / MIB,
        "memory_per_stream_kb": (memory - before) / 1024 / max(1, opened.streams),
        "busy": spent,
    }


def start(host: Host, kind: Kind) -> Figures:
    """The first start ever, and the next on what it has kept: until it is healthy, and until a chat is answered."""
    first = host.start()
    pause(REST_QUICK_S if host.rig.quick else REST_S)
    memory = proc.memory_bytes(host.up().roots)
    host.demand(host.up().target(kind))
    host.down(read=False)
    began = monotonic()
    healthy = host.start()
    host.demand(host.up().target(kind))
    return {
        "first_start_s": first,
        "start_s": healthy,
        "answer_s": monotonic() - began,
        "memory_mb": memory / MIB,
        "memory_after_call_mb": proc.memory_bytes(host.up().roots) / MIB,
        "processes": len(proc.tree(host.up().roots)),
        "errors": 0,
    }
