"""`halley migrate`, `backup` and `restore`."""

from pathlib import Path

import click

from halley.cli import output
from halley.cli.options import common_settings, with_settings
from halley.console.archive import restore_archive, write_archive
from halley.console.lock import DataLock
from halley.console.schema import bring_up
from halley.db import migrate as revisions
from halley.kernel.clock import SystemClock
from halley.settings import Settings

STORES = ("config", "data_dir", "database_url", "objects_url")


@click.command()
@common_settings
def migrate(settings: Settings) -> None:
    """Bring the database up to this release. SQLite is copied before; back up PostgreSQL yourself."""
    was_current = revisions.current(settings.database_url.reveal()) == revisions.latest()
    with output.progress_bar("copy") as progress:
        if settings.database_path is None:
            bring_up(settings, progress)
            copy = None
        else:
            with DataLock(settings.data_dir, "halley migrate", settings.database_path):
                copy = bring_up(settings, progress)
    click.echo("The database is at this release" if was_current else "The database was brought up to this release")
    if copy is not None:
        output.note(f"As it was before: {copy}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-secret", is_flag=True, help="Also the secret: whoever has the archive can then read credentials.")
@with_settings(*STORES)
def backup(settings: Settings, *, file: Path, with_secret: bool) -> None:
    """Write database and files into the archive FILE, also while the gateway runs."""
    with output.progress_bar("backup") as progress:
        manifest = write_archive(settings, file, with_secret=with_secret, clock=SystemClock(), progress=progress)
    click.echo(f"Wrote {file} ({file.stat().st_size:,} bytes)")
    if manifest.database == "postgresql":
        output.note("It holds files only. The database is on PostgreSQL: back it up with `pg_dump`, before this")
    if not manifest.objects:
        output.note(f"It holds no files: they are in {settings.objects_url}, which has backups of its own")
    if not manifest.secret:
        output.note("It does not hold the secret: keep that elsewhere, or credentials and links are lost without it")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@with_settings(*STORES)
def restore(settings: Settings, *, file: Path) -> None:
    """Fill an empty data folder from the archive FILE."""
    lock = DataLock(settings.data_dir, "halley restore", settings.database_path)
    with lock, output.progress_bar("halley restore") as progress:
        manifest = restore_archive(settings, file, progress)
    click.echo(f"Restored {settings.data_dir} as of {manifest.created_at}")
    if manifest.database == "postgresql":
        output.note("It held files only: restore the database with `pg_restore`")
    if not manifest.secret:
        output.note(
            "It held no secret: set `HALLEY_SECRET`, or put the file `secret` into the folder, before the start"
        )
