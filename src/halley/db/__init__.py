"""The database: one writer with group commit, readers of their own, wake-ups after the commit, and migrations."""

from halley.db.engine import Database, Row, Tx, open_database
from halley.db.errors import DatabaseUnavailable, WriterClosed, WriterOverloaded
from halley.db.group import Group
from halley.db.wakeups import Wakeups

__all__ = [
    "Database",
    "DatabaseUnavailable",
    "Group",
    "Row",
    "Tx",
    "Wakeups",
    "WriterClosed",
    "WriterOverloaded",
    "open_database",
]
