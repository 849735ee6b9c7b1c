"""`halley webhooks`: sent again when a receiver has lost them, or was down for too long."""

import click

from halley.cli import output
from halley.cli.act import act
from halley.cli.options import as_json, common_settings
from halley.console.commands.tasks import DeliveryRow
from halley.console.commands.webhooks import Redeliver
from halley.settings import Settings


@click.group()
def webhooks() -> None:
    """Send webhooks again."""


@webhooks.command()
@click.argument("delivery_id", metavar="ID")
@as_json
@common_settings
def redeliver(settings: Settings, *, delivery_id: str, as_json: bool) -> None:
    """Send webhook ID again that was delivered or given up. `halley tasks show` lists those of a task."""
    row = act(settings, "webhooks.redeliver", Redeliver(id=delivery_id), DeliveryRow)
    output.print_json(row) if as_json else click.echo(f"{row.id} ({row.event}) is due now")
