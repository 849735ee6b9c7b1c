"""`halley openapi`: the document that the gateway serves at `/openapi.json`."""

import click


@click.command()
def openapi() -> None:
    """Print the OpenAPI document of the public API."""
    from halley import __version__
    from halley.api.openapi import document
    from halley.cli.output import print_json
    from halley.vendors import load_vendors

    dialects = {vendor.dialect.name: vendor.dialect for vendor in load_vendors().values() if vendor.dialect}
    print_json(document(dialects, __version__))
