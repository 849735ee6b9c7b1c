"""The table of the README, made from the newest record: a row for each system."""

from pathlib import Path

from bench.faults import BenchError
from bench.record import Record, decode
from bench.report import number

BEGIN, END = "<!-- measured: `make bench ARGS=--write-readme` -->", "<!-- /measured -->"
_HEADS = (
    "",
    "chat: calls a second",
    "CPU µs a call",
    "added ms, p50 / p99",
    "stream: CPU µs a chunk",
    "lag ms, p99",
    "embeddings a second",
    "memory MB",
    "start s",
)

NOTHING = "-"


def newest(results: Path) -> tuple[str, Record]:
    """The last record by its date, and its file's name without the ending. Raises `BenchError`."""
    found = [(decode(path.read_bytes()), path.stem) for path in results.glob("*.json")]
    if not found:
        raise BenchError("there is no result yet: run `make bench`")
    record, stem = max(found, key=lambda each: each[0].date)
    return stem, record


def write(readme: Path, table: str) -> None:
    """Put the table between the markers. Raises `BenchError` where they are not."""
    text = readme.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"{readme.name} has no `{BEGIN}` with `{END}` behind it")
    readme.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}")


def table(record: Record, stem: str) -> str:
    """The table, and how it was measured."""
    systems = [each.name for each in record.systems if each.name != "direct" and _is_measured(record, each.name)]
    lines = [f"| {' | '.join(_HEADS)} |", "|---" + "|---:" * (len(_HEADS) - 1) + "|"]
    lines += [f"| {' | '.join(_row(record, name))} |" for name in systems]
    return "\n".join([*lines, "", *_method(record, stem)]) + "\n"


def _row(record: Record, system: str) -> list[str]:
    version = next((each.version for each in record.systems if each.name == system), "")
    title = f"{record.title(system)} {version}"
    ours = system.startswith("halley")

    def shown(case: str, name: str, scale: float = 1) -> str:
        found = record.figure(case, system, name)
        return NOTHING if found is None else number(found.median / scale)

    return [
        f"**{title}**" if ours else title,
        shown("chat", "per_second_64"),
        shown("chat", "cpu_us_64"),
        _added(record, system),
        shown("sse", "cpu_us"),
        shown("sse", "lag_p99_us", 1_000),
        shown("embeddings", "per_second_64"),
        shown("start", "memory_mb"),
        shown("start", "answer_s"),
    ]


def _added(record: Record, system: str) -> str:
    found = [record.added("chat", system, name) for name in ("p50_us_1", "p99_us_1")]
    return " / ".join(number(each.median / 1_000) for each in found if each is not None) or NOTHING


def _is_measured(record: Record, system: str) -> bool:
    return any(each.system == system for each in record.samples)


def _method(record: Record, stem: str) -> list[str]:
    machine, options = record.machine, record.options
    where = f"{machine['cpu']}, {machine['kernel']}, Python {machine['python']}"
    how = (
        f"{record.date[:10]}, commit `{record.commit}`, {where}. The gateway has one core, the load and the vendor's "
        f"stand-in the other. Medians of {options['rounds']} rounds of {options['seconds']:g} s; 64 connections, "
        "added latency at one; a chat is 1.5 KB in and 600 B out, a stream 50 chunks of 200 B every 20 ms, embeddings "
        "are 100 KB out. Halley looks up a live key, counts its limits, holds on disk before the call, and books each; "
        "nginx and the peers keep no books."
    )
    figures = f"[`bench/results/{stem}.json`](bench/results/{stem}.json)"
    more = f"All figures: {figures}, method: [docs/dev/benchmarks.md](docs/dev/benchmarks.md)."
    return [how, more, "", f"![CPU time of a call, by case and system](bench/results/{stem}.svg)"]
