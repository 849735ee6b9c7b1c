"""`halley doctor`: looks at all that the gateway needs and says what to do about what it lacks. Changes nothing."""

import os

import click

from halley.cli import output
from halley.cli.checks import Check, Finding, check_all
from halley.cli.options import as_json, with_settings
from halley.settings import Settings

MARKS = {Finding.GOOD: ("✓", "green"), Finding.DOUBTFUL: ("!", "yellow"), Finding.BAD: ("✗", "red")}


@click.command()
@as_json
@with_settings(usable=False)
@click.pass_context
def doctor(ctx: click.Context, settings: Settings, *, as_json: bool) -> None:
    """Check what the gateway needs, with a remedy for what it lacks; exit with 1 if something fails."""
    checks = check_all(settings, os.environ)
    if as_json:
        output.print_json(checks)
    else:
        _print(checks)
    ctx.exit(1 if any(check.finding is Finding.BAD for check in checks) else 0)


def _print(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark, colour = MARKS[check.finding]
        click.echo(f"{click.style(mark, fg=colour)} {check.name:<{width}}  {check.detail}")
        if check.remedy:
            click.echo(f"  {'':<{width}}  → {check.remedy}")
