"""The operations of every dialect: order, fetch, list, cancel, look up."""

from fnmatch import fnmatchcase

import msgspec

from halley.api.asgi import Reply, json_reply, reply_of
from halley.api.call import Call
from halley.api.cursors import read_cursor, write_cursor
from halley.api.times import time_of
from halley.kernel.codec import decode_object
from halley.kernel.faults import BadRequest, Conflict
from halley.kernel.money import dollars
from halley.pipeline import call as orders
from halley.pipeline import once, task
from halley.pipeline.choose import is_task
from halley.tasks import TaskFilter
from halley.vendors.contract import Answer, Dialect, ModelView, Page, TaskView

PAGE_SIZE = 100
CANCEL_BODY_BYTES_MAX = 64 * 1024


async def submit(call: Call) -> Reply:
    """Take an order."""
    context = call.context()
    data = call.plain_json()
    if data is None:
        body = await call.body(call.world.settings.body_bytes_max).json()
    else:
        body = decode_object(data)
    return reply_of(await orders.submit(call.world, call.caller, call.dialect, call.incoming(body), context))


async def fetch(call: Call) -> Reply:
    """Show a task in this format, whichever it was ordered in."""
    asked, dialect = task_id(call), call.dialect

    def render(view: TaskView) -> Reply:
        return reply_of(_rendered(dialect, view))

    reply = await task.answer(call.world, call.caller, asked, call.base_url, render, dialect=dialect)
    return reply_of(dialect.render_missing(asked, call.id)) if reply is None else reply


async def list_page(call: Call) -> Reply:
    """List the tasks ordered in this format."""
    render = call.dialect.render_page
    assert render is not None
    before, after = read_cursor(call.query.get("cursor"))
    which = TaskFilter(
        dialect=call.dialect.name,
        created_from=time_of(call.query, "created_after"),
        created_before=time_of(call.query, "created_before"),
        before=before,
        after=after,
    )
    page = await task.page(call.world, call.caller, which, call.context(), limit=PAGE_SIZE)
    asked = {name: call.query[name] for name in ("created_after", "created_before") if name in call.query}
    return reply_of(render(with_cursors(msgspec.structs.replace(page, query=asked))))


async def cancel(call: Call) -> Reply:
    """Cancel a task. Its body, if there is one, says nothing."""
    asked = task_id(call)
    context = call.context()
    shows = call.dialect.cancel_refused_shows_task
    await call.body(CANCEL_BODY_BYTES_MAX).read()

    async def act() -> Answer:
        view = await task.cancel(call.world, call.caller, asked, context, shows_unchanged=shows, dialect=call.dialect)
        return _shown(call, asked, view)

    return reply_of(await once.run_once(call.world, call.caller, context, {}, act))


async def look_up(call: Call) -> Reply:
    """Answer from the catalogue, of the models that can be ordered as tasks."""
    answer = call.entry.route.lookup
    assert answer is not None
    models = tuple(view for view in models_of(call) if is_task(call.world, view.id))
    return reply_of(answer(call.incoming(), models, call.base_url))


async def webhook_secret(call: Call) -> Reply:
    """Give what signs the webhooks of the key's project and mode. Raises `Conflict` when it cannot be read any more."""
    try:
        secret = await task.webhook_secret(call.world, call.caller.project_id, livemode=call.caller.livemode)
    except ValueError as error:
        message = (
            "The secret of this project's webhooks was sealed with a gateway secret that is lost;"
            " the operator makes a new one with `halley webhooks rotate`"
        )
        raise Conflict(message) from error
    return json_reply({"key": secret})


def models_of(call: Call) -> tuple[ModelView, ...]:
    """List the models that this key may use."""
    globs, views = call.caller.models, call.world.catalogue.views()
    if globs is None:
        return views
    return tuple(view for view in views if any(fnmatchcase(view.id, glob) for glob in globs))


def task_id(call: Call) -> str:
    """Give the id that the path or the query names."""
    asked = call.params.get("id") or call.query.get("id")
    if not asked:
        raise BadRequest("`id` is missing; name the task, e.g. `?id=…`", param="id")
    return asked


def cost_headers(view: TaskView) -> dict[str, str]:
    """Say what a task cost, once it is known."""
    return {} if view.cost is None else {"halley-cost": dollars(view.cost)}


def with_cursors(page: Page) -> Page:
    """Give a page whose cursors say in which direction they go on."""
    return msgspec.structs.replace(
        page,
        next_cursor=write_cursor("after", page.next_cursor),
        previous_cursor=write_cursor("before", page.previous_cursor),
    )


def _shown(call: Call, asked: str, view: TaskView | None) -> Answer:
    if view is None:
        return call.dialect.render_missing(asked, call.id)
    return _rendered(call.dialect, view)


def _rendered(dialect: Dialect, view: TaskView) -> Answer:
    answer = dialect.render_task(view)
    return msgspec.structs.replace(answer, headers={**answer.headers, **cost_headers(view)})
