"""Whether the database fits this release, and bringing it there: SQLite with a copy made before it."""

from pathlib import Path

from halley.console.archive import copy_database
from halley.console.protocol import Progress
from halley.db import migrate
from halley.settings import Settings

COPIES_FOLDER = "backups"


class SchemaMismatch(Exception):
    """The database is not what this release works with."""


def check_schema(settings: Settings) -> None:
    """Raise `SchemaMismatch` unless the database is exactly at this release."""
    current, latest = migrate.current(settings.database_url.reveal()), migrate.latest()
    if current is None:
        serving = "" if settings.database_path is None else ", or `halley serve` once"
        raise SchemaMismatch(f"The database is empty: run `halley migrate`{serving}")
    if current > latest:
        raise SchemaMismatch(_too_new(current, latest))
    if current < latest:
        raise SchemaMismatch(
            f"The database is at revision {current}, this release needs {latest}: run `halley migrate`"
        )


def bring_up(settings: Settings, progress: Progress) -> Path | None:
    """Apply what is missing; give the copy that was made before, if there was anything to copy.

    On SQLite the caller holds the lock on the data. Raises `SchemaMismatch` for a database of a later release.
    """
    url = settings.database_url.reveal()
    current, latest = migrate.current(url), migrate.latest()
    if current is not None and current > latest:
        raise SchemaMismatch(_too_new(current, latest))
    if current == latest:
        return None
    copy = _copy(settings, current, latest, progress)
    migrate.upgrade(url)
    return copy


def _copy(settings: Settings, current: str | None, latest: str, progress: Progress) -> Path | None:
    path = settings.database_path
    if path is None:
        return None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if current is None:
        return None
    folder = settings.data_dir / COPIES_FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = folder / f"{path.stem}-{current}-before-{latest}.db"
    draft = copy.with_suffix(".new")
    draft.unlink(missing_ok=True)
    copy_database(path, draft, progress)
    draft.replace(copy)
    return copy


def _too_new(current: str, latest: str) -> str:
    return (
        f"The database is at revision {current}, which is later than this release knows ({latest}):"
        " install the later release again, or restore the backup that was made before"
    )
