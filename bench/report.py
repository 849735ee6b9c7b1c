"""The tables of a run for a terminal: ratios first, then what stands behind them, the targets, and the books."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.load.statistics import Spread
from bench.record import Record
from bench.targets import Verdict, judge

BASE = "nginx"
BEFORE = "halley-before"
PEERS = ("litellm", "portkey", "tensorzero")
OURS = ("halley-sqlite", "halley-postgres")
DISTURBED = 0.1
"""If others used more of the gateway's core than this, a figure is marked."""
PROBLEM_LINES = 6
_MARKS = {Verdict.GOAL: "[green]✓[/]", Verdict.FIRST: "[yellow]✓[/]", Verdict.MISSED: "[red]✗[/]"}


class Headline(NamedTuple):
    """The figure that a case is compared by."""

    figure: str
    unit: str
    more_is_better: bool


CALLS = Headline("per_second_64", "/s", more_is_better=True)
HEADLINES = {
    "chat": CALLS,
    "chat-large": CALLS,
    "sse": Headline("cpu_us", "µs a chunk", more_is_better=False),
    "embeddings": CALLS,
    "task-submit": CALLS,
    "task-fetch": CALLS,
    "idle-streams": Headline("memory_per_stream_kb", "KB a stream", more_is_better=False),
    "start": Headline("answer_s", "s", more_is_better=False),
}


def show(record: Record, console: Console) -> None:
    """Print all of it."""
    console.print(ratios(record))
    console.print(details(record))
    if any(judge(record)):
        console.print(targets(record))
    for line in remarks(record):
        console.print(line)


def is_good(record: Record) -> bool:
    """Whether every call was answered and every book is whole. A peer that cannot be had is no failure."""
    own = [each for each in record.problems if each.system in OURS]
    errors = [each for each in record.samples if each.system in OURS and each.figures.get("errors")]
    return not own and not errors and all(each.complete for each in record.books)


def ratios(record: Record) -> Table:
    """Each case's headline, and how often better than the plain proxy and than the best of the peers."""
    table = Table(title="Ratios: more than 1 is better than", title_justify="left", header_style="bold")
    table.add_column("case")
    table.add_column("system")
    against = BEFORE in {each.name for each in record.systems}
    for head in ("figure", "spread", BASE, "best peer", *(("before",) if against else ()), "targets"):
        table.add_column(head, justify="right")
    for case in record.cases():
        best = best_peer(record, case)
        for index, system in enumerate(each for each in record.measured(case) if each != "direct"):
            cells = _ratio_cells(record, case, system, best)
            table.add_row(
                case if index == 0 else "", record.title(system), *(cells if against else (*cells[:4], cells[5]))
            )
        table.add_section()
    return table


def best_peer(record: Record, case: str) -> str | None:
    """The peer with the best headline."""
    head = HEADLINES[case]
    found = [(figure.median, each) for each in PEERS if (figure := record.figure(case, each, head.figure))]
    if not found:
        return None
    return max(found)[1] if head.more_is_better else min(found)[1]


def better(record: Record, case: str, system: str, base: str | None) -> Spread | None:
    """How often better a system is than another, by the case's headline; None if one of them has none."""
    if base is None:
        return None
    head = HEADLINES[case]
    return record.ratio(case, *((system, head.figure, base) if head.more_is_better else (base, head.figure, system)))


def details(record: Record) -> Table:
    """What a call costs and how late it comes."""
    table = Table(title="Behind them", title_justify="left", header_style="bold")
    late = "added ms, p50 / p99"
    heads = ("case", "system", "CPU µs", "of it beside", f"{late}, one", "64, or lag", "memory MB", "errors", "remarks")
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index in (0, 1, len(heads) - 1) else "right")
    for case in record.cases():
        for index, system in enumerate(record.measured(case)):
            table.add_row(case if index == 0 else "", record.title(system), *_detail_cells(record, case, system))
        table.add_section()
    return table


def targets(record: Record) -> Table:
    """What is asked of us, and what is."""
    table = Table(title="Targets", title_justify="left", header_style="bold")
    for head in ("case", "system", "what"):
        table.add_column(head)
    for head in ("measured", "asked", "goal", ""):
        table.add_column(head, justify="right")
    for each in judge(record):
        target = each.target
        sign = "≥" if target.at_least else "≤"
        goal = "" if target.goal is None else f"{sign} {number(target.goal)}"
        value, asked = f"{number(each.value)} {target.unit}", f"{sign} {number(target.first)}"
        mark = f"{_MARKS[each.verdict]} {each.verdict}"
        table.add_row(target.case, record.title(target.system), target.what, value, asked, goal, mark)
    return table


