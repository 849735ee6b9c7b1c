"""`halley reload`: channels and prices of the file, all or nothing."""

import click

from halley.cli import output
from halley.cli.act import act
from halley.cli.options import as_json, common_settings
from halley.settings import Settings


@click.command()
@as_json
@common_settings
def reload(settings: Settings, *, as_json: bool) -> None:
    """Read channels and prices from the file again: all of it holds, or what held before."""
    from halley.console.commands.world import Reload, Reloaded

    found = act(settings, "reload", Reload(), Reloaded)
    if as_json:
        output.print_json(found)
        return
    names = ", ".join(found.channels) or "none"
    click.echo(f"Channels: {names}. Prices changed: {found.prices_changed}")
