"""Bytes out: outputs of tasks and uploaded files, by signed link or by key, whole or in part, never redirected."""

import msgspec

from halley.api.asgi import Reply
from halley.api.call import Call
from halley.assets import Asset, store
from halley.assets.rules import byte_range, extension, response_headers
from halley.kernel import links
from halley.kernel.faults import Forbidden, NotFound
from halley.kernel.ids import TaskId
from halley.kernel.links import AssetPlace, FilePlace, LinkState

CACHED = "private, max-age=3600"
"""What a link leads to never changes, but its holder may lose it."""
PARTIAL, UNCHANGED, OUT_OF_RANGE = 206, 304, 416


class LinkExpired(Forbidden):
    """The link was ours and is over."""

    code = "link_expired"


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """Something stored that is to be sent."""

    object_key: str
    name: str
    content_type: str
    bytes: int
    sha256: str


async def linked(call: Call) -> Reply:
    """Send what a signed link names. No key is asked for, and none is looked at."""
    place = links.place_of(call.path)
    state = links.verify(call.world.vault, call.path, call.query_text, call.world.clock.now())
    if place is None or state is LinkState.INVALID:
        raise not_found()
    if state is LinkState.EXPIRED:
        raise LinkExpired("The link has expired; fetch the task or the file again for a new one")
    match place:
        case AssetPlace(task_id=task_id, n=n):
            return await send_asset(call, task_id, n)
        case FilePlace(file_id=file_id):
            return await send_linked_file(call, file_id)


async def send_asset(call: Call, task_id: TaskId, n: int) -> Reply:
    """Send an output; that it may be seen was decided before."""
    asset = await call.world.db.read(lambda tx: store.asset(tx, task_id, n))
    if asset is None:
        raise not_found()
    if asset.deleted_at is not None:
        raise NotFound("The file was deleted when its retention ended; order it again")
    return await send(call, _download(asset))


async def send_linked_file(call: Call, file_id: str) -> Reply:
    """Send an uploaded file; that its link holds was decided before."""
    now = call.world.clock.now()
    file = await call.world.db.read(lambda tx: store.linked_file(tx, file_id, now))
    if file is None:
        raise not_found()
    return await send(call, msgspec.convert(file, Download, from_attributes=True))


async def send(call: Call, what: Download) -> Reply:
    """Send it, or the part that was asked for, or word that the caller has it already."""
    etag = f'"{what.sha256}"'
    common = (
        ("etag", etag),
        ("accept-ranges", "bytes"),
        ("cache-control", CACHED),
        *response_headers(what.content_type, what.name),
    )
    if _is_known(call.headers.get("if-none-match"), etag):
        return Reply(status=UNCHANGED, headers=common)
    try:
        span = _span(call, what, etag)
    except ValueError:
        headers = (*common[:3], ("content-range", f"bytes */{what.bytes}"))
        return Reply(status=OUT_OF_RANGE, headers=headers)
    start, end = span or (0, what.bytes)
    headers = common if span is None else (*common, ("content-range", f"bytes {start}-{end - 1}/{what.bytes}"))
    status = 200 if span is None else PARTIAL
    if call.method == "HEAD" or start == end:
        return Reply(status=status, headers=headers, length=end - start)
    found = await call.world.objects.get(what.object_key, start=start, end=None if span is None else end)
    return Reply(status=status, headers=headers, chunks=found.chunks, length=found.end - found.start)


def not_found() -> NotFound:
    return NotFound("There is no such file, or the link to it is not whole")


def _span(call: Call, what: Download, etag: str) -> tuple[int, int] | None:
    """Read which part is asked for. Raises `ValueError` for one that lies outside."""
    wanted = call.headers.get("range")
    if wanted is None or call.headers.get("if-range", etag) != etag:
        return None
    return byte_range(wanted, what.bytes)


def _is_known(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in header.split(","))


def _download(asset: Asset) -> Download:
    return Download(
        object_key=asset.object_key,
        name=f"{asset.task_id}-{asset.n}{extension(asset.content_type)}",
        content_type=asset.content_type,
        bytes=asset.bytes,
        sha256=asset.sha256,
    )
