"""`halley openapi`: the document that the gateway serves at `/openapi.json`."""

import click

from halley.cli.options import with_settings
from halley.settings import Settings


@click.command()
@with_settings("config", "public_url")
def openapi(settings: Settings) -> None:
    """Print the OpenAPI document of the public API."""
    from halley.api.openapi import document
    from halley.cli.output import print_json
    from halley.vendors import load_vendors

    print_json(document(load_vendors(), base_url=settings.public_url or settings.bound_url))
