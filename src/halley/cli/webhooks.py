"""`halley webhooks`: listed, sent again when a receiver lost them or was down too long; and their secret, replaced."""

import click

from halley.cli import output
from halley.cli.act import act
from halley.cli.options import arguments, as_json, common_settings
from halley.console.commands.tasks import DeliveryRow
from halley.console.commands.webhooks import (
    LIST_MAX,
    ListWebhooks,
    Redeliver,
    Redelivered,
    RedeliverFailed,
    WebhookRow,
)
from halley.settings import Settings
from halley.webhooks import DeliveryState


@click.group()
def webhooks() -> None:
    """List webhooks, send them again, and replace their secret."""


@webhooks.command("list")
@click.option("--account", metavar="NAME", help="Only of this account.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in DeliveryState]),
    help="Repeat it for several; `failed` are those that were given up.",
)
@click.option("--after", metavar="ID", help="Begin behind this webhook.")
@click.option("--limit", type=click.IntRange(1, LIST_MAX), default=20, show_default=True)
@as_json
@common_settings
def list_webhooks(settings: Settings, *, as_json: bool, **given: object) -> None:
    """List webhooks of all accounts, newest first, with what their receivers said."""
    rows = act(settings, "webhooks.list", arguments(ListWebhooks, given), list[WebhookRow])
    if as_json:
        output.print_json(rows)
        return
    output.print_table(
        ("id", "account", "mode", "task", "event", "state", "attempts", "last error", "made", "due"),
        [_cells(row) for row in rows],
        empty="There are no such webhooks",
    )


@webhooks.command()
@click.argument("delivery_id", metavar="ID", required=False)
@click.option("--failed", is_flag=True, help="Instead of ID: all that were given up, the oldest first, 1,000 at once.")
@click.option("--account", metavar="NAME", help="With --failed: only of this account.")
@as_json
@common_settings
def redeliver(settings: Settings, *, delivery_id: str | None, failed: bool, account: str | None, as_json: bool) -> None:
    """Send webhook ID again that was delivered or given up, or all that were given up. `list` shows them.

    They say what they said at first: links in them that have ended since are renewed by fetching the task.
    """
    if failed is (delivery_id is not None) or (account is not None and not failed):
        raise click.UsageError("Give either ID, or --failed and perhaps --account NAME")
    if delivery_id is None:
        _redeliver_failed(settings, account, as_json=as_json)
        return
    row = act(settings, "webhooks.redeliver", Redeliver(id=delivery_id), DeliveryRow)
    output.print_json(row) if as_json else click.echo(f"{row.id} ({row.event}) is due now")


@webhooks.command()
@click.option("--account", required=True, metavar="NAME", help="Whose webhooks they are.")
@click.option("--project", default="default", show_default=True, metavar="NAME", help="Of this project.")
@as_json
@common_settings
def rotate(settings: Settings, *, account: str, project: str, as_json: bool) -> None:
    """Make a new secret that a project's webhooks are signed with, and print it.

    Needed once: when the old one leaked, or cannot be read because the gateway's own secret was lost (`halley doctor`
    tells). It holds at once, also for webhooks that wait; receivers must be told it. Test keys' webhooks are signed
    with another, which is replaced with it: `--json` tells both.
    """
    from halley.console.commands.world import NewWebhookSecret, WebhookSecretMade

    args = NewWebhookSecret(account=account, project=project)
    made = act(settings, "webhooks.rotate", args, WebhookSecretMade)
    if as_json:
        output.print_json(made)
        return
    of = f"of project `{made.project}` of account `{made.account}`"
    output.note(f"Live webhooks {of} are signed with this from now on (test keys' with another; `--json` tells both):")
    click.echo(made.secret)


def _redeliver_failed(settings: Settings, account: str | None, *, as_json: bool) -> None:
    done = act(settings, "webhooks.redeliver_failed", RedeliverFailed(account=account), Redelivered)
    if as_json:
        output.print_json(done)
        return
    click.echo(f"{done.due} that were given up are due now")
    if done.more:
        output.note("There may be more of them: run it again")


def _cells(row: WebhookRow) -> tuple[str | None, ...]:
    return (
        row.id,
        row.account,
        "live" if row.livemode else "test",
        row.task,
        row.event,
        row.state,
        str(row.attempts),
        row.last_error,
        row.created_at,
        row.due_at,
    )
