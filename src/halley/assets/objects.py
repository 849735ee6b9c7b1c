"""The object store: bytes by key, in a folder, in memory, or in a bucket. A key shows all of its bytes or is not there.

When `put` returns, the bytes are as durable as the store can make them, so a row that names them may be committed.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from halley.kernel.clock import MICROSECONDS

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore as Bucket

T = TypeVar("T")
HEAD_BYTES = 256 * 1024
"""How much of the beginning `put` gives back, to tell the type and the size of a picture."""
PART_BYTES = 5 * 1024 * 1024
"""What is gathered before it is written; a bucket takes no smaller part but the last."""
PARTS_IN_FLIGHT_MAX = 2
READ_CHUNK_BYTES = 256 * 1024
_INCOMING = "incoming"
_PUBLISH_TRIES_MAX = 20


class ObjectMissing(Exception):
    """Nothing is stored under this key."""


class ObjectTooLarge(Exception):
    """More bytes came than were allowed; nothing was stored."""


class ObjectsUnavailable(OSError):
    """The store did not take or give it, be it that its disk is full or that it cannot be reached; nothing changed."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What was put."""

    key: str
    sha256: str
    size: int
    """In bytes."""
    head: bytes
    """The first bytes, at most `HEAD_BYTES`."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was got: the bytes from `start` up to, not including, `end` of an object of `size` bytes."""

    size: int
    start: int
    end: int
    chunks: AsyncIterator[bytes]


class ObjectStore(Protocol):
    """Where bytes are kept."""

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> Stored:
        """Store a stream, in place of what was there. If the stream fails or is too long, nothing has changed.

        Raises `ObjectTooLarge`, or `ObjectsUnavailable`.
        """
        ...

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> Found:
        """Open an object, or a part of it. Raises `ObjectMissing`, or `ObjectsUnavailable`."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete; what is not there counts as deleted. Raises `ObjectsUnavailable`."""
        ...

    async def remove_unfinished(self, before: int) -> int:
        """Remove what a killed process left of streams that it began before this time; give how many."""
        ...


def open_objects(url: str) -> ObjectStore:
    """Open a store by URL: `file:///folder`, `memory:`, or a bucket such as `s3://bucket/prefix`.

    A bucket takes its credentials from the environment as its vendor's own tools do, and needs a lifecycle rule that
    drops incomplete multipart uploads: a killed process cannot.
    """
    from obstore.store import LocalStore, MemoryStore, from_url

    if url.startswith("file://"):
        folder = Path(url.removeprefix("file://"))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _FolderObjects(folder, LocalStore(folder, automatic_cleanup=True))
    if url == "memory:":
        return _BucketObjects(MemoryStore())
    return _BucketObjects(from_url(url))


async def put_bytes(objects: ObjectStore, key: str, data: bytes) -> Stored:
    """Store bytes that are in memory anyway."""
    return await objects.put(key, _once(data), bytes_max=len(data))


async def read_bytes(objects: ObjectStore, key: str, *, bytes_max: int) -> bytes:
    """Read a whole object. Raises `ObjectMissing`, or `ObjectTooLarge` before anything is read."""
    found = await objects.get(key)
    if found.size > bytes_max:
        message = f"`{key}` has {found.size:,} bytes; at most {bytes_max:,} are read into memory"
        raise ObjectTooLarge(message)
    return b"".join([chunk async for chunk in found.chunks])


