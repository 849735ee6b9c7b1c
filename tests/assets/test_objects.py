"""The object store, in a folder and in memory: whole or not at all."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from halley.assets import ObjectMissing, ObjectStore, ObjectsUnavailable, ObjectTooLarge, open_objects
from halley.assets.objects import HEAD_BYTES, PART_BYTES, put_bytes, read_bytes

LARGE = 2 * PART_BYTES + 12_345
BYTES_MAX = 64 * 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture(params=["folder", "memory"])
def objects(request: pytest.FixtureRequest, folder: Path) -> ObjectStore:
    return open_objects(f"file://{folder}" if request.param == "folder" else "memory:")


@pytest.fixture
def in_folder(folder: Path) -> ObjectStore:
    return open_objects(f"file://{folder}")


async def test_put_gives_digest_size_and_head_and_get_gives_the_bytes(objects: ObjectStore):
    data = os.urandom(700_000)
    stored = await objects.put("task/0", _stream(data), bytes_max=BYTES_MAX)
    assert (stored.key, stored.size) == ("task/0", len(data))
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert stored.head == data[:HEAD_BYTES]
    assert await read_bytes(objects, "task/0", bytes_max=BYTES_MAX) == data


async def test_stream_of_several_parts_is_stored_whole(objects: ObjectStore):
    data = os.urandom(LARGE)
    stored = await objects.put("task/1", _stream(data), bytes_max=BYTES_MAX)
    assert stored.size == LARGE
    assert hashlib.sha256(await read_bytes(objects, "task/1", bytes_max=BYTES_MAX)).hexdigest() == stored.sha256


async def test_empty_object_is_an_object(objects: ObjectStore):
    stored = await put_bytes(objects, "task/0", b"")
    assert (stored.size, stored.head) == (0, b"")
    assert await read_bytes(objects, "task/0", bytes_max=0) == b""


async def test_a_folder_that_cannot_be_written_is_told_apart_from_a_stream_that_breaks(
    in_folder: ObjectStore, folder: Path
):
    async def breaking() -> AsyncIterator[bytes]:
        yield b"some"
        raise ConnectionResetError

    (folder / "task").touch()
    with pytest.raises(ObjectsUnavailable, match="could not be written"):
        await put_bytes(in_folder, "task/0", b"data")
    with pytest.raises(ConnectionResetError):
        await in_folder.put("other/0", breaking(), bytes_max=BYTES_MAX)
    assert _files(folder) == [folder / "task"]


@pytest.fixture
async def refusing_bucket(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ObjectStore]:
    """A bucket whose keeper refuses all."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for name, value in {"ENDPOINT": endpoint, "ALLOW_HTTP": "true", "REGION": "x"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "made-up")
    yield open_objects("s3://bucket/prefix")
    server.close()


@pytest.mark.parametrize("size", [4, LARGE])
async def test_a_bucket_that_refuses_is_told_apart_from_an_object_that_is_missing(
    refusing_bucket: ObjectStore, size: int
):
    with pytest.raises(ObjectsUnavailable, match="403"):
        await put_bytes(refusing_bucket, "task/0", bytes(size))
    with pytest.raises(ObjectsUnavailable, match="403"):
        await read_bytes(refusing_bucket, "task/0", bytes_max=size)
    with pytest.raises(ObjectsUnavailable, match="403"):
        await refusing_bucket.delete(["task/0"])


async def test_put_replaces_what_was_there(objects: ObjectStore):
    await put_bytes(objects, "task/0", b"first")
    await put_bytes(objects, "task/0", b"second")
    assert await read_bytes(objects, "task/0", bytes_max=100) == b"second"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(0, 3, b"012", id="beginning"),
        pytest.param(4, 7, b"456", id="middle"),
        pytest.param(7, None, b"789", id="open end"),
        pytest.param(8, 100, b"89", id="beyond the end"),
    ],
)
async def test_range_gives_a_part_and_the_whole_size(
    objects: ObjectStore, start: int, end: int | None, expected: bytes
):
    await put_bytes(objects, "task/0", b"0123456789")
    found = await objects.get("task/0", start=start, end=end)
    assert b"".join([chunk async for chunk in found.chunks]) == expected
    assert (found.size, found.start, found.end) == (10, start, start + len(expected))


async def test_missing_object_says_so(objects: ObjectStore):
    with pytest.raises(ObjectMissing, match="task/7"):
        await objects.get("task/7")


async def test_delete_is_repeatable_and_does_not_stop_at_a_missing_key(objects: ObjectStore):
    await put_bytes(objects, "task/0", b"x")
    await put_bytes(objects, "task/1", b"y")
    for _ in range(2):
        await objects.delete(["task/0", "task/none", "task/1"])
    for key in ("task/0", "task/1"):
        with pytest.raises(ObjectMissing):
            await objects.get(key)
    await objects.delete([])


async def test_reading_a_large_object_into_memory_is_refused(objects: ObjectStore):
    await put_bytes(objects, "bodies/1", b"x" * 101)
    with pytest.raises(ObjectTooLarge, match="101"):
        await read_bytes(objects, "bodies/1", bytes_max=100)


