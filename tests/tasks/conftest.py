from tests.app.rigs import folder, journal_may_block, rig
from tests.database import clock, database_url, db, ids, postgres_server, sqlite_template, wakeups

__all__ = [
    "clock",
    "database_url",
    "db",
    "folder",
    "ids",
    "journal_may_block",
    "postgres_server",
    "rig",
    "sqlite_template",
    "wakeups",
]
