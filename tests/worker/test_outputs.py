"""Outputs on their way from the vendor's links into our store."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.app.rigs import Rig

from halley.assets.objects import read_bytes
from halley.kernel.order import FailureCode
from halley.pipeline.task import resolve
from halley.tasks import TaskState
from halley.testing.wire import Break
from halley.upstream.exchange import Download
from halley.upstream.guard import Guard
from halley.worker.poll import UNKNOWN_GRACE_S

DEV = "black-forest-labs/flux-dev"


def _is_link(_method: str, path: str) -> bool:
    return path.startswith("/delivery/")


def _is_poll(_method: str, path: str) -> bool:
    return "/predictions/" in path


class _SlowGuard(Guard):
    """The guard, whose downloads take their time."""

    def __init__(self, inner: Guard, seconds: float) -> None:
        self._inner = inner
        self._seconds = seconds

    @asynccontextmanager
    async def download(self, url: str, **options: Any) -> AsyncGenerator[Download, None]:
        async with self._inner.download(url, **options) as reply:
            await asyncio.sleep(self._seconds)
            yield reply

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.mark.parametrize("dead", [1, 2])
async def test_a_link_that_looks_dead_is_tried_three_times_however_long_ago_the_vendor_ended(
    rig: Rig, dead: int
) -> None:
    await rig.client.replicate(DEV, "success")
    task = await rig.last_task()
    rig.wire.fail(Break.BROKEN, _is_poll, times=5)
    rig.wire.fail(Break.GONE, _is_link, times=dead)
    task = await rig.ended(task.id, within_s=300)
    assert task.state is TaskState.SUCCEEDED, task.failure
    assert await rig.posted(task) > 0


async def test_after_three_tries_in_ten_seconds_the_output_is_lost(rig: Rig) -> None:
    await rig.client.replicate(DEV, "expired_link; delay=2")
    task = await rig.ended((await rig.last_task()).id)
    assert task.failure is not None
    assert task.failure.code is FailureCode.OUTPUT_LOST
    assert (await rig.requests("replicate"))["GET /delivery/{id}/{name}"] == 3
    [job] = await rig.jobs("replicate")
    assert task.ended_at is not None
    assert 10 <= (task.ended_at - job.ready_us) / 1e6 < 20


async def test_slow_outputs_are_stored_by_one_look_after_another(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.serve_only("replicate")
    monkeypatch.setattr("halley.worker.poll.LOOK_S_MAX", 1.0)
    rig.world.guard = _SlowGuard(rig.world.guard, 0.6)
    made = await rig.client.replicate(DEV, "success", num_outputs=3)
    task = await rig.ended(made.json["id"], within_s=600)
    assert task.state is TaskState.SUCCEEDED, task.failure
    rows = await rig.world.db.read(lambda tx: tx.all("SELECT width, height, content_type, bytes, sha256 FROM assets"))
    files = [await read_bytes(rig.world.objects, key, bytes_max=2**20) for key in await rig.stored_objects()]
    # What was looked at again tells the same of itself as what has just come.
    assert len({(row["width"], row["height"], row["content_type"]) for row in rows}) == 1
    told = {(row["sha256"], row["bytes"]) for row in rows}
    assert told == {(hashlib.sha256(file).hexdigest(), len(file)) for file in files}
    assert len(files) == 3


async def test_what_was_stored_of_a_task_whose_other_outputs_are_lost_is_deleted(rig: Rig) -> None:
    rig.wire.fail(Break.GONE, lambda _, path: path.startswith("/delivery/") and "out-1" in path, times=3)
    await rig.serve_only("replicate")
    made = await rig.client.replicate(DEV, "success", num_outputs=2)
    task = await rig.ended(made.json["id"])
    assert task.failure is not None
    assert task.failure.code is FailureCode.OUTPUT_LOST
    assert await rig.stored_objects() == []


@pytest.mark.parametrize("resolved", [False, True], ids=["given up", "closed by the operator"])
async def test_what_was_stored_of_a_task_of_unknown_outcome_is_deleted_when_it_ends(rig: Rig, resolved: bool) -> None:
    rig.wire.fail(Break.BROKEN, lambda _, path: path.startswith("/delivery/") and "out-1" in path, times=10_000)
    await rig.serve_only("replicate")
    made = await rig.client.replicate(DEV, "success", num_outputs=2)
    task = await rig.reach(made.json["id"], "unknown", within_s=900)
    assert len(await rig.stored_objects()) == 1
    if resolved:
        await resolve(rig.world, task.id, void=True)
    task = await rig.ended(task.id, within_s=2 * UNKNOWN_GRACE_S)
    assert task.state is TaskState.FAILED
    assert await rig.stored_objects() == []
