"""Responses that are kept: fetch, delete, cancel, and list what one was made from; whichever vendor made it."""

from typing import Any

from halley.api.asgi import Reply, json_reply
from halley.api.call import Call
from halley.kernel import codec
from halley.kernel.faults import BadRequest
from halley.pipeline.answers import stored
from halley.responses import rules

_ORDERS = ("asc", "desc")
_HEADERS = (("content-type", "application/json"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff"))


async def fetch(call: Call) -> Reply:
    """Give a response as it was shown first."""
    if call.query.get("stream", "false").lower() not in ("false", ""):
        raise BadRequest("`stream` is not offered here: the events of a response are not kept", param="stream")
    row = await stored.own(call.world, call.caller, call.params["id"])
    return Reply(headers=_HEADERS, body=await stored.response_of(call.world, row))


async def delete(call: Call) -> Reply:
    """Delete a response."""
    response_id = call.params["id"]
    await stored.delete(call.world, call.caller, response_id)
    return json_reply({"id": response_id, "object": "response", "deleted": True})


async def cancel(call: Call) -> Reply:
    """Refuse: what is kept has ended."""
    row = await stored.own(call.world, call.caller, call.params["id"])
    message = f"Cannot cancel a synchronous response. `{row.response_id}` was not made in the background, and has ended"
    raise BadRequest(message, param="response_id")


async def input_items(call: Call) -> Reply:
    """List what a response was made from."""
    query = call.query
    order = query.get("order", "desc")
    if order not in _ORDERS:
        raise BadRequest("`order` must be `asc` or `desc`", param="order")
    limit = _limit(query.get("limit"))
    row = await stored.own(call.world, call.caller, call.params["id"])
    items = rules.listed(await stored.turns_before(call.world, row), row.id)
    try:
        page = rules.page(items, after=query.get("after"), limit=limit, ascending=order == "asc")
    except ValueError as error:
        raise BadRequest("`after` must be the id of an item of this list", param="after") from error
    return Reply(headers=_HEADERS, body=codec.encode(_page(page)))


def _page(page: rules.Page) -> dict[str, Any]:
    items = page.items
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": page.has_more,
    }


def _limit(text: str | None) -> int:
    if text is None:
        return rules.PAGE_USUAL
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(rules.PAGE_MAX))):
        raise _bad_limit()
    if not 1 <= int(text) <= rules.PAGE_MAX:
        raise _bad_limit()
    return int(text)


def _bad_limit() -> BadRequest:
    return BadRequest(f"`limit` must be a number from 1 to {rules.PAGE_MAX}", param="limit")
