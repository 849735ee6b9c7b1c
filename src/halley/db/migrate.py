"""Brings a database's schema up to what this release needs, and tells how far it is without loading alembic."""

import sqlite3
from pathlib import Path

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
    engine = create_engine(_sqlalchemy_url(url))
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
    import psycopg

    with psycopg.connect(url, connect_timeout=10) as connection:
        exists = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
        if exists is None or exists[0] is None:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def _sqlalchemy_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme.startswith("postgres") else url
