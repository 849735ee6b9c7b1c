"""`halley prices`: listed, and imported from a price map that others keep."""

from collections.abc import Mapping
from pathlib import Path

import click

from halley.cli import output
from halley.cli.act import act
from halley.cli.options import as_json, common_settings
from halley.settings import Settings

NAMES_MAX = 12
"""Of fields and vendors that are named in a remark; `--json` has all."""


@click.group()
def prices() -> None:
    """List prices, and import them from a price map."""


@prices.command("list")
@click.argument("model", required=False, default="")
@as_json
@common_settings
def list_prices(settings: Settings, *, model: str, as_json: bool) -> None:
    """List what models cost callers now, or MODEL alone: US dollars, tokens and characters per million."""
    from halley.console.commands.prices import ListPrices, PriceRow

    rows = act(settings, "prices.list", ListPrices(model=model), list[PriceRow])
    if as_json:
        output.print_json(rows)
        return
    output.print_table(
        ("model", "price", "source", "since"),
        [(row.model, _spelled(row.prices), row.source, row.valid_from) for row in rows],
        empty="There are no prices; `halley serve` brings in those of the catalogues",
    )


@prices.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path))
@click.option("--vendor", "vendors", multiple=True, metavar="NAME", help="Only its entries. Repeat it for several.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@as_json
@common_settings
def import_prices(settings: Settings, *, file: Path, vendors: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Take prices from FILE, a map of LiteLLM's format (`model_prices_and_context_window.json`).

    Each model takes its price from the vendor where its catalogue row has one; `--vendor` takes that vendor's prices
    for all that it serves. Prices under [[prices]] in halley.toml win over imported ones, and these over the
    catalogues'. What is skipped is listed with the reason; fields of the map that Halley has no meter for are named.
    """
    from halley.console.commands.prices import Imported, ImportPrices

    args = ImportPrices(path=str(file), vendors=vendors, dry_run=dry_run)
    found = act(settings, "prices.import", args, Imported)
    if as_json:
        output.print_json(found)
        return
    output.print_table(
        ("model", "outcome", "vendor", "price", "before", "why"),
        [
            (row.model, row.outcome.value, row.vendor, _spelled(row.prices), _spelled(row.before), row.reason)
            for row in found.rows
        ],
        empty="Nothing changes",
    )
    counted = ", ".join(f"{count} {outcome.value}" for outcome, count in found.counts.items())
    click.echo(f"{'Would be: ' if found.dry_run else ''}{counted} ({found.source})")
    _name("No meter for these fields of the map", found.unknown_fields)
    _name("Entries of others left out", found.foreign)


def _spelled(found: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {price}" for key, price in found.items()) or "-"


def _name(title: str, counts: Mapping[str, int]) -> None:
    if counts:
        first = ", ".join(f"{name} ({count})" for name, count in list(counts.items())[:NAMES_MAX])
        more = len(counts) - NAMES_MAX
        output.note(f"{title}: {first}{f' and {more} more' if more > 0 else ''}")
