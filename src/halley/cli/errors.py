"""Errors that an operator can mend, as one sentence and an exit code; everything else keeps its traceback."""

import sqlite3
from contextlib import closing
from pathlib import Path

import click

from halley.console.address import PathTooLong
from halley.console.archive import SIMULATORS, ArchiveError
from halley.console.client import ConnectionCut
from halley.console.lock import InUse
from halley.console.protocol import CommandFailed
from halley.console.schema import SchemaMismatch
from halley.kernel.faults import Fault
from halley.settings import Settings, SettingsError

_KNOWN = (
    ArchiveError,
    CommandFailed,
    ConnectionCut,
    Fault,
    InUse,
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


def damaged(settings: Settings) -> tuple[Path, str, str] | None:
    """Find the SQLite file that cannot be read: it, what is wrong, and what to do; None where each can be opened."""
    simulators = settings.data_dir / SIMULATORS
    for path in (settings.database_path, simulators):
        if path is None or not path.is_file():
            continue
        try:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            holds = "move it away: it holds what simulators did for test keys, and nothing else"
            return path, str(error), holds if path == simulators else "restore a backup"
    return None


def _postgresql(error: Exception) -> click.ClickException | None:
    import sys

    psycopg = sys.modules.get("psycopg")
    if psycopg is None or not isinstance(error, psycopg.OperationalError):
        return None
    return click.ClickException(f"PostgreSQL cannot be used: {str(error).strip()}")
