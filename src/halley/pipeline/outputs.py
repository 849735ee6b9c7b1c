"""Outputs become assets: streamed from the vendor's link into our store, before the task may count as succeeded."""

import hashlib
from collections.abc import AsyncIterator

import structlog

from halley.assets import Asset, ObjectMissing, ObjectsUnavailable, ObjectTooLarge, Stored
from halley.assets.objects import HEAD_BYTES
from halley.assets.rules import asset_key, image_size, is_message, sniff
from halley.kernel.clock import MICROSECONDS
from halley.kernel.order import IMAGES_MAX, Output, Report
from halley.pipeline.vendor import origin_of
from halley.routing import Channel
from halley.tasks import Task
from halley.upstream.errors import Refused, ReplyPacked, ReplyTooLarge, UpstreamError
from halley.world import World

OUTPUT_BYTES_MAX = 512 * 1024 * 1024
DOWNLOAD_S_MAX = 90
DAY_US = 24 * 3600 * MICROSECONDS
_log = structlog.get_logger("halley.outputs")
_OK = 200
_DEAD = frozenset({*range(201, 300), 400, 401, 403, 404, 410})
_NEVER = (Refused, ReplyTooLarge, ReplyPacked, ObjectTooLarge)
"""What no later try makes right."""


class LinkDead(Exception):
    """The vendor's link leads to no output, and will not by itself: only a fresh report may bring a better one."""


class OutputUnreachable(Exception):
    """The output could not be fetched this time."""


async def mirror(world: World, task: Task, channel: Channel, report: Report) -> tuple[Asset, ...]:
    """Store every output of a report that is not stored yet; give their rows.

    Raises `LinkDead`, or `OutputUnreachable` when a later try may succeed.
    """
    if not report.outputs:
        message = "the report names no output"
        raise LinkDead(message)
    if len(report.outputs) > IMAGES_MAX:
        message = f"{len(report.outputs)} outputs, at most {IMAGES_MAX} are stored"
        raise LinkDead(message)
    # Of several, a look before this one may have stored the first before its time was over.
    assets = await _kept(world, task, len(report.outputs)) if len(report.outputs) > 1 else []
    for n in range(len(assets), len(report.outputs)):
        assets.append(await _store(world, task, channel, n, report.outputs[n]))
    return tuple(assets)


async def forget_outputs(world: World, task: Task) -> None:
    """Delete what was stored of a task's job that did not succeed. Raises `ObjectsUnavailable`."""
    await world.objects.delete([asset_key(task.id, n) for n in range(IMAGES_MAX)])


async def forget_outputs_of_ended(world: World, task: Task) -> None:
    """Do so once the task has ended, which stands. No row names its outputs, so no sweep finds those that are left."""
    try:
        await forget_outputs(world, task)
    except ObjectsUnavailable as error:
        _log.error("outputs_left", task=task.id, keys=f"{asset_key(task.id, 0)} and on", error=str(error))


async def _kept(world: World, task: Task, count: int) -> list[Asset]:
    """Give the first outputs as far as they are stored: one after the other, each whole or not at all."""
    kept: list[Asset] = []
    for n in range(count):
        try:
            stored = await _read_back(world, asset_key(task.id, n))
        except ObjectMissing:
            break
        if _fault_of(task, stored):
            break
        kept.append(_asset(world, task, n, stored))
    return kept


async def _read_back(world: World, key: str) -> Stored:
    """Look at an object as `put` did. Raises `ObjectMissing`."""
    found = await world.objects.get(key)
    digest, head = hashlib.sha256(), bytearray()
    async for chunk in found.chunks:
        digest.update(chunk)
        head += chunk[: HEAD_BYTES - len(head)]
    return Stored(key=key, sha256=digest.hexdigest(), size=found.size, head=bytes(head))


async def _store(world: World, task: Task, channel: Channel, n: int, output: Output) -> Asset:
    trusted = frozenset({origin_of(channel.base_url)})
    try:
        async with world.guard.download(
            output.url, bytes_max=OUTPUT_BYTES_MAX, timeout_s=DOWNLOAD_S_MAX, trusted_origins=trusted
        ) as reply:
            if reply.status != _OK:
                message = f"status {reply.status}"
                raise LinkDead(message) if reply.status in _DEAD else OutputUnreachable(message)
            return await _put(world, task, n, reply.chunks)
    except _NEVER as error:
        raise LinkDead(str(error)) from error
    except UpstreamError as error:
        raise OutputUnreachable(str(error)) from error


async def _put(world: World, task: Task, n: int, chunks: AsyncIterator[bytes]) -> Asset:
    world.failpoints.hit("asset.before_put")
    stored = await world.objects.put(asset_key(task.id, n), chunks, bytes_max=OUTPUT_BYTES_MAX)
    world.failpoints.hit("asset.after_put")
    fault = _fault_of(task, stored)
    if fault is not None:
        await world.objects.delete([stored.key])
        raise LinkDead(fault)
    return _asset(world, task, n, stored)


def _fault_of(task: Task, stored: Stored) -> str | None:
    """Say why a file that came with a status of success is no output after all."""
    if stored.size == 0:
        return "the file is empty"
    if task.kind == "image" and is_message(stored.head):
        return "the file is a page or a message, no picture"
    return None


def _asset(world: World, task: Task, n: int, stored: Stored) -> Asset:
    size = image_size(stored.head)
    now = world.clock.now()
    return Asset(
        task_id=task.id,
        n=n,
        account_id=task.account_id,
        project_id=task.project_id,
        livemode=task.livemode,
        object_key=stored.key,
        sha256=stored.sha256,
        bytes=stored.size,
        content_type=sniff(stored.head),
        width=size[0] if size else None,
        height=size[1] if size else None,
        created_at=now,
        expires_at=now + world.settings.retention_days * DAY_US,
    )
