"""The exclusive lock of data folder and database: one process works on them, and the next is told which one that is."""

import fcntl
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

LOCK_NAME = "halley.lock"
HOLDER_BYTES_MAX = 4_096


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the lock, as written into the file."""

    pid: int
    what: str
    """Its command, e.g. `halley serve`."""
    url: str = ""
    """Where it listens; empty for what does not listen, or not yet."""

    def __str__(self) -> str:
        where = f" at {self.url}" if self.url else ""
        return f"`{self.what}` (process {self.pid}{where})"


class InUse(Exception):
    """Another process works on what this one would work on."""

    def __init__(self, what: str, remedy: str, holder: Holder | None) -> None:
        super().__init__(f"{what} is in use by {holder or 'another process'}. {remedy}")
        self.holder = holder


class DataFolderInUse(InUse):
    """Another process works on this data folder."""

    def __init__(self, folder: Path, holder: Holder | None) -> None:
        remedy = "Stop it first, or give this one a folder of its own with `HALLEY_DATA_DIR` or `--data-dir`."
        super().__init__(f"The data folder `{folder}`", remedy, holder)


class DatabaseInUse(InUse):
    """Another process works on this SQLite database, with another data folder."""

    def __init__(self, database: Path, holder: Holder | None) -> None:
        remedy = (
            "Name its data folder with `HALLEY_DATA_DIR` or `--data-dir`, or stop it first, or give this one a database"
            " of its own with `HALLEY_DATABASE_URL` or `--database-url`."
        )
        super().__init__(f"The database `{database}`", remedy, holder)


class DataLock:
    """Held while its context is open; the kernel frees it when the process dies, however that happens.

    An SQLite database has a lock of its own beside it, since any data folder may be given it.
    """

    def __init__(self, folder: Path, what: str, database: Path | None = None) -> None:
        self._folder = folder
        self._what = what
        self._database = database
        self._descriptors: list[int] = []

    def acquire(self) -> None:
        """Take the lock or raise `InUse`; makes the folders."""
        assert not self._descriptors, "the lock is held already"
        try:
            self._lock(self._folder / LOCK_NAME, partial(DataFolderInUse, self._folder))
            if self._database is not None:
                self._lock(database_lock(self._database), partial(DatabaseInUse, self._database))
        except BaseException:
            self.release()
            raise
        self.announce("")

    def _lock(self, file: Path, in_use: Callable[[Holder | None], InUse]) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _read_holder(descriptor)
            os.close(descriptor)
            raise in_use(holder) from error
        self._descriptors.append(descriptor)

    def announce(self, url: str) -> None:
        """Write down who we are and where we listen."""
        assert self._descriptors, "the lock is not held"
        text = msgspec.json.encode(Holder(pid=os.getpid(), what=self._what, url=url))
        for descriptor in self._descriptors:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text, 0)

    def release(self) -> None:
        """Let the next one in. The files stay: removing one would let two processes lock two files of one name."""
        while self._descriptors:
            descriptor = self._descriptors.pop()
            os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def database_lock(database: Path) -> Path:
    """Name the file whose lock says who works on an SQLite database, however that was spelled."""
    file = database.resolve()
    return file.with_name(f"{file.name}.lock")


def current_holder(folder: Path) -> Holder | None:
    """Tell who holds the lock now; None when nobody does, or when it does not say."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # A shared lock can be had only while nobody holds the exclusive one; it is given back at once.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _read_holder(descriptor: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, HOLDER_BYTES_MAX, 0), type=Holder)
    except msgspec.DecodeError:
        return None
