"""Our own file and asset links given as inputs: a vendor cannot open them, so they become its upload, or base64."""

import asyncio
import re
from base64 import b64encode

import msgspec

from halley.accounts.model import Caller
from halley.assets import Asset, File, ObjectMissing, ObjectTooLarge, store
from halley.assets.objects import read_bytes
from halley.assets.rules import extension
from halley.kernel import links, pointer
from halley.kernel.faults import BadRequest, OutcomeUnknown, VendorBroken
from halley.kernel.order import ImageOrder
from halley.pipeline.choose import Attempt
from halley.pipeline.request import RequestContext, Submission
from halley.pipeline.trouble import About
from halley.pipeline.vendor import call_vendor
from halley.vendors.contract import tasks_of
from halley.world import World

INPUT_BYTES_MAX = 20 * 1024 * 1024
OWN_INPUTS_MAX = 32
"""Files of ours in one order: all of them are in memory until a vendor has taken it."""

_FILE_OR_OUTPUT = re.compile(r"/assets/[^/]+/[^/]+|(?:/\w+/v1)?/files/[^/]+(?:/download)?", re.ASCII)


class OwnInput(msgspec.Struct, frozen=True, kw_only=True):
    """A file of ours that an order names."""

    name: str
    content_type: str
    data: bytes


OwnInputs = dict[str, OwnInput]
"""By the pointer of the field that named it."""


async def load_own_inputs(world: World, submission: Submission) -> OwnInputs:
    """Read the files of ours that the order names. Raises `BadRequest` for a link that has expired or is not theirs."""
    order, request = submission.order, submission.request
    named: dict[str, tuple[str, str]] = {}
    for image in order.images:
        if own := _own_path(world, image.source, request):
            named[image.pointer] = own
    if any(isinstance(value, dict | list) for value in order.extras.values()):
        # In a thread, since a body may have 64 MB.
        named |= await asyncio.to_thread(_named_in_extras, world, order, request)
    else:
        named |= _named_in_extras(world, order, request)
    if len(named) > OWN_INPUTS_MAX:
        message = f"The order names {len(named)} files of this gateway; it may name at most {OWN_INPUTS_MAX}"
        raise BadRequest(message, param=_field(order.extras_at) or None)
    return {place: await _load(world, submission.caller, place, own) for place, own in named.items()}


async def carry(world: World, attempt: Attempt, order: ImageOrder, own: OwnInputs, about: About) -> ImageOrder:
    """Put each file of ours into the order in a form that this vendor can open. Raises faults of an upload."""
    for place, file in own.items():
        order = _with_source(order, place, await _form(world, attempt, file, about))
    return order


def _named_in_extras(world: World, order: ImageOrder, request: RequestContext) -> dict[str, tuple[str, str]]:
    """Find links in fields that nobody here knows: those to files and outputs, as others may be meant as they are."""
    named: dict[str, tuple[str, str]] = {}
    for place, text in pointer.strings(order.extras, order.extras_at):
        own = _own_path(world, text, request)
        if own is not None and _FILE_OR_OUTPUT.fullmatch(own[0]):
            named[place] = own
    return named


def _own_path(world: World, source: str, request: RequestContext) -> tuple[str, str] | None:
    for base in (request.base_url, world.base_url, world.bound_url):
        if base and (own := links.own_part(base, source)):
            return own
    return None


async def _load(world: World, caller: Caller, place: str, own: tuple[str, str]) -> OwnInput:
    found = await _locate(world, caller, *own)
    if found is None:
        raise _gone(place)
    try:
        data = await read_bytes(world.objects, found.object_key, bytes_max=INPUT_BYTES_MAX)
    except ObjectMissing as error:
        raise _gone(place) from error
    except ObjectTooLarge as error:
        message = f"`{_field(place)}` has {found.bytes:,} bytes; an input file may have at most {INPUT_BYTES_MAX:,}"
        raise BadRequest(message, param=_field(place)) from error
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


def _field(place: str) -> str:
    return place[1:].replace("/", ".")


def _gone(place: str) -> BadRequest:
    message = f"`{_field(place)}` names a file of this gateway that is not there, has expired, or is not yours"
    return BadRequest(message, param=_field(place))


async def _form(world: World, attempt: Attempt, file: OwnInput, about: About) -> str:
    upload = tasks_of(attempt.vendor).upload
    if upload is None:
        return b64encode(file.data).decode()
    call = upload.write(file.name, file.content_type, file.data)
    try:
        reply = await call_vendor(world, attempt.channel, call, operation="upload", about=about)
        return upload.read(reply)
    except (OutcomeUnknown, ValueError) as error:
        # Whatever became of the upload, the order was not sent.
        raise VendorBroken("The vendor did not take an input file") from error


def _with_source(order: ImageOrder, place: str, source: str) -> ImageOrder:
    images = tuple(msgspec.structs.replace(one, source=source) if one.pointer == place else one for one in order.images)
    return msgspec.structs.replace(order, images=images, body=pointer.replaced(order.body, place, source))
