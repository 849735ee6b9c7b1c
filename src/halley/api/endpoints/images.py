"""Pictures in one call: by a vendor that answers at once, or by one that takes tasks, which are waited for."""

import asyncio
from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

import msgspec

from halley.api.asgi import ClientLeft, Reply, reply_of
from halley.api.call import Call
from halley.api.endpoints.answers import DEFAULT_MODELS, public_model, read_body, relay_body
from halley.assets import store as assets
from halley.assets.objects import read_bytes
from halley.kernel import links
from halley.kernel.body import FormBody, FormPart, JsonBody
from halley.kernel.faults import NotFound
from halley.kernel.operation import Operation
from halley.pipeline import call as orders
from halley.vendors.contract import Answer
from halley.world import World

DIALECT = "openai"
PICTURE_BYTES_MAX = 64 * 1024 * 1024
_OK = 200


async def draw(call: Call) -> Reply:
    """Generate, edit or vary pictures."""
    operation = call.entry.route.operation
    assert operation is not None
    body = await read_body(call, operation)
    named = body.text("model") or DEFAULT_MODELS[operation]
    if operation is Operation.IMAGE_VARIATIONS or not _by_task(call.world, public_model(call.world, named)):
        return await relay_body(call, operation, body)
    fields: dict[str, object] = {**_fields(body), "model": named}
    answer = await _ordered(call, fields)
    if answer.status == _OK and fields.get("response_format") == "b64_json":
        answer = await _inlined(call, answer)
    return reply_of(answer)


async def _ordered(call: Call, fields: dict[str, object]) -> Answer:
    """Order, and wait. Who hangs up wants no picture, but for one with a key, who can ask for the same again."""
    context, unwanted = call.context(), asyncio.Event()
    if context.idempotency_key is None:
        context = msgspec.structs.replace(context, unwanted=unwanted)
    work = orders.submit(call.world, call.caller, call.world.dialects[DIALECT], call.incoming(fields), context)
    try:
        return await call.client.while_there(work)
    except ClientLeft:
        unwanted.set()
        raise


def _by_task(world: World, model: str) -> bool:
    """Whether only vendors that take tasks draw with this model."""
    rows = world.catalogue.models.get(model, {})
    vendors = [world.vendors[name] for name in rows if name in world.vendors]
    return bool(vendors) and all(vendor.tasks is not None for vendor in vendors)


def _fields(body: JsonBody | FormBody) -> dict[str, Any]:
    """Give the fields as JSON would have them; files become data URLs."""
    if isinstance(body, JsonBody):
        return body.whole()
    fields: dict[str, Any] = {}
    images: list[str] = []
    for part in body.parts:
        if part.filename is None:
            fields[part.name.removesuffix("[]")] = part.data.decode("utf-8", "replace")
        elif part.name.removesuffix("[]") == "image":
            images.append(_data_url(part))
        else:
            fields[part.name] = _data_url(part)
    return {**fields, "image": images[0] if len(images) == 1 else images} if images else fields


def _data_url(part: FormPart) -> str:
    return f"data:{part.content_type or 'application/octet-stream'};base64,{b64encode(part.data).decode()}"


async def _inlined(call: Call, answer: Answer) -> Answer:
    """Put the pictures themselves in the place of their links."""
    data = [{"b64_json": b64encode(await _picture(call, item["url"])).decode()} for item in answer.body["data"]]
    return msgspec.structs.replace(answer, body={**answer.body, "data": data})


async def _picture(call: Call, url: str) -> bytes:
    """Read what one of our own links leads to; one that was kept for a repeat may have another base than this call."""
    place = links.place_of(links.ASSETS + urlsplit(url).path.rpartition(links.ASSETS)[2])
    assert isinstance(place, links.AssetPlace), url
    asset = await call.world.db.read(lambda tx: assets.asset(tx, place.task_id, place.n))
    if asset is None or asset.deleted_at is not None:
        raise NotFound("The picture was deleted when its retention ended; order it again")
    return await read_bytes(call.world.objects, asset.object_key, bytes_max=PICTURE_BYTES_MAX)
