"""`halley keys`: made, listed, changed, revoked."""

import click

from halley.accounts.store import PER_MINUTE_MAX
from halley.cli import output
from halley.cli.act import act
from halley.cli.options import DOLLARS, arguments, as_json, common_settings
from halley.console.commands.keys import CreateKey, KeyMade, KeyRow, ListKeys, RevokeKey, UpdateKey
from halley.settings import Settings

_HEADINGS = (
    *("id", "account", "project", "mode", "name", "key", "$ budget", "$ left", "$ spent"),
    *("requests/min", "tokens/min", "made", "revoked"),
)
_COUNTED = ("requests", "tokens")
_PER_MINUTE = click.IntRange(1, PER_MINUTE_MAX)
_PER_MINUTE_OR_NONE = click.IntRange(0, PER_MINUTE_MAX)


@click.group()
def keys() -> None:
    """Make, list, change and revoke keys."""


@keys.command()
@click.option("--account", required=True, metavar="NAME", help="Whose key it is.")
@click.option("--project", default="default", show_default=True, metavar="NAME", help="Made if there is none.")
@click.option("--live/--test", "livemode", default=False, show_default="--test", help="A test key never spends.")
@click.option("--name", default="", metavar="TEXT", help="To recognise it by.")
@click.option("--budget", type=DOLLARS, help="The most that it may spend in a period.")
@click.option(
    "--period", type=click.Choice(["day", "week", "month", "total"]), help="Of the budget, in UTC. [default: total]"
)
@click.option(
    "--models",
    multiple=True,
    metavar="PATTERN",
    help="Models it may use, by name or as `flux-*`; part them by commas or repeat it. [default: all]",
)
@click.option("--requests-per-minute", type=_PER_MINUTE, metavar="N", help="Most calls. [default: no limit]")
@click.option("--tokens-per-minute", type=_PER_MINUTE, metavar="N", help="Most tokens, in and out. [default: no limit]")
@click.option("--operator", is_flag=True, help="Answers tell it, in `halley-channel`, who gave them.")
@as_json
@common_settings
def create(
    settings: Settings,
    *,
    as_json: bool,
    period: str | None,
    budget: int | None,
    models: tuple[str, ...],
    **rest: object,
) -> None:
    """Make a key and print it: it is shown this once."""
    patterns = tuple(each for text in models for each in _patterns(text))
    given = {"budget_nanos": budget, "budget_period": period, "models": patterns or None, **rest}
    made = act(settings, "keys.create", arguments(CreateKey, given), KeyMade)
    if as_json:
        output.print_json(made)
        return
    for name, model in made.resolved.items():
        output.note(f"`{name}` is another name of `{model}`, which the key may use.")
    for name in made.unmatched:
        output.note(
            f"No model of the catalogue is called `{name}`; it is of use only where a channel serves one so named."
        )
    kind = "live" if made.row.livemode else "test"
    output.note(f"A {kind} key of account `{made.row.account}`, id {made.row.id}. Keep it: it is not shown again.")
    click.echo(made.key)


@keys.command("list")
@click.option("--account", metavar="NAME", help="Only of this account.")
@click.option("--revoked", is_flag=True, help="Revoked ones too.")
@click.option("--after", default="", metavar="ID", help="Begin behind this key.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=1_000, show_default=True)
@as_json
@common_settings
def list_keys(settings: Settings, *, as_json: bool, **given: object) -> None:
    """List keys; their text is not kept, only its end."""
    rows = act(settings, "keys.list", arguments(ListKeys, given), list[KeyRow])
    if as_json:
        output.print_json(rows)
        return
    output.print_table(
        _HEADINGS,
        [_cells(row) for row in rows],
        empty="There are no keys; make one with `halley keys create --account NAME`",
    )


@keys.command()
@click.argument("key")
@click.option("--requests-per-minute", type=_PER_MINUTE_OR_NONE, metavar="N", help="Most calls; 0 for no limit.")
@click.option(
    "--tokens-per-minute", type=_PER_MINUTE_OR_NONE, metavar="N", help="Most tokens, in and out; 0 for no limit."
)
@as_json
@common_settings
def update(settings: Settings, *, key: str, as_json: bool, **limits: int | None) -> None:
    """Change the limits of KEY, given by its id (`key_…`) or its text (`sk-…`); they hold within a second."""
    changes = {name: limit or None for name, limit in limits.items() if limit is not None}
    row = act(settings, "keys.update", arguments(UpdateKey, {"key": key, **changes}), KeyRow)
    if as_json:
        output.print_json(row)
        return
    now = " and ".join(f"{limit or 'any number of'} {name}" for name, limit in zip(_COUNTED, _limits(row), strict=True))
    click.echo(f"Key {row.id} ({row.hint}) may use {now} per minute")


@keys.command()
@click.argument("key")
@as_json
@common_settings
def revoke(settings: Settings, *, key: str, as_json: bool) -> None:
    """Revoke KEY, given by its id (`key_…`) or its text (`sk-…`); it stops within a second."""
    row = act(settings, "keys.revoke", RevokeKey(key=key), KeyRow)
    if as_json:
        output.print_json(row)
        return
    click.echo(f"Revoked {row.id} ({row.hint}) of account `{row.account}` at {row.revoked_at}")


def _patterns(text: str) -> tuple[str, ...]:
    found = tuple(each.strip() for each in text.split(",") if each.strip())
    if not found:
        # Think of a script's variable that is not set: that must not make a key for everything.
        message = "an empty list would let the key use nothing; name a model or pattern, or leave it out for all models"
        raise click.BadParameter(message, param_hint="'--models'")
    return found


def _cells(row: KeyRow) -> tuple[str | None, ...]:
    budget = output.money(row.budget_nanos)
    return (
        row.id,
        row.account,
        row.project,
        "live" if row.livemode else "test",
        row.name,
        row.hint,
        f"{budget}/{row.budget_period}" if budget else None,
        output.money(row.left_nanos),
        output.money(row.spent_nanos),
        *_limits(row),
        row.created_at,
        row.revoked_at,
    )


def _limits(row: KeyRow) -> tuple[str | None, ...]:
    found = (row.requests_per_minute, row.tokens_per_minute)
    return tuple(None if limit is None else f"{limit:,}" for limit in found)
