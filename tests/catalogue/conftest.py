from tests.database import clock, database_url, db, ids, postgres_server, sqlite_template, wakeups

__all__ = ["clock", "database_url", "db", "ids", "postgres_server", "sqlite_template", "wakeups"]
