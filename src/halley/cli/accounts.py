"""`halley accounts`: made, credited, corrected, changed, listed."""

import click

from halley.cli import output
from halley.cli.act import act
from halley.cli.options import DOLLARS, SIGNED_DOLLARS, arguments, as_json, common_settings
from halley.console.commands.accounts import (
    AccountRow,
    AdjustAccount,
    Books,
    CreateAccount,
    CreditAccount,
    Credited,
    ListAccounts,
    UpdateAccount,
)
from halley.settings import Settings


@click.group()
def accounts() -> None:
    """Make, credit, correct, change and list accounts."""


@accounts.command()
@click.argument("name")
@click.option(
    "--prepaid/--postpaid", default=True, show_default="--prepaid", help="Pays before, or after up to a limit."
)
@click.option("--limit", type=DOLLARS, help="The most that a postpaid account may owe. [default: no bound]")
@as_json
@common_settings
def create(settings: Settings, *, name: str, prepaid: bool, limit: int | None, as_json: bool) -> None:
    """Make account NAME with a default project, and a test account of $1,000 beside it."""
    given = {"name": name, "kind": "prepaid" if prepaid else "postpaid", "limit_nanos": limit}
    row = act(settings, "accounts.create", arguments(CreateAccount, given, {"name": "NAME"}), AccountRow)
    if as_json:
        output.print_json(row)
        return
    click.echo(f"Made account `{row.name}` ({row.id})")
    if prepaid:
        output.note(f"It has no credit yet: halley accounts credit {row.name} 10")


@accounts.command()
@click.argument("name")
@click.argument("amount", type=DOLLARS)
@click.option("--note", default="", metavar="TEXT", help="Kept with the transfer.")
@click.option("--idempotency-key", metavar="KEY", help="A repeat with the same key books nothing.")
@click.option("--live/--test", "livemode", default=True, show_default="--live", help="Which of its two accounts.")
@as_json
@common_settings
def credit(settings: Settings, *, name: str, amount: int, as_json: bool, **rest: object) -> None:
    """Book AMOUNT in US dollars to account NAME."""
    if amount == 0:
        raise click.BadParameter("nothing is booked by `0`; give an amount above it", param_hint="'AMOUNT'")
    args = arguments(CreditAccount, {"account": name, "amount_nanos": amount, **rest}, {"account": "NAME"})
    credited = act(settings, "accounts.credit", args, Credited)
    if as_json:
        output.print_json(credited)
        return
    booked = f"Booked {output.money(credited.amount_nanos)} to `{credited.account.name}`"
    click.echo(f"{booked}: {_left(credited, livemode=args.livemode)} is left")


# An amount below 0 looks like an option.
@accounts.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("amount", type=SIGNED_DOLLARS)
@click.option("--corrects", required=True, metavar="TRANSFER", help="What was wrong: an id of `halley ledger show`.")
@click.option("--reason", required=True, metavar="TEXT", help="Kept with the transfer.")
@click.option("--idempotency-key", metavar="KEY", help="A repeat with the same key books nothing.")
@click.option("--live/--test", "livemode", default=True, show_default="--live", help="Which of its two accounts.")
@as_json
@common_settings
def adjust(settings: Settings, *, name: str, amount: int, as_json: bool, **rest: object) -> None:
    """Correct account NAME by AMOUNT in US dollars: `-5` takes back, as far as it is neither held nor spent."""
    if amount == 0:
        raise click.BadParameter("nothing is corrected by `0`; give another amount", param_hint="'AMOUNT'")
    args = arguments(AdjustAccount, {"account": name, "amount_nanos": amount, **rest}, {"account": "NAME"})
    adjusted = act(settings, "accounts.adjust", args, Credited)
    if as_json:
        output.print_json(adjusted)
        return
    booked = f"Adjusted `{adjusted.account.name}` by {output.money(adjusted.amount_nanos)}"
    click.echo(f"{booked}: {_left(adjusted, livemode=args.livemode)} is left")


@accounts.command()
@click.argument("name")
@click.option("--limit", type=DOLLARS, help="The most that it may owe; less than it owes refuses new calls.")
@click.option("--no-limit", is_flag=True, help="It may owe without bound.")
@as_json
@common_settings
def update(settings: Settings, *, name: str, limit: int | None, no_limit: bool, as_json: bool) -> None:
    """Change how much postpaid account NAME may owe; it holds from the next call on."""
    if (limit is None) is not no_limit:
        raise click.UsageError("give either `--limit` with an amount, or `--no-limit`")
    args = arguments(UpdateAccount, {"account": name, "limit_nanos": limit}, {"account": "NAME"})
    row = act(settings, "accounts.update", args, AccountRow)
    if as_json:
        output.print_json(row)
        return
    assert row.live is not None
    left = output.money(row.live.left_nanos)
    bound = "without bound" if left is None else f"up to {output.money(row.live.limit_nanos)}: {left} is left"
    click.echo(f"Account `{row.name}` may owe {bound}")


@accounts.command("list")
@click.option("--after", default="", metavar="ID", help="Begin behind this account.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=1_000, show_default=True)
@as_json
@common_settings
def list_accounts(settings: Settings, *, as_json: bool, **given: object) -> None:
    """List accounts and what is left on them."""
    rows = act(settings, "accounts.list", arguments(ListAccounts, given), list[AccountRow])
    if as_json:
        output.print_json(rows)
        return
    output.print_table(
        (
            "id",
            "name",
            "group",
            "pays",
            "$ limit",
            "$ credited",
            "$ spent",
            "$ held",
            "$ left",
            "$ left to test",
            "made",
        ),
        [_cells(row) for row in rows],
        empty="There are no accounts; make one with `halley accounts create NAME`",
    )


def _left(booked: Credited, *, livemode: bool) -> str:
    books = booked.account.live if livemode else booked.account.test
    return (output.money(books.left_nanos) if books else None) or "no bound"


def _cells(row: AccountRow) -> tuple[str | None, ...]:
    return (
        row.id,
        row.name,
        row.group,
        *_live(row.live),
        output.money(row.test.left_nanos if row.test else None),
        row.created_at,
    )


def _live(books: Books | None) -> tuple[str | None, ...]:
    if books is None:
        return (None,) * 6
    amounts = (books.limit_nanos, books.credited_nanos, books.spent_nanos, books.held_nanos, books.left_nanos)
    return (books.kind, *(output.money(each) for each in amounts))
