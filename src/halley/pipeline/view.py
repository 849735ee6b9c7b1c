"""A task as its caller may see it: no vendor id, no vendor link and no vendor cost but inside the raw reply."""

from collections.abc import Mapping, Sequence
from typing import Any

from halley.assets import Asset, ObjectMissing
from halley.assets.objects import ObjectTooLarge, read_bytes
from halley.assets.rules import extension
from halley.assets.store import assets_of
from halley.kernel import codec, links
from halley.kernel.order import Report, ReportState
from halley.pipeline.events import open_webhook
from halley.tasks import Task, TaskState
from halley.vendors.contract import AssetView, Dialect, TaskView, ViewState
from halley.world import World

_NOTHING_HEARD = Report(state=ReportState.RUNNING, word="")

_SHOWN: Mapping[TaskState, ViewState] = {
    TaskState.SUBMITTING: ViewState.STARTING,
    TaskState.UNKNOWN: ViewState.RUNNING,
    TaskState.SUCCEEDED: ViewState.SUCCEEDED,
    TaskState.FAILED: ViewState.FAILED,
    TaskState.CANCELLED: ViewState.CANCELLED,
}


def show(
    world: World, task: Task, assets: Sequence[Asset], *, base_url: str, body: dict[str, Any] | None = None
) -> TaskView:
    """Build the view from the rows alone."""
    report = task.report or _NOTHING_HEARD
    vendor = world.vendors.get(task.vendor)
    kept = [asset for asset in assets if asset.deleted_at is None]
    return TaskView(
        id=task.id,
        state=_state(task, report),
        model=task.model,
        dialect=task.dialect,
        livemode=task.livemode,
        kind=task.kind,
        vendor_format=vendor.format if vendor and task.report else None,
        raw=report.raw,
        word=task.word,
        progress=task.progress,
        facts=report.facts,
        measured=task.measured,
        body=_inline_body(task) if body is None else body,
        assets=tuple([asset_view(world, asset, base_url) for asset in kept]),
        outputs_expired=task.state == TaskState.SUCCEEDED and bool(assets) and not kept,
        failure=task.failure,
        cost=task.cost,
        created_at=task.created_at,
        started_at=task.started_at,
        ended_at=task.ended_at,
        webhook=None if task.webhook is None else open_webhook(world, task.id, task.webhook),
        base_url=base_url,
    )


async def load(world: World, task: Task, *, base_url: str, dialect: Dialect | None) -> TaskView:
    """Build the view of one task, its outputs and, where the format shows it, its body read as well."""
    made: tuple[Asset, ...] = ()
    if task.state == TaskState.SUCCEEDED:
        made = (await world.db.read(lambda tx: assets_of(tx, [task.id]))).get(task.id, ())
    return show(world, task, made, base_url=base_url, body=await read_body(world, task, dialect))


def asset_view(world: World, asset: Asset, base_url: str) -> AssetView:
    """Give an output with its signed link."""
    path = links.asset_path(asset.task_id, asset.n, extension(asset.content_type))
    url = links.sign(world.vault, base_url, path, links.link_expiry(world.clock.now(), asset.expires_at))
    return AssetView(
        url=url, content_type=asset.content_type, bytes=asset.bytes, width=asset.width, height=asset.height
    )


async def read_body(world: World, task: Task, dialect: Dialect | None) -> dict[str, Any] | None:
    """Read back a large body, only for formats that show what was sent; None when it is not needed or gone."""
    if task.body_object is None or dialect is None or not dialect.shows_input:
        return None
    try:
        body = await read_bytes(world.objects, task.body_object, bytes_max=world.settings.body_bytes_max)
    except (ObjectMissing, ObjectTooLarge):
        return None
    return codec.decode(body)


def _state(task: Task, report: Report) -> ViewState:
    if task.state == TaskState.RUNNING:
        heard = report.started_at is not None or (task.progress or 0) > 0
        return ViewState.RUNNING if heard else ViewState.STARTING
    return _SHOWN[task.state]


def _inline_body(task: Task) -> dict[str, Any] | None:
    return None if task.body is None else codec.decode(task.body)
