"""Backup and restore: one tar of the database as it stood at one moment, the files and, if asked, the secret."""

import io
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import quote

import msgspec

from halley import __version__
from halley.console.lock import LOCK_NAME, database_lock
from halley.console.protocol import Progress, Step
from halley.db import migrate
from halley.kernel.clock import Clock, rfc3339
from halley.settings import Settings, secret_path
from halley.settings.model import OBJECTS_FOLDER

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "database.db"
SIMULATORS = "simulators.db"
SECRET = "secret"  # noqa: S105 - a file's name
MANIFEST_BYTES_MAX = 64 * 1024
PAGES_AT_ONCE = 2_000
CHUNK_BYTES = 1024 * 1024
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_STAGE = ".restore"
_MAY_BE_THERE = frozenset({LOCK_NAME, SECRET})


class ArchiveError(Exception):
    """A backup or restore that cannot be done; the message says what to do instead."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive says of itself; its first member."""

    format: int
    version: str
    """The release that wrote it."""
    revision: str | None
    database: str
    """`sqlite`, or `postgresql` where only files are inside."""
    created_at: str
    objects: bool
    secret: bool


def write_archive(settings: Settings, file: Path, *, with_secret: bool, clock: Clock, progress: Progress) -> Manifest:
    """Write a backup; the server may run meanwhile. A file that is there is never overwritten."""
    if file.exists():
        raise ArchiveError(f"`{file}` exists already; name another file")
    manifest = _describe(settings, with_secret=with_secret, clock=clock)
    draft = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        with (
            os.fdopen(_create(draft, file), "wb") as raw,
            TemporaryDirectory(prefix=".halley-backup-", dir=file.parent or Path()) as stage,
        ):
            databases = _snapshots(settings, Path(stage), progress)
            with tarfile.open(fileobj=raw, mode="w") as archive:
                _write_members(archive, settings, manifest, databases, progress)
                archive.close()
                raw.flush()
                os.fsync(raw.fileno())
        _publish(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def restore_archive(settings: Settings, file: Path, progress: Progress) -> Manifest:
    """Fill an empty data folder; the caller holds its lock. A damaged or foreign archive changes nothing."""
    _must_be_empty(settings)
    stage = settings.data_dir / _STAGE
    stage.mkdir(mode=PRIVATE_FOLDER)
    try:
        with tarfile.open(file, "r:") as archive:
            manifest = _read_manifest(archive, settings, file)
            _extract(archive, stage, progress)
        if manifest.secret and secret_path(settings).exists():
            raise ArchiveError(
                f"The archive holds a secret, and `{secret_path(settings)}` is there: remove one of them"
            )
        _check_database(stage, manifest, file)
        _put_in_place(settings, stage)
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"`{file}` is no complete backup of Halley: {error}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return manifest


def copy_database(source: Path, target: Path, progress: Progress) -> None:
    """Copy an SQLite database as it stands at this moment, while others may write to it."""
    with (
        closing(sqlite3.connect(f"file:{quote(str(source))}?mode=rw", uri=True, isolation_level=None)) as origin,
        closing(sqlite3.connect(target)) as copy,
    ):
        # A read transaction that stays open pins one state: without it each commit of the server would let the copy
        # begin anew, and a busy server would never let it end.
        origin.execute("BEGIN")
        origin.execute("SELECT count(*) FROM sqlite_master").fetchone()
        origin.backup(copy, pages=PAGES_AT_ONCE, progress=_pages(progress))
        origin.execute("ROLLBACK")
    target.chmod(PRIVATE_FILE)


def _pages(progress: Progress):  # noqa: ANN202 - sqlite3's own type of callback
    def tell(_status: int, remaining: int, total: int) -> None:
        progress(Step(done=total - remaining, total=total, text="database"))

    return tell


def _create(draft: Path, file: Path) -> int:
    try:
        return os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    except OSError as error:
        raise ArchiveError(f"`{file}`: {error.strerror}; name another place") from error


def _describe(settings: Settings, *, with_secret: bool, clock: Clock) -> Manifest:
    path = settings.database_path
    if path is not None and not path.is_file():
        raise ArchiveError(f"There is no database `{path}` to back up; is `HALLEY_DATA_DIR` right?")
    if with_secret and not secret_path(settings).is_file():
        raise ArchiveError(
            f"There is no `{secret_path(settings)}`: the secret comes from `HALLEY_SECRET`, keep it there"
        )
    return Manifest(
        format=FORMAT,
        version=__version__,
        revision=migrate.current(settings.database_url.reveal()),
        database="sqlite" if path else "postgresql",
        created_at=rfc3339(clock.now(), digits=0),
        objects=settings.objects_path is not None,
        secret=with_secret,
    )


def _snapshots(settings: Settings, stage: Path, progress: Progress) -> list[Path]:
    """Copy the databases, ours before the files it names: what is missing in between was deleted on purpose."""
    sources = {DATABASE: settings.database_path, SIMULATORS: settings.data_dir / SIMULATORS}
    found: list[Path] = []
    for name, source in sources.items():
        if source is not None and source.is_file():
            copy_database(source, stage / name, progress)
            found.append(stage / name)
    return found


def _write_members(
    archive: tarfile.TarFile, settings: Settings, manifest: Manifest, databases: list[Path], progress: Progress
) -> None:
    text = msgspec.json.encode(manifest)
    head = tarfile.TarInfo(MANIFEST)
    head.size, head.mode = len(text), PRIVATE_FILE
    archive.addfile(head, io.BytesIO(text))
    for path in databases:
        archive.add(path, path.name, filter=_anonymous)
    if manifest.secret:
        archive.add(secret_path(settings), SECRET, filter=_anonymous)
    objects = sorted(_files(settings.objects_path))
    for number, path in enumerate(objects, start=1):
        _add_object(archive, path, settings)
        progress(Step(done=number, total=len(objects), text="files"))


def _add_object(archive: tarfile.TarFile, path: Path, settings: Settings) -> None:
    assert settings.objects_path is not None
    name = PurePosixPath(OBJECTS_FOLDER, *path.relative_to(settings.objects_path).parts)
    try:
        archive.add(path, str(name), recursive=False, filter=_anonymous)
    except FileNotFoundError:
        # Retention deleted it after the list was made; the database of before knows that it may be gone.
        return


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = PRIVATE_FILE
    return member


def _files(folder: Path | None) -> Iterator[Path]:
    for parent, _, names in os.walk(folder) if folder else ():
        yield from (Path(parent, name) for name in names)


def _publish(draft: Path, file: Path) -> None:
    try:
        file.hardlink_to(draft)
    except FileExistsError as error:
        raise ArchiveError(f"`{file}` appeared meanwhile; name another file") from error


def _must_be_empty(settings: Settings) -> None:
    folder, path = settings.data_dir, settings.database_path
    may_be_there = _MAY_BE_THERE if path is None else _MAY_BE_THERE | {database_lock(path).name}
    found = sorted(each.name for each in folder.iterdir() if each.name not in may_be_there)
    if found:
        raise ArchiveError(f"`{folder}` is not empty (`{found[0]}`): restore into a new folder with `--data-dir`")
    if path is not None and path.exists():
        raise ArchiveError(f"There is a database `{path}` already: move it away first")
    if next(_files(settings.objects_path), None) is not None:
        raise ArchiveError(f"There are files in `{settings.objects_path}` already: move them away first")


def _read_manifest(archive: tarfile.TarFile, settings: Settings, file: Path) -> Manifest:
    member = archive.next()
    reader = archive.extractfile(member) if member and member.name == MANIFEST and member.isfile() else None
    if reader is None:
        raise ArchiveError(f"`{file}` is no backup of Halley: its first member must be `{MANIFEST}`")
    try:
        manifest = msgspec.json.decode(reader.read(MANIFEST_BYTES_MAX), type=Manifest)
    except msgspec.MsgspecError as error:
        raise ArchiveError(f"`{file}` is no backup that this release can read: {error}") from error
    if manifest.format != FORMAT or (manifest.revision or "") > migrate.latest():
        raise ArchiveError(f"`{file}` was written by Halley {manifest.version}; restore it with that release or later")
    if (manifest.database == "sqlite") != (settings.database_path is not None):
        raise ArchiveError(f"`{file}` belongs to a gateway on {manifest.database}; set `HALLEY_DATABASE_URL` to match")
    return manifest


def _extract(archive: tarfile.TarFile, stage: Path, progress: Progress) -> None:
    """Write the members below `stage`. Only plain files with names that we know: an archive may come from anybody."""
    size = Path(str(archive.name)).stat().st_size if archive.name else 0
    while (member := archive.next()) is not None:
        path = stage / _safe_name(member)
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        reader = archive.extractfile(member)
        assert reader is not None, "checked to be a plain file"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb") as file:
            shutil.copyfileobj(reader, file, CHUNK_BYTES)
        if path.stat().st_size != member.size:
            raise EOFError(f"`{member.name}` is cut short")
        progress(Step(done=archive.offset, total=size, text="archive"))


def _safe_name(member: tarfile.TarInfo) -> PurePosixPath:
    name = PurePosixPath(member.name)
    known = str(name) in {DATABASE, SIMULATORS, SECRET} or (name.parts[:1] == (OBJECTS_FOLDER,) and len(name.parts) > 1)
    if not member.isfile() or not known or ".." in name.parts or name.is_absolute() or "\\" in member.name:
        raise ArchiveError(f"The archive holds `{member.name}`, which no backup of Halley does; nothing was restored")
    return name


def _check_database(stage: Path, manifest: Manifest, file: Path) -> None:
    path = stage / DATABASE
    if manifest.database != "sqlite":
        return
    if not path.is_file():
        raise ArchiveError(f"`{file}` holds no database")
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise ArchiveError(f"The database in `{file}` is damaged: {found}")


def _put_in_place(settings: Settings, stage: Path) -> None:
    """Move all to where it belongs, the database last: without it the folder is not taken for restored."""
    for name in (SIMULATORS, SECRET):
        if (stage / name).exists():
            (stage / name).replace(settings.data_dir / name)
    if (stage / OBJECTS_FOLDER).exists() and settings.objects_path is not None:
        settings.objects_path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        if settings.objects_path.exists():
            settings.objects_path.rmdir()
        shutil.move(stage / OBJECTS_FOLDER, settings.objects_path)
    if settings.database_path is not None:
        settings.database_path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        shutil.move(stage / DATABASE, settings.database_path)
