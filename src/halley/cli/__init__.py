"""The command `halley`. Each subcommand is imported when it is called, so that `--version` and `--help` are quick."""

import os
import sys
from importlib import import_module

import click

from halley import __version__

SUBCOMMANDS = {
    "serve": ("halley.cli.serve:serve", "Serve the gateway."),
    "worker": ("halley.cli.serve:worker", "Run a worker of its own, beside serving processes on PostgreSQL."),
    "reload": ("halley.cli.reload:reload", "Read channels and prices from the file again."),
    "keys": ("halley.cli.keys:keys", "Make, list and revoke keys."),
    "accounts": ("halley.cli.accounts:accounts", "Make, credit, correct and list accounts."),
    "prices": ("halley.cli.prices:prices", "List prices, and import them from a price map."),
    "tasks": ("halley.cli.tasks:tasks", "List, show and resolve tasks."),
    "webhooks": ("halley.cli.webhooks:webhooks", "Send webhooks again, and replace their secret."),
    "usage": ("halley.cli.usage:usage", "Sum what was used by account, key, model or day, and show one order."),
    "ledger": ("halley.cli.ledger:ledger", "Verify and show the books."),
    "simulate": ("halley.cli.simulate:simulate", "Run a vendor's simulator by itself."),
    "migrate": ("halley.cli.storage:migrate", "Bring the database up to this release."),
    "backup": ("halley.cli.storage:backup", "Write database and files into one archive."),
    "restore": ("halley.cli.storage:restore", "Fill an empty data folder from an archive."),
    "openapi": ("halley.cli.openapi:openapi", "Print the OpenAPI document of the public API."),
    "doctor": ("halley.cli.doctor:doctor", "Check what the gateway needs, with a remedy for what it lacks."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for, and whose known errors are shown as a sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Give the names in the order in which a reader needs them."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        """Import a command."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module, _, name = SUBCOMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was probably meant."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in SUBCOMMANDS:
            from difflib import get_close_matches

            close = get_close_matches(name, SUBCOMMANDS, n=1)
            raise click.UsageError(
                f"No such command `{name}`." + (f" Did you mean `{close[0]}`?" if close else ""), ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the same
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in SUBCOMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run, and turn an error that the operator can mend into one line and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from halley.cli.errors import shown

            known = shown(error)
            if known is None:
                raise
            raise known from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="halley", message="%(prog)s %(version)s")
def main() -> None:
    """Halley: a self-hosted gateway to every AI model, with the books kept."""
    # What is written holds keys' hashes, credentials and callers' files: for our own user only.
    os.umask(0o077)
    _open_closed_streams()


def _open_closed_streams() -> None:
    """Lead the streams that came closed nowhere: else what is opened next gets their numbers, and uvloop aborts."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            assert opened == number, "the lowest free number is taken"
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
