"""Our own file and asset links given as inputs: a vendor cannot open them, so they become its upload, or base64."""

from base64 import b64encode

import msgspec

from halley.accounts.model import Caller
from halley.assets import Asset, File, ObjectMissing, ObjectTooLarge, store
from halley.assets.objects import read_bytes
from halley.assets.rules import extension
from halley.kernel import links, pointer
from halley.kernel.faults import BadRequest, OutcomeUnknown, VendorBroken
from halley.kernel.order import ImageInput, ImageOrder
from halley.pipeline.choose import Attempt
from halley.pipeline.request import RequestContext, Submission
from halley.pipeline.vendor import call_vendor
from halley.vendors.contract import tasks_of
from halley.world import World

INPUT_BYTES_MAX = 20 * 1024 * 1024


class OwnInput(msgspec.Struct, frozen=True, kw_only=True):
    """A file of ours that an order names."""

    name: str
    content_type: str
    data: bytes


OwnInputs = dict[str, OwnInput]
"""By the pointer of the field that named it."""


async def load_own_inputs(world: World, submission: Submission) -> OwnInputs:
    """Read the files of ours that the order names. Raises `BadRequest` for a link that has expired or is not theirs."""
    found: OwnInputs = {}
    for image in submission.order.images:
        own = _own_path(world, image.source, submission.request)
        if own is not None:
            found[image.pointer] = await _load(world, submission.caller, image, own)
    return found


async def carry(world: World, attempt: Attempt, order: ImageOrder, own: OwnInputs) -> ImageOrder:
    """Put each file of ours into the order in a form that this vendor can open. Raises faults of an upload."""
    for image in order.images:
        if image.pointer in own:
            source = await _form(world, attempt, own[image.pointer])
            order = _with_source(order, image, source)
    return order


def _own_path(world: World, source: str, request: RequestContext) -> tuple[str, str] | None:
    for base in (request.base_url, world.base_url, world.bound_url):
        if base and (own := links.own_part(base, source)):
            return own
    return None


async def _load(world: World, caller: Caller, image: ImageInput, own: tuple[str, str]) -> OwnInput:
    found = await _locate(world, caller, *own)
    if found is None:
        raise _gone(image)
    try:
        data = await read_bytes(world.objects, found.object_key, bytes_max=INPUT_BYTES_MAX)
    except ObjectMissing as error:
        raise _gone(image) from error
    except ObjectTooLarge as error:
        message = f"`{_field(image)}` has {found.bytes:,} bytes; an input image may have at most {INPUT_BYTES_MAX:,}"
        raise BadRequest(message, param=_field(image)) from error
    name = found.name if isinstance(found, File) else f"{found.n}{extension(found.content_type)}"
    return OwnInput(name=name, content_type=found.content_type, data=data)


async def _locate(world: World, caller: Caller, path: str, query: str) -> Asset | File | None:
    """A signed link opens for whoever has it; a bare file URL (`…/files/ID`) only for its own project."""
    now = world.clock.now()
    if links.verify(world.vault, path, query, now) == links.LinkState.VALID:
        match links.place_of(path):
            case links.AssetPlace(task_id=task_id, n=n):
                asset = await world.db.read(lambda tx: store.asset(tx, task_id, n))
                return asset if asset and asset.deleted_at is None else None
            case links.FilePlace(file_id=file_id):
                return await world.db.read(lambda tx: store.linked_file(tx, file_id, now))
            case None:
                return None
    _, _, rest = path.partition("/files/")
    file_id, project_id, livemode = rest.partition("/")[0], caller.project_id, caller.livemode
    return await world.db.read(
        lambda tx: store.own_file(tx, file_id, project_id=project_id, livemode=livemode, now=now)
    )


def _field(image: ImageInput) -> str:
    return image.pointer[1:].replace("/", ".")


def _gone(image: ImageInput) -> BadRequest:
    message = f"`{_field(image)}` names a file of this gateway that is not there, has expired, or is not yours"
    return BadRequest(message, param=_field(image))


async def _form(world: World, attempt: Attempt, file: OwnInput) -> str:
    upload = tasks_of(attempt.vendor).upload
    if upload is None:
        return b64encode(file.data).decode()
    call = upload.write(file.name, file.content_type, file.data)
    try:
        reply = await call_vendor(world, attempt.channel, call, operation="upload")
        return upload.read(reply)
    except (OutcomeUnknown, ValueError) as error:
        # Whatever became of the upload, the order was not sent.
        raise VendorBroken("The vendor did not take an input file") from error


def _with_source(order: ImageOrder, image: ImageInput, source: str) -> ImageOrder:
    images = tuple(
        msgspec.structs.replace(one, source=source) if one.pointer == image.pointer else one for one in order.images
    )
    return msgspec.structs.replace(order, images=images, body=pointer.replaced(order.body, image.pointer, source))
