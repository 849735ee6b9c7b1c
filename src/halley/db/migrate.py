"""Brings a database's schema up to what this release needs, and tells how far it is without loading alembic."""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

PAGE_BYTES = 2048
"""Of a new SQLite file. A commit writes each page that it touches, whole: with half the usual size a call at one
connection is a tenth quicker."""
_MIGRATIONS = Path(__file__).parent / "migrations"


def latest() -> str:
    """Give the newest revision that this release knows."""
    return max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def current(url: str) -> str | None:
    """Give the database's revision; None for an empty one."""
    return _current_sqlite(url) if url.startswith("sqlite") else _current_postgresql(url)


def upgrade(url: str) -> None:
    """Apply all revisions that are missing. Alembic and SQLAlchemy are imported only here."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    _prepare_sqlite(url)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    if url.startswith("sqlite"):
        engine = create_engine(url)
    else:
        # SQLAlchemy reads such a URL otherwise than the driver does, and repeats what it cannot read.
        engine = create_engine("postgresql+psycopg://", creator=lambda: _connect(url))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def _prepare_sqlite(url: str) -> None:
    """Give a new file its pages' size, which it keeps for good; nothing to do for any other database."""
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite") or (path.exists() and path.stat().st_size):
        return
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("VACUUM")
    connection.close()


def _current_sqlite(url: str) -> str | None:
    path = Path(url.removeprefix("sqlite:///"))
    if not path.exists():
        return None
    connection = sqlite3.connect(path)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()
    return row[0] if row else None


def _current_postgresql(url: str) -> str | None:
    with _connect(url) as connection:
        exists = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
        if exists is None or exists[0] is None:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def _connect(url: str) -> "psycopg.Connection":
    import psycopg

    return psycopg.connect(url, connect_timeout=10)
