"""`halley usage`: who used what, and what it cost."""

import csv
import sys
from collections.abc import Iterable

import click

from halley.cli import output
from halley.cli.act import act
from halley.cli.options import arguments, as_json, common_settings
from halley.console.commands.usage import ShowUsage, SumRow, SumUsage, SumView, UsageRow
from halley.kernel.money import dollars
from halley.settings import Settings
from halley.usage.model import By

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a table program takes for the beginning of a formula (OWASP, CSV injection)."""
_AMOUNTS = ("price", "vendor_cost", "exposure")


@click.group()
def usage() -> None:
    """Sum what was used, and show one order."""


@usage.command("sum")
@click.option(
    "--by",
    type=click.Choice([each.value for each in By]),
    multiple=True,
    default=(By.ACCOUNT.value,),
    help="What to sum by; repeat it for several.  [default: account]",
)
@click.option("--account", metavar="NAME", help="Only of this account.")
@click.option("--since", metavar="TIME", help="A date, or an RFC 3339 time; UTC. [default: the first of this month]")
@click.option("--until", metavar="TIME", help="Without it. [default: now]")
@click.option("--live/--test", "livemode", default=True, show_default="--live")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV; amounts in dollars.")
@as_json
@common_settings
def sum_usage(settings: Settings, *, as_csv: bool, as_json: bool, **given: object) -> None:
    """Sum what was used by account, project, key, model, channel, outcome or day: requests, prices, vendors' cost."""
    view = act(settings, "usage.sum", arguments(SumUsage, given), SumView)
    if as_json:
        output.print_json(view)
    elif as_csv:
        _print_csv(view.rows, arguments(SumUsage, given).by)
    else:
        _print(view, arguments(SumUsage, given).by)


@usage.command()
@click.argument("order")
@as_json
@common_settings
def show(settings: Settings, *, order: str, as_json: bool) -> None:
    """Show what ORDER used and cost, and what was booked for it: the id of a request (`x-request-id`) or of a task."""
    row = act(settings, "usage.show", ShowUsage(order=order), UsageRow)
    output.print_json(row) if as_json else output.print_fields(row)


def _print(view: SumView, by: Iterable[By]) -> None:
    mode = "live" if view.livemode else "test"
    output.print_table(
        (*by, "requests", "unsuccessful", "$ price", "$ vendors' cost", "$ exposure"),
        [
            (*row.of.values(), f"{row.requests:,}", f"{row.unsuccessful:,}", *map(output.money, _amounts(row)))
            for row in view.rows
        ],
        empty=f"Nothing was used in {mode} mode from {view.since} up to {view.until}",
    )


def _print_csv(rows: Iterable[SumRow], by: Iterable[By]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow((*by, "requests", "unsuccessful", *_AMOUNTS))
    for row in rows:
        amounts = (dollars(int(nanos)) for nanos in _amounts(row))
        writer.writerow((*map(_cell, row.of.values()), row.requests, row.unsuccessful, *amounts))


def _amounts(row: SumRow) -> tuple[str, ...]:
    return (row.price_nanos, row.vendor_cost_nanos, row.exposure_nanos)


def _cell(text: str | None) -> str:
    """Keep a name that somebody chose from being taken for a formula."""
    return "" if text is None else f"'{text}" if text.startswith(_FORMULA) else text
