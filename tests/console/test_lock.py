import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from halley.console.lock import LOCK_NAME, DatabaseInUse, DataFolderInUse, DataLock, current_holder

HOLD = """
import sys, time
from pathlib import Path
from halley.console.lock import DataLock
lock = DataLock(Path(sys.argv[1]), "halley serve")
lock.acquire()
lock.announce("http://127.0.0.1:9999")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_start_is_refused_and_told_who_was_first(tmp_path: Path):
    with DataLock(tmp_path, "halley serve") as lock:
        lock.announce("http://127.0.0.1:8000")
        with pytest.raises(DataFolderInUse) as caught:
            DataLock(tmp_path, "halley migrate").acquire()
    assert f"`halley serve` (process {os.getpid()} at http://127.0.0.1:8000)" in str(caught.value)
    assert "HALLEY_DATA_DIR" in str(caught.value)


@pytest.mark.parametrize("spelling", ["rows.db", "there/../rows.db", "link.db"])
def test_two_data_folders_on_one_database_exclude_each_other(tmp_path: Path, spelling: str):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "rows.db")
    second = DataLock(tmp_path / "two", "halley migrate", tmp_path / spelling)
    with DataLock(tmp_path / "one", "halley serve", tmp_path / "rows.db") as lock:
        lock.announce("http://127.0.0.1:8000")
        with pytest.raises(
            DatabaseInUse, match=r"is in use by `halley serve` \(process \d+ at http://127.0.0.1:8000\)"
        ):
            second.acquire()
        assert current_holder(tmp_path / "two") is None
    with second, DataLock(tmp_path / "three", "halley serve", tmp_path / "other.db"):
        pass


def test_a_lock_that_was_given_back_can_be_taken(tmp_path: Path):
    with DataLock(tmp_path, "one"):
        pass
    assert current_holder(tmp_path) is None
    with DataLock(tmp_path, "two"):
        holder = current_holder(tmp_path)
    assert holder is not None
    assert (holder.what, holder.url, holder.pid) == ("two", "", os.getpid())


def test_a_killed_process_leaves_no_lock(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(DataFolderInUse, match=f"process {other.pid} at http://127.0.0.1:9999"):
            DataLock(tmp_path, "two").acquire()
        other.send_signal(signal.SIGKILL)
        other.wait(10)
    with DataLock(tmp_path, "two"):
        pass


def test_the_lock_is_for_our_own_user_only(tmp_path: Path):
    with DataLock(tmp_path / "new", "one"):
        assert (tmp_path / "new" / LOCK_NAME).stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_holder_that_does_not_say_who_it_is_is_still_a_holder(tmp_path: Path):
    with DataLock(tmp_path, "one"):
        (tmp_path / LOCK_NAME).write_text("{")
        with pytest.raises(DataFolderInUse, match="another process"):
            DataLock(tmp_path, "two").acquire()
        assert current_holder(tmp_path) is None


def test_a_folder_without_a_lock_has_no_holder(tmp_path: Path):
    assert current_holder(tmp_path) is None
