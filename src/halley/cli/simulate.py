"""`halley simulate`: one vendor's simulator in a process of its own."""

from pathlib import Path

import click

from halley.cli.options import with_settings
from halley.settings import Settings

LOOPBACK = ("127.0.0.0/8", "::1", "localhost")
"""A simulator is for trying: the gateway that it serves, and its files, are on this machine."""


@click.command()
@click.argument("vendor")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, show_default="any free one", help="Port on 127.0.0.1."
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that keeps its jobs over a restart. [default: memory]",
)
@with_settings("config", "sandbox_delay", "fetch_allow")
def simulate(settings: Settings, *, vendor: str, port: int, journal: Path | None) -> None:
    """Run VENDOR's simulator until it is stopped. A channel's `base_url` may point at it."""
    from halley.app.simulators import open_outside, simulator_of
    from halley.kernel.clock import SystemClock
    from halley.vendors import load_vendors
    from halley.vendors.simulate.host import SimulatorSettings
    from halley.vendors.simulate.server import run_forever

    vendors = load_vendors()
    if vendor not in vendors:
        raise click.UsageError(f"There is no vendor `{vendor}`; there are: {', '.join(sorted(vendors))}")
    allow = (*LOOPBACK, *settings.fetch_allow)
    own = SimulatorSettings(
        clock=SystemClock(), open_outside=lambda: open_outside(allow), delay_s=settings.sandbox_delay_s
    )
    server = simulator_of(vendors[vendor], own, journal=journal or ":memory:", folder=None, port=port)
    run_forever(server, lambda started: click.echo(f"{vendors[vendor].title} is simulated at {started.url}"))
