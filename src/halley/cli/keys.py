"""`halley keys`: made, listed, changed, revoked."""

from typing import Any

import click

from halley.accounts.model import BudgetPeriod
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
_PERIODS = tuple(period.value for period in BudgetPeriod)
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
@click.option("--period", type=click.Choice(_PERIODS), help="Of the budget, in UTC. [default: total]")
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
@click.option("--name", metavar="TEXT", help="To recognise it by.")
@click.option("--budget", type=DOLLARS, help="The most that it may spend in a period.")
@click.option("--no-budget", is_flag=True, help="It may spend what the account has.")
@click.option("--period", type=click.Choice(_PERIODS), help="Of the budget, in UTC. Another one begins anew.")
@click.option(
    "--models",
    multiple=True,
    metavar="PATTERN",
    help="Models it may use instead, by name or as `flux-*`; part them by commas or repeat it.",
)
@click.option("--all-models", is_flag=True, help="It may use every model.")
@click.option("--operator/--no-operator", default=None, help="Whether answers tell it who gave them.")
@click.option("--requests-per-minute", type=_PER_MINUTE_OR_NONE, metavar="N", help="Most calls; 0 for no limit.")
@click.option(
    "--tokens-per-minute", type=_PER_MINUTE_OR_NONE, metavar="N", help="Most tokens, in and out; 0 for no limit."
)
@as_json
@common_settings
def update(settings: Settings, *, key: str, as_json: bool, **given: Any) -> None:
    """Change KEY, given by its id (`key_…`) or its text (`sk-…`), within a second; what is left out stays."""
    row = act(settings, "keys.update", arguments(UpdateKey, {"key": key, **_changes(**given)}), KeyRow)
    if as_json:
        output.print_json(row)
        return
    now = " and ".join(f"{limit or 'any number of'} {name}" for name, limit in zip(_COUNTED, _limits(row), strict=True))
    click.echo(f"Key {row.id} ({row.hint}) may use {now} per minute")
    budget, left = output.money(row.budget_nanos), output.money(row.left_nanos)
    span = "in all" if row.budget_period == BudgetPeriod.TOTAL else f"per {row.budget_period}"
    click.echo(f"It may spend {budget} {span}, and {left} is left" if budget else "It has no budget of its own")
    click.echo(f"It may use {', '.join(row.models) if row.models is not None else 'every model'}")


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


def _changes(
    *, budget: int | None, no_budget: bool, models: tuple[str, ...], all_models: bool, period: str | None, **rest: Any
) -> dict[str, object]:
    """Give what is to be other, of all that may be."""
    for one, other, both in (
        ("--budget", "--no-budget", budget is not None and no_budget),
        ("--models", "--all-models", bool(models) and all_models),
    ):
        if both:
            raise click.UsageError(f"give either `{one}` or `{other}`")
    # Of the limits 0 is none.
    changes: dict[str, object] = {
        name: value or None if name.endswith("_per_minute") else value
        for name, value in rest.items()
        if value is not None
    }
    if budget is not None or no_budget:
        changes["budget_nanos"] = budget
    if models or all_models:
        changes["models"] = tuple(each for text in models for each in _patterns(text)) or None
    return changes if period is None else {**changes, "budget_period": period}


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
