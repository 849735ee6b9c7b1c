"""The exclusive lock of a data folder: one process works on it at a time, and the next is told which one that is."""

import fcntl
import os
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


class DataFolderInUse(Exception):
    """Another process works on this data folder."""

    def __init__(self, folder: Path, holder: Holder | None) -> None:
        who = str(holder) if holder else "another process"
        super().__init__(
            f"The data folder `{folder}` is in use by {who}."
            " Stop it first, or give this one a folder of its own with `HALLEY_DATA_DIR` or `--data-dir`."
        )
        self.holder = holder


class DataLock:
    """Held while its context is open; the kernel frees it when the process dies, however that happens."""

    def __init__(self, folder: Path, what: str) -> None:
        self._folder = folder
        self._what = what
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock or raise `DataFolderInUse`; makes the folder."""
        assert self._descriptor < 0, "the lock is held already"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _read_holder(descriptor)
            os.close(descriptor)
            raise DataFolderInUse(self._folder, holder) from error
        self._descriptor = descriptor
        self.announce("")

    def announce(self, url: str) -> None:
        """Write down who we are and where we listen."""
        assert self._descriptor >= 0, "the lock is not held"
        text = msgspec.json.encode(Holder(pid=os.getpid(), what=self._what, url=url))
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)

    def release(self) -> None:
        """Let the next one in. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


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
