import io
import shutil
import sqlite3
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.database import PostgresServer

from halley.console.archive import DATABASE, MANIFEST, ArchiveError, copy_database, restore_archive, write_archive
from halley.console.lock import LOCK_NAME
from halley.console.protocol import Step
from halley.settings import Secret, Settings, open_secrets, secret_path
from halley.testing.clock import FakeClock


def quiet(_: Step) -> None:
    """Nobody looks."""


@pytest.fixture
def settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    """A data folder as a gateway leaves it."""
    settings = Settings(data_dir=tmp_path / "data")
    open_secrets(settings)
    shutil.copy(sqlite_template, settings.data_dir / "halley.db")
    shutil.copy(sqlite_template, settings.data_dir / "simulators.db")
    (settings.data_dir / "objects" / "task").mkdir(parents=True)
    (settings.data_dir / "objects" / "task" / "0").write_bytes(b"picture")
    (settings.data_dir / LOCK_NAME).touch()
    return settings


def backed_up(settings: Settings, file: Path, *, with_secret: bool = False) -> Path:
    write_archive(settings, file, with_secret=with_secret, clock=FakeClock(), progress=quiet)
    return file


def empty(tmp_path: Path, name: str = "new") -> Settings:
    (tmp_path / name).mkdir()
    (tmp_path / name / LOCK_NAME).touch()
    return Settings(data_dir=tmp_path / name)


def test_a_backup_brings_everything_back_but_the_secret(settings: Settings, tmp_path: Path):
    file = backed_up(settings, tmp_path / "b.tar")
    new = empty(tmp_path)
    manifest = restore_archive(new, file, quiet)
    found = {str(path.relative_to(new.data_dir)) for path in new.data_dir.rglob("*") if path.is_file()}
    assert found == {"halley.db", "simulators.db", "objects/task/0", LOCK_NAME}
    assert (new.data_dir / "objects/task/0").read_bytes() == b"picture"
    assert (manifest.created_at, manifest.secret) == ("2026-11-01T12:00:00Z", False)
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "data", "new"]


def test_a_backup_may_hold_the_secret(settings: Settings, tmp_path: Path):
    new = empty(tmp_path)
    restore_archive(new, backed_up(settings, tmp_path / "b.tar", with_secret=True), quiet)
    assert secret_path(new).read_text() == secret_path(settings).read_text()
    assert secret_path(new).stat().st_mode & 0o777 == 0o600


def test_a_secret_that_is_there_is_not_overwritten(settings: Settings, tmp_path: Path):
    new = empty(tmp_path)
    secret_path(new).write_text("x" * 40)
    file = backed_up(settings, tmp_path / "b.tar", with_secret=True)
    with pytest.raises(ArchiveError, match="remove one of them"):
        restore_archive(new, file, quiet)
    restore_archive(new, backed_up(settings, tmp_path / "c.tar"), quiet)
    assert secret_path(new).read_text() == "x" * 40


def test_a_backup_overwrites_nothing(settings: Settings, tmp_path: Path):
    (tmp_path / "b.tar").write_text("precious")
    with pytest.raises(ArchiveError, match="exists already"):
        backed_up(settings, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_text() == "precious"


def test_a_backup_of_nothing_is_an_error(tmp_path: Path):
    with pytest.raises(ArchiveError, match="There is no database"):
        backed_up(Settings(data_dir=tmp_path), tmp_path / "b.tar")


def test_a_secret_that_is_configured_is_not_in_a_backup(settings: Settings, tmp_path: Path):
    secret_path(settings).unlink()
    with pytest.raises(ArchiveError, match="`HALLEY_SECRET`"):
        backed_up(settings, tmp_path / "b.tar", with_secret=True)


def test_a_restore_goes_into_an_empty_folder_only(settings: Settings, tmp_path: Path):
    file = backed_up(settings, tmp_path / "b.tar")
    with pytest.raises(ArchiveError, match="is not empty"):
        restore_archive(settings, file, quiet)


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "objects/../../evil", "objects", "other", "objects/..", "secret/x"]
)
def test_a_foreign_archive_writes_nothing(settings: Settings, tmp_path: Path, name: str):
    file = backed_up(settings, tmp_path / "b.tar")
    with tarfile.open(file, "a") as archive:
        member = tarfile.TarInfo(name)
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    new = empty(tmp_path)
    with pytest.raises(ArchiveError, match="which no backup of Halley does"):
        restore_archive(new, file, quiet)
    assert [path.name for path in new.data_dir.iterdir()] == [LOCK_NAME]
    assert not (tmp_path / "evil").exists()


