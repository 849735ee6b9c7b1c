"""Outputs on their way from the vendor's links into our store."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs
from tests.answers.vendor import Exchange, Script, answer
from tests.app.rigs import Rig
from tests.pipeline.studio import SVG, Studio, opened_studio, png

from halley.assets.objects import put_bytes, read_bytes
from halley.assets.rules import asset_key
from halley.kernel.order import FailureCode
from halley.pipeline.task import resolve
from halley.tasks import TaskState
from halley.testing.wire import Break
from halley.upstream.exchange import Download
from halley.upstream.guard import Guard
from halley.worker import poll
from halley.worker.poll import UNKNOWN_GRACE_S

DEV = "black-forest-labs/flux-dev"
LOST_WITHIN_S = 20
"""Three tries with their pauses, and the polls."""


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


@pytest.fixture
async def studio(folder: Path) -> AsyncIterator[Studio]:
    async with opened_studio(folder) as running:
        yield running


async def _too_large(exchange: Exchange) -> None:
    await exchange.whole(200, "image/png", {"content-length": str(2**40)}, png())
    exchange.hang_up()


NO_OUTPUTS: dict[str, tuple[Script, str]] = {
    "empty": (answer(b"", content_type="image/png"), "is empty"),
    "a page": (answer(b"<html><body>Bad gateway, try later</body></html>", content_type="image/png"), "no picture"),
    "a page with a prologue": (answer(b"\xef\xbb\xbf\n<!DOCTYPE html>\n<!-- x --><HTML lang='en'>"), "no picture"),
    "xml": (answer(b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), "no picture"),
    "json": (answer({"detail": "try later"}), "no picture"),
    "no content": (answer(b"", status=204), "status 204"),
    "a part": (answer(png(), status=206), "status 206"),
    "compressed": (answer(gzip.compress(png()), headers={"content-encoding": "gzip"}), "compressed"),
    "too large": (_too_large, "larger than"),
}


@pytest.mark.parametrize(("file", "reason"), NO_OUTPUTS.values(), ids=NO_OUTPUTS)
async def test_a_link_to_no_output_is_tried_three_times_and_the_output_lost(
    studio: Studio, file: Script, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.files = (file,)
    await _loses_its_output(studio, reason, monkeypatch)
    assert studio.fetched == [0, 0, 0]


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("a red teapot", "URL"),
        ("data:image/png;base64,iVBORw0KGgo=", "http"),
        ("http://10.1.2.3/a.png", "private"),
        ([f"http://127.0.0.1:1/{n}" for n in range(33)], "33 outputs"),
        ([], "no output"),
    ],
    ids=["a text", "data", "private", "too many", "none"],
)
async def test_an_output_that_nobody_can_ever_fetch_is_lost_at_once(
    studio: Studio, output: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.outputs = output
    await _loses_its_output(studio, reason, monkeypatch)


async def _loses_its_output(studio: Studio, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order; assert that the caller learns soon that it failed, pays nothing, and that the log tells why."""
    # A logger of its own: one that was used before, in another test, may have kept where it wrote to.
    monkeypatch.setattr(poll, "_log", structlog.get_logger())
    with capture_logs() as lines:
        task = await studio.replicate()
    assert task.failure is not None
    assert task.failure.code is FailureCode.OUTPUT_LOST
    assert task.ended_at is not None
    assert (task.ended_at - task.created_at) / 1e6 < LOST_WITHIN_S
    usage = await studio.usage(task)
    assert (usage.price_nanos, usage.exposure_nanos, usage.outcome) == (0, task.held, "lost")
    assert await studio.rig.stored_objects() == []
    reasons = [line["reason"] for line in lines if line["event"] == "output_unreachable"]
    assert len(reasons) == 3
    assert all(reason in each for each in reasons), reasons


@pytest.mark.parametrize(
    "file",
    [SVG, b"\0\0\0\x18ftypavif" + bytes(500), b"a: text", b"{1}", b"<3"],
    ids=["svg", "avif", "text", "a brace", "a bracket"],
)
async def test_files_of_kinds_that_we_do_not_know_are_stored(studio: Studio, file: bytes) -> None:
    studio.delivers(file)
    task = await studio.replicate()
    assert (task.state, await studio.rig.posted(task)) == (TaskState.SUCCEEDED, task.held)
    [key] = await studio.rig.stored_objects()
    assert await read_bytes(studio.rig.world.objects, key, bytes_max=2**20) == file


async def test_an_empty_output_is_fetched_again_by_a_fresh_report(studio: Studio) -> None:
    tries = iter((b"", png()))

    async def better(exchange: Exchange) -> None:
        await answer(next(tries))(exchange)

    studio.files = (better,)
    assert (await studio.replicate()).state is TaskState.SUCCEEDED
    assert studio.fetched == [0, 0]


async def test_what_is_no_output_is_not_kept_of_an_earlier_look(studio: Studio) -> None:
    studio.delivers(png(), png())
    made = await studio.rig.client.replicate("acme/grid", num_outputs=2)
    task = await studio.rig.task(made.json["id"])
    for n, left in enumerate((png(), b"")):
        await put_bytes(studio.rig.world.objects, asset_key(task.id, n), left)
    assert (await studio.rig.ended(task.id)).state is TaskState.SUCCEEDED
    assert studio.fetched == [1]
