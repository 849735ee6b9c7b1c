import pytest
from tests.books import Books
from tests.database import FakeIds, clock, database_url, db, ids, postgres_server, sqlite_template, wakeups

from halley.db import Database
from halley.testing.clock import FakeClock

__all__ = ["clock", "database_url", "db", "ids", "postgres_server", "sqlite_template", "wakeups"]


@pytest.fixture
def books(db: Database, ids: FakeIds, clock: FakeClock) -> Books:
    return Books(db, ids, clock)