def test_links_in_an_archive_are_refused(settings: Settings, tmp_path: Path):
    file = backed_up(settings, tmp_path / "b.tar")
    with tarfile.open(file, "a") as archive:
        member = tarfile.TarInfo("objects/link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(ArchiveError, match="objects/link"):
        restore_archive(empty(tmp_path), file, quiet)


@pytest.mark.parametrize("cut", [10, 600, 2_000, 100_000])
def test_an_archive_cut_short_writes_nothing(settings: Settings, tmp_path: Path, cut: int):
    file = backed_up(settings, tmp_path / "b.tar")
    file.write_bytes(file.read_bytes()[:cut])
    new = empty(tmp_path)
    with pytest.raises(ArchiveError, match=r"no (complete )?backup"):
        restore_archive(new, file, quiet)
    assert [path.name for path in new.data_dir.iterdir()] == [LOCK_NAME]


def test_a_damaged_database_is_not_restored(settings: Settings, tmp_path: Path):
    file = backed_up(settings, tmp_path / "b.tar")
    changed = tmp_path / "c.tar"
    with tarfile.open(file) as source, tarfile.open(changed, "w") as target:
        for member in source:
            reader = source.extractfile(member)
            assert reader is not None
            data = reader.read()
            if member.name == DATABASE:
                data = data[:5_000] + b"\xff" * 50_000 + data[55_000:]
            target.addfile(member, io.BytesIO(data))
    with pytest.raises((ArchiveError, sqlite3.DatabaseError)):
        restore_archive(empty(tmp_path), changed, quiet)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": 2}, "restore it with that release"),
        ({"revision": "9999"}, "restore it with that release"),
        ({"database": "postgresql"}, "a gateway on postgresql"),
        ({"format": "x"}, "can read"),
    ],
    ids=["format", "revision", "database", "nonsense"],
)
def test_an_archive_of_another_kind_is_refused(
    settings: Settings, tmp_path: Path, changes: dict[str, object], text: str
):
    with tarfile.open(backed_up(settings, tmp_path / "b.tar")) as source:
        reader = source.extractfile(MANIFEST)
        assert reader is not None
        manifest = msgspec.json.decode(reader.read()) | changes
    data = msgspec.json.encode(manifest)
    with tarfile.open(tmp_path / "c.tar", "w") as target:
        member = tarfile.TarInfo(MANIFEST)
        member.size = len(data)
        target.addfile(member, io.BytesIO(data))
    with pytest.raises(ArchiveError, match=text):
        restore_archive(empty(tmp_path), tmp_path / "c.tar", quiet)


def test_on_postgresql_a_backup_holds_the_files(tmp_path: Path, postgres_server: PostgresServer, settings: Settings):
    url = postgres_server.url(postgres_server.new())
    there = Settings(data_dir=settings.data_dir, configured_database=Secret(url))
    file = tmp_path / "b.tar"
    manifest = write_archive(there, file, with_secret=False, clock=FakeClock(), progress=quiet)
    with tarfile.open(file) as archive:
        assert archive.getnames() == [MANIFEST, "simulators.db", "objects/task/0"]
    assert (manifest.database, manifest.revision) == ("postgresql", "0001")
    new = Settings(data_dir=empty(tmp_path).data_dir, configured_database=Secret(url))
    restore_archive(new, file, quiet)
    assert (new.data_dir / "objects/task/0").exists()


def test_a_copy_shows_one_moment_and_ends_while_others_write(tmp_path: Path):
    source = tmp_path / "source.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (n INTEGER, filler BLOB)")
        connection.executemany("INSERT INTO t VALUES (?, zeroblob(4000))", [(n,) for n in range(8_000)])
        writing, stop = threading.Event(), threading.Event()
        writer = threading.Thread(target=_write_until, args=(source, writing, stop))
        writer.start()
        writing.wait(10)
        steps: list[Step] = []
        copy_database(source, tmp_path / "copy.db", steps.append)
        stop.set()
        writer.join()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA quick_check").fetchone() == ("ok",)
        first, last, count = copy.execute("SELECT min(n), max(n), count(*) FROM t").fetchone()
        assert count == last - first + 1, "whole commits, in order"
    assert len(steps) > 2
    assert [step.total for step in steps] == [steps[0].total] * len(steps), "it never began anew"


def _write_until(path: Path, writing: threading.Event, stop: threading.Event) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
        n = 8_000
        while not stop.is_set():
            connection.execute("INSERT INTO t VALUES (?, zeroblob(4000))", (n,))
            n += 1
            writing.set()