class _Meter:
    """Counts and hashes what passes."""

    def __init__(self, key: str, bytes_max: int) -> None:
        self._key = key
        self._bytes_max = bytes_max
        self._hash = hashlib.sha256()
        self._size = 0
        self._head = bytearray()

    async def parts(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Give the stream in parts of at least `PART_BYTES`, but for the last, which may be empty."""
        part = bytearray()
        async for chunk in chunks:
            self._count(chunk)
            part += chunk
            if len(part) >= PART_BYTES:
                yield bytes(part)
                part.clear()
        yield bytes(part)

    def stored(self) -> Stored:
        return Stored(key=self._key, sha256=self._hash.hexdigest(), size=self._size, head=bytes(self._head))

    def _count(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._bytes_max:
            message = f"`{self._key}` is larger than {self._bytes_max:,} bytes"
            raise ObjectTooLarge(message)
        self._hash.update(chunk)
        self._head += chunk[: HEAD_BYTES - len(self._head)]


class _BucketObjects:
    """Memory, or a bucket in which an object appears when its upload is completed."""

    def __init__(self, bucket: "Bucket") -> None:
        self._bucket = bucket

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> Stored:
        meter = _Meter(key, bytes_max)
        parts = meter.parts(chunks)
        first = await anext(parts)
        if len(first) < PART_BYTES:
            # One request instead of the three of a multipart upload.
            await _reached(self._bucket.put_async(key, first, use_multipart=False))
        else:
            await self._put_parts(key, first, parts)
        return meter.stored()

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> Found:
        return await _found(self._bucket, key, start, end)

    async def delete(self, keys: Sequence[str]) -> None:
        if keys:
            await _reached(self._bucket.delete_async(keys))

    async def remove_unfinished(self, before: int) -> int:
        """Leave it to the bucket's lifecycle rule."""
        del before
        return 0

    async def _put_parts(self, key: str, first: bytes, rest: AsyncIterator[bytes]) -> None:
        from obstore import open_writer_async

        writer = open_writer_async(self._bucket, key, buffer_size=PART_BYTES, max_concurrency=PARTS_IN_FLIGHT_MAX)
        await _reached(writer.write(first))
        async for part in rest:
            await _reached(writer.write(part))
        # Only this makes the object appear; a writer that is dropped before has done nothing that can be seen.
        await _reached(writer.close())


class _FolderObjects:
    """A folder. The library's own writer does not sync to disk, so that writing is done here, and reading by it."""

    def __init__(self, folder: Path, bucket: "Bucket") -> None:
        self._folder = folder
        self._bucket = bucket

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> Stored:
        target = self._path(key)
        staged = self._folder / _INCOMING / secrets.token_hex(16)
        meter = _Meter(key, bytes_max)
        try:
            async for part in meter.parts(chunks):
                await _written(lambda part=part: _append(staged, part))
            await _written(lambda: _publish(self._folder, staged, target))
        except BaseException:
            await _in_thread(lambda: staged.unlink(missing_ok=True))
            raise
        return meter.stored()

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> Found:
        return await _found(self._bucket, key, start, end)

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                await _reached(self._bucket.delete_async(key))
            except FileNotFoundError:
                continue

    async def remove_unfinished(self, before: int) -> int:
        return await _in_thread(lambda: _remove_older(self._folder / _INCOMING, before))

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        # Keys are made by us, of ids and numbers; one that could leave the folder is our own mistake.
        assert all(part not in ("", ".", "..") and "\0" not in part for part in parts), key
        assert parts[0] != _INCOMING, key
        return self._folder.joinpath(*parts)


async def _found(bucket: "Bucket", key: str, start: int, end: int | None) -> Found:
    assert start >= 0
    assert end is None or end > start
    try:
        result = await _reached(bucket.get_async(key, options=_options(start, end)))
    except FileNotFoundError as error:
        message = f"Nothing is stored under `{key}`"
        raise ObjectMissing(message) from error
    first, last = result.range
    chunks = aiter(result.stream(min_chunk_size=READ_CHUNK_BYTES))
    return Found(size=result.meta["size"], start=first, end=last, chunks=chunks)


def _options(start: int, end: int | None) -> "GetOptions | None":
    if end is not None:
        return {"range": (start, end)}
    # An open range of an empty object is an error in the library, and a whole read needs none.
    return {"range": {"offset": start}} if start else None


async def _reached(work: Awaitable[T]) -> T:
    """Await the store's own work. What the stream itself raises is none of the store's errors."""
    from obstore.exceptions import BaseError

    try:
        return await work
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise ObjectsUnavailable(str(error)) from error


async def _in_thread(work: Callable[[], T]) -> T:
    """Run blocking work to its end, also when who waits for it is cancelled: files are not closed under a writer."""
    job = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.wait((job,))
        raise


async def _written(work: Callable[[], None]) -> None:
    """Write to the folder. What the stream itself raises is none of the folder's errors."""
    try:
        await _in_thread(work)
    except OSError as error:
        raise ObjectsUnavailable(str(error)) from error


def _append(path: Path, part: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        left = memoryview(part)
        while left:
            left = left[file.write(left) :]


def _publish(folder: Path, staged: Path, target: Path) -> None:
    """Put the bytes on disk, then give the file its name, then put the names of it and of its folders on disk."""
    _sync(staged)
    for _ in range(_PUBLISH_TRIES_MAX):
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            staged.replace(target)
        except (FileNotFoundError, FileExistsError):
            # A delete beside us removed the folder, as it became empty, while it was made or used.
            continue
        for parent in target.parents:
            _sync(parent)
            if parent == folder:
                return
    message = f"`{target}` could not be written: its folder cannot be made, or is removed again and again"
    raise OSError(message)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_older(folder: Path, before: int) -> int:
    removed = 0
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # published or given up while we look: gone, which is as good
            if path.stat().st_mtime * MICROSECONDS < before:
                path.unlink()
                removed += 1
    return removed


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
