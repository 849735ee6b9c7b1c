"""`/v1/tasks`: every task of the caller's project in our own shape."""

import re

from halley.api.asgi import Reply, json_reply, reply_of
from halley.api.call import Call
from halley.api.cursors import read_cursor
from halley.api.endpoints.downloads import not_found, send_asset
from halley.api.endpoints.orders import CANCEL_BODY_BYTES_MAX, cost_headers, with_cursors
from halley.api.tasks_v1 import page_json, states_of, task_json
from halley.api.times import time_of, whole_number
from halley.kernel.faults import BadRequest, NotFound
from halley.pipeline import once, task
from halley.tasks import TaskFilter
from halley.vendors.contract import Answer, TaskView

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
WAIT_S_MAX = 60
NAME_LENGTH_MAX = 200

_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)


async def list_page(call: Call) -> Reply:
    """List tasks, newest first."""
    limit = whole_number(call.query, "limit", LIMIT_DEFAULT, (1, LIMIT_MAX))
    before, after = read_cursor(call.query.get("cursor"))
    which = TaskFilter(
        states=states_of(call.query.get("state")),
        model=_name(call, "model"),
        dialect=_name(call, "dialect"),
        created_from=time_of(call.query, "created_after"),
        created_before=time_of(call.query, "created_before"),
        before=before,
        after=after,
    )
    page = await task.page(call.world, call.caller, which, call.context(), limit=limit)
    return json_reply(page_json(with_cursors(page)))


async def fetch(call: Call) -> Reply:
    """Show a task; `wait` holds the answer until it has ended, at most so many seconds."""
    wait_s = whole_number(call.query, "wait", 0, (0, WAIT_S_MAX))
    asked = call.params["id"]
    if wait_s:
        return reply_of(_shown(await task.wait_ended(call.world, call.caller, asked, call.context(), seconds=wait_s)))
    reply = await task.answer(call.world, call.caller, asked, call.base_url, _reply)
    if reply is None:
        raise _missing()
    return reply


async def cancel(call: Call) -> Reply:
    """Cancel a task; 409 where its vendor cannot."""
    context = call.context()
    await call.body(CANCEL_BODY_BYTES_MAX).read()

    async def act() -> Answer:
        view = await task.cancel(call.world, call.caller, call.params["id"], context, shows_unchanged=False)
        return _shown(view)

    return reply_of(await once.run_once(call.world, call.caller, context, {}, act))


async def output(call: Call) -> Reply:
    """Send one output of a task to whoever holds a key of its project."""
    view = await task.fetch(call.world, call.caller, call.params["id"], call.context())
    if view is None:
        raise _missing()
    if not _NUMBER.fullmatch(call.params["n"]):
        raise not_found()
    return await send_asset(call, view.id, int(call.params["n"]))


def _shown(view: TaskView | None) -> Answer:
    if view is None:
        raise _missing()
    return Answer(status=200, body=task_json(view), headers=cost_headers(view))


def _reply(view: TaskView) -> Reply:
    return reply_of(_shown(view))


def _missing() -> NotFound:
    return NotFound("There is no such task; `GET /v1/tasks` lists yours", param="id")


def _name(call: Call, field: str) -> str | None:
    text = call.query.get(field) or None
    if text is not None and len(text) > NAME_LENGTH_MAX:
        raise BadRequest(f"`{field}` is longer than {NAME_LENGTH_MAX} characters", param=field)
    return call.world.catalogue.public_id(text) if text is not None and field == "model" else text
