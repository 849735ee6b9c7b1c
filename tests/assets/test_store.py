"""Rows of assets and files, on each database."""

from collections.abc import Callable
from functools import partial

import msgspec
import pytest
from tests.assets.rows import insert_task_row

from halley.assets import Asset, File
from halley.assets.store import (
    FILES_PAGE_MAX,
    TASKS_MAX,
    asset,
    assets_of,
    delete_file,
    drop_files,
    expired_assets,
    expired_files,
    insert_assets,
    insert_file,
    linked_file,
    list_files,
    mark_deleted,
    own_file,
)
from halley.db import Database, Tx
from halley.kernel.ids import TaskId

NOW = 1_000_000


def _asset(task: str = "task-a", n: int = 0, expires_at: int = NOW + 10) -> Asset:
    return Asset(
        task_id=TaskId(task),
        n=n,
        account_id="acct_1",
        project_id="proj_1",
        livemode=True,
        object_key=f"{task}/{n}",
        sha256="ab" * 32,
        bytes=3,
        content_type="image/png",
        width=None if n else 1024,
        height=None if n else 768,
        created_at=NOW,
        expires_at=expires_at,
    )


def _file(file_id: str = "file_1", *, livemode: bool = True, expires_at: int = NOW + 10) -> File:
    return File(
        id=file_id,
        account_id="acct_1",
        project_id="proj_1",
        livemode=livemode,
        name="cat.png",
        content_type="image/png",
        object_key=f"files/{file_id}",
        sha256="cd" * 32,
        bytes=5,
        metadata="{}",
        created_at=NOW,
        expires_at=expires_at,
    )


own = partial(own_file, project_id="proj_1", livemode=True, now=NOW)


async def _with_assets(db: Database, *assets: Asset) -> None:
    def unit(tx: Tx) -> None:
        for task in {each.task_id for each in assets}:
            insert_task_row(tx, task)
        insert_assets(tx, assets)

    await db.write("test", unit)


async def _with_files(db: Database, *files: File) -> None:
    for file in files:
        await db.write("test", partial(_insert, file))


def _insert(file: File, tx: Tx) -> None:
    insert_file(tx, file)


async def test_assets_come_back_as_written_by_task_and_in_order(db: Database):
    first, second, other = _asset(n=0), _asset(n=1), _asset("task-b")
    await _with_assets(db, second, first, other)
    found = await db.read(lambda tx: assets_of(tx, ["task-a", "task-b", "task-c"]))
    assert found == {"task-a": (first, second), "task-b": (other,)}


async def test_assets_of_no_task_and_of_many(db: Database):
    await _with_assets(db, _asset())
    assert await db.read(lambda tx: assets_of(tx, [])) == {}
    many = [f"task-{n}" for n in range(TASKS_MAX - 1)] + ["task-a"]
    assert list(await db.read(lambda tx: assets_of(tx, many))) == ["task-a"]


async def test_asset_is_found_by_task_and_number(db: Database):
    await _with_assets(db, _asset(n=0), _asset(n=1))
    assert await db.read(lambda tx: asset(tx, "task-a", 1)) == _asset(n=1)
    assert await db.read(lambda tx: asset(tx, "task-a", 2)) is None


async def test_asset_is_written_once(db: Database):
    await _with_assets(db, _asset())
    with pytest.raises(Exception, match=r"(?i)unique"):
        await db.write("test", lambda tx: insert_assets(tx, [_asset()]))


async def test_expired_assets_are_listed_oldest_first_until_they_are_marked(db: Database):
    await _with_assets(db, _asset(n=0, expires_at=20), _asset(n=1, expires_at=10), _asset(n=2, expires_at=31))
    expired = await db.read(lambda tx: expired_assets(tx, 30, 10))
    assert [each.object_key for each in expired] == ["task-a/1", "task-a/0"]
    assert await db.read(lambda tx: expired_assets(tx, 30, 1)) == expired[:1]
    await db.write("test", lambda tx: mark_deleted(tx, expired, 30))
    await db.write("test", lambda tx: mark_deleted(tx, expired, 99))
    assert await db.read(lambda tx: expired_assets(tx, 30, 10)) == []
    deleted = await db.read(lambda tx: asset(tx, "task-a", 0))
    assert deleted == msgspec.structs.replace(_asset(n=0, expires_at=20), deleted_at=30)


async def test_file_comes_back_as_written(db: Database):
    await _with_files(db, _file())
    assert await db.read(lambda tx: own(tx, "file_1")) == _file()
    assert await db.read(lambda tx: linked_file(tx, "file_1", NOW)) == _file()


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(partial(own, file_id="file_2"), id="unknown"),
        pytest.param(partial(own, file_id="file_1", project_id="proj_2"), id="of another project"),
        pytest.param(partial(own, file_id="file_1", livemode=False), id="of the other mode"),
        pytest.param(partial(own, file_id="file_1", now=NOW + 10), id="expired"),
        pytest.param(partial(own, file_id="file_1' OR '1'='1"), id="injection"),
        pytest.param(partial(linked_file, file_id="file_1", now=NOW + 10), id="link to expired"),
    ],
)
async def test_foreign_or_expired_file_is_not_there(db: Database, ask: Callable[[Tx], File | None]):
    await _with_files(db, _file())
    assert await db.read(ask) is None


async def test_files_are_listed_newest_first_and_paged_by_cursor(db: Database):
    await _with_files(db, *(_file(f"file_{n}") for n in range(5)), _file("file_9", livemode=False))
    page = partial(list_files, project_id="proj_1", livemode=True, now=NOW)
    first = await db.read(lambda tx: page(tx, limit=2))
    assert [file.id for file in first] == ["file_4", "file_3"]
    rest = await db.read(lambda tx: page(tx, after="file_3"))
    assert [file.id for file in rest] == ["file_2", "file_1", "file_0"]
    assert await db.read(lambda tx: page(tx, project_id="proj_2")) == []
    assert await db.read(lambda tx: page(tx, now=NOW + 10)) == []


async def test_page_of_files_is_bounded_whatever_is_asked(db: Database):
    await _with_files(db, *(_file(f"file_{n:03}") for n in range(FILES_PAGE_MAX + 5)))
    files = await db.read(lambda tx: list_files(tx, project_id="proj_1", livemode=True, now=NOW, limit=10**9))
    assert len(files) == FILES_PAGE_MAX + 1


async def test_deleted_file_is_gone_at_once_and_its_bytes_are_swept(db: Database):
    await _with_files(db, _file())
    delete = partial(delete_file, project_id="proj_1", livemode=True, now=NOW)
    assert await db.write("test", lambda tx: delete(tx, "file_1"))
    assert not await db.write("test", lambda tx: delete(tx, "file_1"))
    assert await db.read(lambda tx: own(tx, "file_1")) is None
    swept = await db.read(lambda tx: expired_files(tx, NOW, 10))
    assert [each.object_key for each in swept] == ["files/file_1"]
    await db.write("test", lambda tx: drop_files(tx, swept))
    assert await db.read(lambda tx: expired_files(tx, NOW, 10)) == []


@pytest.mark.parametrize(("project_id", "livemode"), [("proj_2", True), ("proj_1", False)])
async def test_foreign_file_cannot_be_deleted(db: Database, project_id: str, *, livemode: bool):
    await _with_files(db, _file())
    delete = partial(delete_file, file_id="file_1", project_id=project_id, livemode=livemode, now=NOW)
    assert not await db.write("test", delete)
    assert await db.read(lambda tx: own(tx, "file_1")) == _file()
