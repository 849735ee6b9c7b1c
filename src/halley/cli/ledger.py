"""`halley ledger`: verified against its transfers, and shown."""

import click

from halley.cli import output
from halley.cli.act import act
from halley.cli.options import as_json, common_settings
from halley.console.commands.ledger import (
    LedgerView,
    ListLost,
    LostRow,
    ShowLedger,
    TransferRow,
    Verified,
    VerifyLedger,
)
from halley.settings import Settings


@click.group()
def ledger() -> None:
    """Verify and show the books."""


@ledger.command()
@as_json
@common_settings
@click.pass_context
def verify(ctx: click.Context, settings: Settings, *, as_json: bool) -> None:
    """Recompute every balance from the transfers; exit with 1 on any difference."""
    found = act(settings, "ledger.verify", VerifyLedger(), Verified)
    if as_json:
        output.print_json(found)
    else:
        _tell(found)
    ctx.exit(1 if found.differences else 0)


@ledger.command()
@click.option("--account", metavar="NAME", help="With this account's last transfers.")
@click.option("--lost", is_flag=True, help="Only what a vendor may bill though no caller paid for it.")
@click.option("--live/--test", "livemode", default=True, show_default="--live")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@as_json
@common_settings
def show(settings: Settings, *, account: str | None, lost: bool, livemode: bool, limit: int, as_json: bool) -> None:
    """Show the house's balances, an account's transfers, or what was lost."""
    if lost:
        rows = act(settings, "ledger.lost", ListLost(account=account, limit=limit), list[LostRow])
        output.print_json(rows) if as_json else _print_lost(rows)
        return
    args = ShowLedger(account=account, livemode=livemode, limit=limit)
    view = act(settings, "ledger.show", args, LedgerView)
    output.print_json(view) if as_json else _print_view(view)


def _tell(found: Verified) -> None:
    for difference in found.differences:
        click.echo(difference)
    sums = ", ".join(f"{mode} {output.money(str(total))}" for mode, total in sorted(found.sums.items()))
    click.echo(f"{found.transfers} transfers, {found.accounts} accounts, {found.holds_open} open holds; sums: {sums}")
    click.echo(f"{len(found.differences)} differences" if found.differences else "The books are sound")


def _print_view(view: LedgerView) -> None:
    click.echo(f"{'Live' if view.livemode else 'Test'} books, US dollars")
    for name, nanos in (
        ("revenue", view.revenue_nanos),
        ("funding", view.funding_nanos),
        ("shortfall", view.shortfall_nanos),
    ):
        click.echo(f"{name:<10}{output.money(nanos)}")
    if view.account is None:
        output.note("Name an account with --account to see its transfers")
        return
    output.print_table(
        ("made", "kind", "$ amount", "from", "to", "order", "id", "note"),
        [_transfer(row) for row in view.transfers],
        empty=f"Account `{view.account}` has no transfers in this mode",
    )


def _print_lost(rows: list[LostRow]) -> None:
    output.print_table(
        ("made", "order", "kind", "account", "model", "outcome", "$ exposure"),
        [
            (
                row.created_at,
                row.order_id,
                row.order_kind,
                row.account,
                row.model,
                row.outcome,
                output.money(row.exposure_nanos),
            )
            for row in rows
        ],
        empty="Nothing is lost",
    )


def _transfer(row: TransferRow) -> tuple[str | None, ...]:
    amount = output.money(row.amount_nanos)
    return (row.created_at, row.kind, amount, row.debit, row.credit, row.order_id, row.id, row.note)
