"""`halley webhooks`: sent again when a receiver lost them or was down for too long; and their secret, replaced."""

import click

from halley.cli import output
from halley.cli.act import act
from halley.cli.options import as_json, common_settings
from halley.console.commands.tasks import DeliveryRow
from halley.console.commands.webhooks import Redeliver
from halley.settings import Settings


@click.group()
def webhooks() -> None:
    """Send webhooks again, and replace their secret."""


@webhooks.command()
@click.argument("delivery_id", metavar="ID")
@as_json
@common_settings
def redeliver(settings: Settings, *, delivery_id: str, as_json: bool) -> None:
    """Send webhook ID again that was delivered or given up. `halley tasks show` lists those of a task."""
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
