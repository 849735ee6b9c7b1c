"""The command line of the bench."""

import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from types import FrameType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import readme, report
from bench.cases import BY_NAME
from bench.faults import BenchError
from bench.options import QUICK_ROUNDS, QUICK_SECONDS, ROUNDS, SECONDS, Options
from bench.profile import profile
from bench.run import CACHE, ROOT, Run
from bench.systems.catalogue import OWN, choose
from bench.write import RESULTS, record_of, write

PROFILES = CACHE / "profiles"
PEERS_NONE, PEERS_ALL = "none", "all"
WIDTH = 150
"""Of the tables where they go to a file."""
IDLE_STREAMS, IDLE_STREAMS_QUICK = 5_000, 200


@click.command(context_settings={"max_content_width": 120})
@click.option("--peers", type=click.Choice([PEERS_ALL, PEERS_NONE]), default=PEERS_ALL, show_default=True)
@click.option("--cases", default=",".join(BY_NAME), show_default=True, help="Parted by commas.")
@click.option("--only", default="", help="Only these systems, e.g. `halley-sqlite,nginx`.")
@click.option("--rounds", type=click.IntRange(1, 50), help=f"Each system is measured so often. [default: {ROUNDS}]")
@click.option("--seconds", type=click.FloatRange(1, 300), help=f"Length of one load. [default: {SECONDS:g}]")
@click.option("--quick", is_flag=True, help="One short round: shows that it works, figures are noise.")
@click.option("--load", type=click.Choice(["wrk", "python"]), default="wrk", show_default=True, help="Who calls.")
@click.option("--against", metavar="COMMIT", help="Measure Halley as it was there too, in turn with what it is now.")
@click.option("--database-url", help="A PostgreSQL server of yours; databases are made in it and dropped.")
@click.option(
    "--profile", "profiled", metavar="CASE", help=f"Profile Halley under one case, into {PROFILES.relative_to(ROOT)}/."
)
@click.option("--write-readme", is_flag=True, help="Measure nothing: put the newest result's table into README.md.")
def main(*, profiled: str | None, write_readme: bool, **asked: object) -> None:
    """Measure what a call through the gateway costs, beside a plain proxy and the peers."""
    signal.signal(signal.SIGTERM, _interrupt)
    options = _options(asked)
    console = Console(stderr=True)
    try:
        if write_readme:
            _write_readme(console)
            return
        if profiled is not None:
            _profile(options, profiled, console)
            return
        run = _run(options, console)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    record = record_of(run)
    report.show(record, Console() if sys.stdout.isatty() else Console(width=WIDTH))
    for path in write(record):
        console.print(f"written: {path}")
    sys.exit(0 if report.is_good(record) else 1)


def _run(options: Options, console: Console) -> Run:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, refresh_per_second=2, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def tell(words: str) -> None:
            progress.update(task, description=words)

        with ExitStack() as stack, Run(options, choose(options, stack), tell) as run:
            run.install()
            progress.update(task, total=run.steps)
            run.measure(lambda: progress.advance(task))
    return run


def _profile(options: Options, name: str, console: Console) -> None:
    _names(name, BY_NAME, "--profile")
    with ExitStack() as stack, console.status("starting") as status:
        system = next((each for each in choose(options, stack) if each.name in OWN), None)
        if system is None:
            raise BenchError("`--profile` is for Halley: name it by `--only`, or name nothing")

        def tell(words: str) -> None:
            status.update(words)

        with Run(options, [system], tell) as run:
            run.install()
            host = run.host(BY_NAME[name], system)
            try:
                written = profile(BY_NAME[name], host, CACHE, PROFILES, tell)
            finally:
                host.down(read=False)
    console.print(f"written: {written.relative_to(ROOT)}; open it in speedscope")


def _write_readme(console: Console) -> None:
    stem, record = readme.newest(RESULTS)
    readme.write(ROOT / "README.md", readme.table(record, stem))
    console.print(f"README.md now shows {stem}")


def _options(asked: dict[str, object]) -> Options:
    cases = _names(str(asked["cases"]), BY_NAME, "--cases")
    quick = bool(asked["quick"])
    systems = tuple(name for name in str(asked["only"]).split(",") if name)
    seconds, rounds, url, against = (asked[name] for name in ("seconds", "rounds", "database_url", "against"))
    return Options(
        cases=cases,
        systems=systems,
        peers=asked["peers"] == PEERS_ALL,
        rounds=rounds if isinstance(rounds, int) else QUICK_ROUNDS if quick else ROUNDS,
        seconds=seconds if isinstance(seconds, float) else QUICK_SECONDS if quick else SECONDS,
        quick=quick,
        wrk=asked["load"] == "wrk",
        database_url=url if isinstance(url, str) else None,
        against=against if isinstance(against, str) else None,
        idle_streams=IDLE_STREAMS_QUICK if quick else IDLE_STREAMS,
    )


def _names(text: str, known: Mapping[str, object], option: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.BadParameter(f"`{unknown[0]}` is not one of {', '.join(known)}", param_hint=option)
    return names


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
