import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from halley.console.protocol import Step
from halley.console.schema import SchemaMismatch, bring_up, check_schema
from halley.db import migrate
from halley.settings import Settings


def quiet(_: Step) -> None:
    """Nobody looks."""


def revise(settings: Settings, revision: str) -> None:
    assert settings.database_path is not None
    with closing(sqlite3.connect(settings.database_path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()


def test_an_empty_database_is_brought_up_without_a_copy(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "new")
    with pytest.raises(SchemaMismatch, match="run `halley migrate`"):
        check_schema(settings)
    assert bring_up(settings, quiet) is None
    check_schema(settings)
    assert bring_up(settings, quiet) is None


def test_a_later_database_is_left_alone(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    bring_up(settings, quiet)
    revise(settings, "9999")
    for attempt in (lambda: check_schema(settings), lambda: bring_up(settings, quiet)):
        with pytest.raises(SchemaMismatch, match="9999, which is later than this release knows"):
            attempt()


def test_an_earlier_database_is_copied_before(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    bring_up(settings, quiet)
    revise(settings, "0000")
    with pytest.raises(SchemaMismatch, match=f"0000, this release needs {migrate.latest()}"):
        check_schema(settings)
    # There is no such revision to go on from; what matters here is that the copy was made first.
    with pytest.raises(Exception, match="0000"):
        bring_up(settings, quiet)
    copy = tmp_path / "backups" / f"halley-0000-before-{migrate.latest()}.db"
    assert migrate.current(f"sqlite:///{copy}") == "0000"
