"""Outputs become assets: streamed from the vendor's link into our store, before the task may count as succeeded."""

from collections.abc import AsyncIterator

from halley.assets import Asset, ObjectTooLarge
from halley.assets.rules import asset_key, image_size, sniff
from halley.catalogue.meters import measured_outputs
from halley.kernel.clock import MICROSECONDS
from halley.kernel.order import IMAGES_MAX, Output, Report
from halley.pipeline.vendor import origin_of
from halley.routing import Channel
from halley.tasks import Task
from halley.upstream.errors import UpstreamError
from halley.world import World

OUTPUT_BYTES_MAX = 512 * 1024 * 1024
DOWNLOAD_S_MAX = 90
DAY_US = 24 * 3600 * MICROSECONDS
_OK = 200
_DEAD = frozenset({400, 401, 403, 404, 410})


class LinkDead(Exception):
    """The vendor's link does not lead to the output any more."""


class OutputUnreachable(Exception):
    """The output could not be fetched this time."""


async def mirror(
    world: World, task: Task, channel: Channel, report: Report
) -> tuple[tuple[Asset, ...], dict[str, int]]:
    """Store every output of a report; give their rows and what they count by meter.

    Raises `LinkDead`, or `OutputUnreachable` when a later try may succeed.
    """
    if not report.outputs:
        raise LinkDead
    if len(report.outputs) > IMAGES_MAX:
        message = f"{len(report.outputs)} outputs, at most {IMAGES_MAX} are stored"
        raise OutputUnreachable(message)
    assets = tuple([await _store(world, task, channel, n, output) for n, output in enumerate(report.outputs)])
    sizes = [(asset.width, asset.height) for asset in assets if asset.width and asset.height]
    return assets, measured_outputs(sizes) if len(sizes) == len(assets) else {}


async def _store(world: World, task: Task, channel: Channel, n: int, output: Output) -> Asset:
    trusted = frozenset({origin_of(channel.base_url)})
    try:
        async with world.guard.download(
            output.url, bytes_max=OUTPUT_BYTES_MAX, timeout_s=DOWNLOAD_S_MAX, trusted_origins=trusted
        ) as reply:
            if reply.status in _DEAD:
                raise LinkDead
            if reply.status != _OK:
                message = f"status {reply.status}"
                raise OutputUnreachable(message)
            return await _put(world, task, n, reply.chunks)
    except (UpstreamError, ObjectTooLarge) as error:
        raise OutputUnreachable(str(error)) from error


async def _put(world: World, task: Task, n: int, chunks: AsyncIterator[bytes]) -> Asset:
    world.failpoints.hit("asset.before_put")
    stored = await world.objects.put(asset_key(task.id, n), chunks, bytes_max=OUTPUT_BYTES_MAX)
    world.failpoints.hit("asset.after_put")
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