@pytest.mark.parametrize("length", [1_000, LARGE], ids=["one part", "several parts"])
async def test_failing_stream_leaves_nothing_behind(objects: ObjectStore, folder: Path, length: int):
    with pytest.raises(ConnectionError, match="cut"):
        await objects.put("task/0", _cut_stream(length), bytes_max=BYTES_MAX)
    with pytest.raises(ObjectMissing):
        await objects.get("task/0")
    assert _files(folder) == []


async def test_failing_stream_leaves_the_object_that_was_there(objects: ObjectStore):
    await put_bytes(objects, "task/0", b"before")
    with pytest.raises(ConnectionError):
        await objects.put("task/0", _cut_stream(LARGE), bytes_max=BYTES_MAX)
    assert await read_bytes(objects, "task/0", bytes_max=100) == b"before"


@pytest.mark.parametrize("length", [1_001, LARGE], ids=["one part", "several parts"])
async def test_stream_over_the_limit_is_refused_and_leaves_nothing(objects: ObjectStore, folder: Path, length: int):
    with pytest.raises(ObjectTooLarge, match="task/0"):
        await objects.put("task/0", _stream(os.urandom(length)), bytes_max=length - 1)
    with pytest.raises(ObjectMissing):
        await objects.get("task/0")
    assert _files(folder) == []


async def test_cancelled_put_leaves_nothing_behind(in_folder: ObjectStore, folder: Path):
    reached = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(in_folder.put("task/0", _stalled_stream(reached), bytes_max=BYTES_MAX))
        await reached.wait()
        task.cancel()
    assert _files(folder) == []


async def test_put_cancelled_while_it_writes_leaves_nothing_behind(in_folder: ObjectStore, folder: Path):
    reached = asyncio.Event()

    async def stream() -> AsyncIterator[bytes]:
        reached.set()
        yield bytes(LARGE)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(in_folder.put("task/0", stream(), bytes_max=BYTES_MAX))
        await reached.wait()
        task.cancel()
    assert task.cancelled()
    assert _files(folder) == []


async def test_first_puts_of_many_objects_and_deletes_beside_them_do_not_meet(in_folder: ObjectStore):
    async def come_and_go(n: int) -> None:
        for _ in range(10):
            await put_bytes(in_folder, f"task/{n}", b"x")
            await in_folder.delete([f"task/{n}"])

    async with asyncio.TaskGroup() as group:
        for n in range(4):
            group.create_task(come_and_go(n))


async def test_leftovers_of_a_killed_process_are_removed_and_young_ones_stay(in_folder: ObjectStore, folder: Path):
    left, young = folder / "incoming" / "left", folder / "incoming" / "young"
    for path in (left, young):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    os.utime(left, (1_000, 1_000))
    assert await in_folder.remove_unfinished(before=2_000_000_000) == 1
    assert _files(folder) == [young]


async def test_a_bucket_leaves_unfinished_uploads_to_its_lifecycle_rule():
    assert await open_objects("memory:").remove_unfinished(before=2**62) == 0


def test_objects_are_private_to_the_user(folder: Path):
    open_objects(f"file://{folder}")
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.crash
@pytest.mark.parametrize(("die_in", "kept"), [("stream", False), ("after", True)])
def test_process_killed_in_a_put_shows_nothing_and_after_it_all(folder: Path, die_in: str, *, kept: bool):
    script = """
import asyncio, os, sys
from halley.assets import open_objects

async def stream():
    yield bytes(6_000_000)
    if sys.argv[2] == "stream":
        os.kill(os.getpid(), 9)

async def main():
    await open_objects("file://" + sys.argv[1]).put("task/0", stream(), bytes_max=10_000_000)
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""
    assert (
        subprocess.run([sys.executable, "-c", script, str(folder), die_in], check=False).returncode == -signal.SIGKILL
    )
    assert (folder / "task" / "0").exists() is kept
    assert (len(list((folder / "incoming").iterdir())) == 0) is kept


@pytest.mark.parametrize("key", ["../outside", "task/../../x", "/etc/passwd", "task//0", "incoming/x", "a\0b", ""])
async def test_key_that_could_leave_the_folder_is_our_own_mistake(in_folder: ObjectStore, key: str):
    with pytest.raises(AssertionError):
        await put_bytes(in_folder, key, b"x")


async def test_folder_that_cannot_be_made_is_an_error_and_leaves_nothing(in_folder: ObjectStore, folder: Path):
    await put_bytes(in_folder, "task", b"a file where a folder is needed")
    with pytest.raises(OSError, match="task"):
        await put_bytes(in_folder, "task/0", b"x")
    assert _files(folder) == [folder / "task"]


def test_a_bucket_is_opened_by_url(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert open_objects("s3://bucket/prefix") is not None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def _stream(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def _cut_stream(length: int) -> AsyncIterator[bytes]:
    async for chunk in _stream(bytes(length)):
        yield chunk
    raise ConnectionError("cut")


async def _stalled_stream(reached: asyncio.Event) -> AsyncIterator[bytes]:
    yield bytes(PART_BYTES)
    reached.set()
    await asyncio.Event().wait()
