"""`halley serve` and `halley worker`, and what the first start tells its operator."""

import asyncio
import shlex
import sqlite3
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import click

from halley.cli.errors import damaged
from halley.cli.options import with_settings
from halley.settings import Settings

if TYPE_CHECKING:
    from halley.app import Welcome

EXAMPLE_PATH = "/flux/v1/flux-pro-1.1"
EXAMPLE_BODY = '{"prompt": "a lighthouse at dawn", "width": 1024, "height": 768}'


@click.command()
@with_settings(opens_channels=True)
def serve(settings: Settings) -> None:
    """Serve the gateway until SIGTERM, then let running calls end."""
    from halley import app

    _run(settings, app.serve(settings, _greet))


@click.command()
@with_settings()
def worker(settings: Settings) -> None:
    """Run a worker of its own, beside serving processes on PostgreSQL."""
    from halley import app

    _run(settings, app.run_worker(settings, lambda _: click.echo("Halley works on tasks and webhooks")))


def print_welcome(base_url: str, *, test_key: str | None = None, setup_secret: str | None = None) -> None:
    """Tell where the gateway is; at the first start also keys and the secret, which are shown this once.

    The example is one line, so that it can be pasted from any terminal.
    """
    click.echo(f"{click.style('Halley', bold=True)} serves {click.style(base_url, fg='cyan', underline=True)}")
    shown = (
        ("Test key", test_key, "never spends"),
        ("Set-up secret", setup_secret, "makes the administrator"),
    )
    for title, value, purpose in shown:
        if value is not None:
            click.echo(f"  {title:<15}{click.style(value, fg='green')}  ({purpose}; shown this once)")
    if test_key is not None:
        click.echo(f"\nOrder an image:\n\n{example(base_url, test_key)}\n")
    elif setup_secret is None:
        click.echo("  Keys: `halley keys list`, or a new one: `halley keys create --account default`")


def example(base_url: str, key: str) -> str:
    """Give a line for the shell that orders an image."""
    words = ("curl", "-sS", base_url + EXAMPLE_PATH, "-H", f"x-key: {key}", "-H", "content-type: application/json")
    return shlex.join((*words, "-d", EXAMPLE_BODY))


def _greet(welcome: "Welcome") -> None:
    print_welcome(
        welcome.base_url,
        test_key=welcome.test_key,
        setup_secret=welcome.setup_secret,
    )


def _run(settings: Settings, main: Coroutine[Any, Any, None]) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(main)
        except sqlite3.DatabaseError as error:
            found = damaged(settings)
            if found is None:
                raise
            path, problem, remedy = found
            raise click.ClickException(f"`{path}` cannot be used: {problem}; {remedy}") from error