def remarks(record: Record) -> Iterable[str]:
    """The books, and what could not be measured."""
    for system in dict.fromkeys(each.system for each in record.books):
        yield from _books(record, system)
    for problem in record.problems:
        where = f", {problem.case}" if problem.case else ""
        yield f"[yellow]not measured[/]: {record.title(problem.system)}{where}: {escape(last_lines(problem.words))}"


def _books(record: Record, system: str) -> Iterable[str]:
    """All whole ones of a system in one line, each other one in its own."""
    title = record.title(system)
    found = [each for each in record.books if each.system == system]
    whole = [each for each in found if each.complete]
    if whole:
        rows, answered, cut = (sum(getattr(each, name) for each in whole) for name in ("rows", "answered", "cut"))
        counted = f"{rows:,} rows for {answered:,} calls answered, {cut:,} more may have been cut off by the load's end"
        yield f"books of {title}: [green]{len(whole)} verified, sound and whole[/]: {counted}"
    for each in found:
        if not each.complete:
            counted = f"{each.rows:,} rows for {each.answered:,} calls answered, {each.cut:,} cut off"
            yield f"books of {title}, {each.case}: [red]NOT WHOLE[/]: {counted}; {escape(last_lines(each.words))}"


def last_lines(words: str) -> str:
    """The end of what a program said, where the reason stands."""
    return "\n".join(words.splitlines()[-PROBLEM_LINES:])


def number(value: float) -> str:
    """As many digits as say something."""
    for bound, digits in ((100, 0), (10, 1)):
        if abs(value) >= bound:
            return f"{value:,.{digits}f}"
    return f"{value:.2f}"


def _ratio_cells(record: Record, case: str, system: str, best: str | None) -> tuple[str, ...]:
    head = HEADLINES[case]
    figure = record.figure(case, system, head.figure)
    if figure is None:
        return ("", "", "", "", "", "")
    spread = f"±{figure.part / 2:.0%}" if figure.rounds > 1 else ""
    return (
        f"{number(figure.median)} {head.unit}",
        spread,
        _times(better(record, case, system, BASE)),
        _times(better(record, case, system, best)) if best != system else "best peer",
        _times(better(record, case, system, BEFORE)),
        _verdicts(record, case, system),
    )


def _times(found: Spread | None) -> str:
    return "" if found is None else f"{number(found.median)} x"


def _verdicts(record: Record, case: str, system: str) -> str:
    found = [each for each in judge(record) if each.target.case == case and each.target.system == system]
    if not found:
        return ""
    met = sum(1 for each in found if each.verdict is not Verdict.MISSED)
    color = "green" if met == len(found) else "red"
    return f"[{color}]{met} of {len(found)}[/]"


def _detail_cells(record: Record, case: str, system: str) -> tuple[str, ...]:
    def shown(name: str) -> str:
        found = record.figure(case, system, name)
        return "" if found is None else number(found.median)

    suffix = "" if HEADLINES[case] is not CALLS else "_64"
    return (
        shown(f"cpu_us{suffix}"),
        shown(f"cpu_beside_us{suffix}") if shown(f"cpu_beside_us{suffix}") != "0.00" else "",
        _late(record, case, system, "p50_us_1", "p99_us_1"),
        _late(record, case, system, "p50_us_64", "p99_us_64")
        or _late(record, case, system, "lag_p50_us", "lag_p99_us"),
        shown("memory_mb"),
        _errors(record, case, system),
        ", ".join(_marks(record, case, system, suffix)),
    )


def _late(record: Record, case: str, system: str, *names: str) -> str:
    """Medians of latencies, over those of no gateway but for the lag of chunks, in milliseconds."""
    read: Callable[..., Spread | None] = record.figure if system == "direct" or "lag" in names[0] else record.added
    found = [read(case, system, name) for name in names]
    return " / ".join(number(each.median / 1_000) for each in found if each is not None)


def _errors(record: Record, case: str, system: str) -> str:
    count = sum(each.figures.get("errors", 0) for each in record.samples if (each.case, each.system) == (case, system))
    return f"[red]{count:,.0f}[/]" if count else "0"


def _marks(record: Record, case: str, system: str, suffix: str) -> Iterable[str]:
    others = record.figure(case, system, f"others{suffix}")
    busy = record.figure(case, system, f"busy{suffix}")
    reads = record.figure(case, system, "reads_per_chunk")
    streams = record.figure(case, system, "streams")
    if reads is not None:
        yield f"{reads.median:.2f} reads a chunk"
    if streams is not None:
        yield f"{streams.median:,.0f} streams"
    if system == "direct":
        return
    if others is not None and others.median > DISTURBED:
        yield f"[yellow]disturbed: others had {others.median:.0%} of its core[/]"
    if suffix and busy is not None and others is not None and busy.median + others.median < 1 - DISTURBED:
        yield f"its core worked {busy.median:.0%}"
