"""Errors that an operator can mend, as one sentence and an exit code; everything else keeps its traceback."""

import sqlite3

import click

from halley.console.address import PathTooLong
from halley.console.archive import ArchiveError
from halley.console.client import ConnectionCut
from halley.console.lock import DataFolderInUse
from halley.console.protocol import CommandFailed
from halley.console.schema import SchemaMismatch
from halley.kernel.faults import Fault
from halley.settings import SettingsError

_KNOWN = (
    ArchiveError,
    CommandFailed,
    ConnectionCut,
    DataFolderInUse,
    Fault,
    PathTooLong,
    SchemaMismatch,
)


def shown(error: Exception) -> click.ClickException | None:
    """Give what to show for an error; None for one that is our own mistake."""
    if isinstance(error, SettingsError):
        return click.UsageError("\n  ".join(("These settings cannot be used:", *error.problems)))
    if isinstance(error, _KNOWN):
        return click.ClickException(str(error))
    if isinstance(error, (PermissionError, FileNotFoundError)) and error.filename:
        return click.ClickException(f"`{error.filename}`: {error.strerror}")
    if isinstance(error, sqlite3.DatabaseError):
        return click.ClickException(f"The database cannot be used: {error}. `halley doctor` looks closer")
    return _postgresql(error)


def _postgresql(error: Exception) -> click.ClickException | None:
    import sys

    psycopg = sys.modules.get("psycopg")
    if psycopg is None or not isinstance(error, psycopg.OperationalError):
        return None
    return click.ClickException(f"PostgreSQL cannot be used: {str(error).strip()}")
