"""What commands print: tables and bars for a terminal, plain lines for a pipe, JSON on demand. Results go to stdout."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import click
import msgspec

from halley.console.protocol import Progress, Step
from halley.kernel.money import dollars

PIPE_WIDTH = 1_000
"""Columns of a line that goes to a pipe: never folded in practice."""


def print_json(value: object) -> None:
    """Print a result for a script."""
    click.echo(msgspec.json.format(msgspec.json.encode(value)))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str | None]], *, empty: str) -> None:
    """Print rows; amounts to the right. Nothing but the heading's absence tells a pipe that there are none."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo(empty, err=True)
        return
    tty = sys.stdout.isatty()
    table = Table(box=None, pad_edge=False, header_style="bold", highlight=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading.startswith("$") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    Console(width=None if tty else PIPE_WIDTH, highlight=False, markup=False).print(table)


def print_fields(value: msgspec.Struct) -> None:
    """Print one thing, a field a line; amounts in dollars."""
    fields = {name: each for name, each in msgspec.structs.asdict(value).items() if each not in (None, "", {}, ())}
    width = max(len(name.removesuffix("_nanos")) for name in fields)
    for name, each in fields.items():
        text = money(each) if name.endswith("_nanos") and isinstance(each, str) else _plain(each)
        click.echo(f"{name.removesuffix('_nanos'):<{width}}  {text}")


def money(nanos: str | None) -> str | None:
    """Spell an amount of a result in dollars."""
    return None if nanos is None else f"${dollars(int(nanos))}".replace("$-", "-$")


def note(text: str) -> None:
    """Tell the operator something that is not the result."""
    click.echo(text, err=True)


@contextmanager
def progress_bar(title: str) -> Generator[Progress]:
    """Show how far something is: a bar on a terminal, nothing elsewhere. Quick things show nothing at all."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, visible=False)

        def tell(step: Step) -> None:
            bar.update(task, completed=step.done, total=step.total or None, visible=True)

        yield tell


def _ignore(_: Step) -> None:
    """Nobody is looking."""


def _cell(value: str | None) -> str:
    return "-" if value is None else value


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
