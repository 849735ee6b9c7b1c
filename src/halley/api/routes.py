"""The route table: every dialect's routes, and our own. What is not in it is 404."""

from collections.abc import Mapping

import halley
from halley.api import errors
from halley.api.answer_routes import answer_entries
from halley.api.asgi import Reply
from halley.api.call import Access, Call, Entry, Handler
from halley.api.endpoints import account, downloads, files, models, orders, own_tasks, system
from halley.api.reference import describe
from halley.api.tasks_v1 import TaskJson, TaskPageJson
from halley.kernel import codec
from halley.vendors.contract import Action, Dialect, Route

TASKS, ACCOUNT, FILES, SYSTEM = "Tasks", "Account", "Files", "System"
BYTES = "*/*"
"""Downloads have the type of what was stored."""

_HANDLERS: Mapping[Action, Handler] = {
    Action.SUBMIT: orders.submit,
    Action.FETCH: orders.fetch,
    Action.LIST: orders.list_page,
    Action.CANCEL: orders.cancel,
    Action.LOOKUP: orders.look_up,
    Action.WEBHOOK_SECRET: orders.webhook_secret,
    Action.FILE_CREATE: files.create,
    Action.FILE_FETCH: files.fetch,
    Action.FILE_LIST: files.list_page,
    Action.FILE_DELETE: files.delete,
    Action.FILE_DOWNLOAD: files.download,
}
_LIST_QUERY = {
    "limit": "How many at most",
    "cursor": "Where to go on, from `next_cursor`",
    "state": "Only these states, with commas; `starting` and `running` both select all that have not ended",
    "model": "Only this model",
    "dialect": "Only those ordered in this format",
    "created_after": "Only those created at or after this time (RFC 3339 or Unix seconds)",
    "created_before": "Only those created before this time",
}
_QUOTA_QUERY = {
    "key": "The key, where it is not in a header",
    "start_date": "With `end_date`: also what was used on each day from this one (`2026-11-01`, UTC)",
    "end_date": "The last day",
}


def table(dialects: Mapping[str, Dialect]) -> tuple[Entry, ...]:
    """Build all entries. Raises `AssertionError` when two could answer the same request."""
    reference = _Reference()
    entries = (
        *(_of_dialect(dialect, route) for dialect in dialects.values() for route in dialect.routes),
        *answer_entries(),
        *_tasks(),
        *_account(),
        *_files(),
        *_system(),
        _open("/openapi.json", reference, "The API reference: this document", draining=True),
    )
    reference.entries = entries
    return entries


class _Reference:
    """Gives the API reference, written once."""

    def __init__(self) -> None:
        self.entries: tuple[Entry, ...] = ()
        self._body = b""

    async def __call__(self, call: Call) -> Reply:
        """Give the document."""
        del call
        if not self._body:
            self._body = codec.encode(describe(self.entries, halley.__version__))
        headers = (("content-type", "application/json"), ("cache-control", "no-cache"))
        return Reply(headers=(*headers, ("x-content-type-options", "nosniff")), body=self._body)


def _of_dialect(dialect: Dialect, route: Route) -> Entry:
    is_download = route.action is Action.FILE_DOWNLOAD
    return Entry(
        route=route,
        handler=_HANDLERS[route.action],
        render_fault=dialect.render_fault,
        tag=dialect.title,
        dialect=dialect,
        access=Access.KEY_OR_LINK if is_download else Access.KEY,
        reply_type=BYTES if is_download else "application/json",
    )


def _tasks() -> tuple[Entry, ...]:
    listing = Route(
        method="GET",
        path="/v1/tasks",
        action=Action.LIST,
        summary="List tasks of every format, newest first",
        reply=TaskPageJson,
        query=_LIST_QUERY,
    )
    fetching = Route(
        method="GET",
        path="/v1/tasks/{id}",
        action=Action.FETCH,
        summary="Fetch a task, by any spelling of its id",
        reply=TaskJson,
        query={"wait": "Hold the answer until the task has ended, at most so many seconds (0 to 60)"},
    )
    cancelling = Route(
        method="POST",
        path="/v1/tasks/{id}/cancel",
        action=Action.CANCEL,
        summary="Cancel a task; 409 where its vendor cannot",
        reply=TaskJson,
    )
    output = Route(
        method="GET",
        path="/v1/tasks/{id}/outputs/{n}",
        action=Action.FILE_DOWNLOAD,
        summary="Download an output of a task; `n` counts from 0",
    )
    return (
        _own(listing, own_tasks.list_page, TASKS),
        _own(fetching, own_tasks.fetch, TASKS),
        _own(cancelling, own_tasks.cancel, TASKS),
        _own(output, own_tasks.output, TASKS, reply_type=BYTES),
    )


def _account() -> tuple[Entry, ...]:
    listing = Route(
        method="GET",
        path="/v1/models",
        action=Action.LOOKUP,
        summary="List the models that the key may use",
        reply=models.ModelList,
    )
    model = Route(
        method="GET",
        path="/v1/models/{model}",
        action=Action.LOOKUP,
        summary="Look up a model",
        reply=models.ModelCard,
    )
    return (
        _own(listing, models.list_models, ACCOUNT, shared=True),
        _own(model, models.get_model, ACCOUNT, shared=True),
        *_gemini_models(),
        _quota("/user/quota", listed=True),
        _quota("/user/quota/", listed=False),
    )


def _gemini_models() -> tuple[Entry, ...]:
    listing = Route(
        method="GET",
        path="/v1beta/models",
        action=Action.LOOKUP,
        summary="List the models that chat or embed, in Google's shape",
        query={"pageSize": "How many at most", "pageToken": "Where to go on, from `nextPageToken`"},
    )
    model = Route(
        method="GET", path="/v1beta/models/{model}", action=Action.LOOKUP, summary="Look up a model, in Google's shape"
    )
    return tuple(
        Entry(route=route, handler=handler, render_fault=errors.render_gemini, tag=ACCOUNT)
        for route, handler in ((listing, models.list_gemini), (model, models.get_gemini))
    )


def _quota(path: str, *, listed: bool) -> Entry:
    return Entry(
        route=Route(
            method="GET",
            path=path,
            action=Action.LOOKUP,
            summary="The account's balance in US dollars, also for a key that has none left",
            reply=account.Quota,
            query=_QUOTA_QUERY,
        ),
        handler=account.quota,
        render_fault=errors.render_plain,
        tag=ACCOUNT,
        listed=listed,
    )


def _files() -> tuple[Entry, ...]:
    asset = Route(
        method="GET",
        path="/assets/{task}/{n}",
        action=Action.FILE_DOWNLOAD,
        summary="Download an output by its signed link; no key is needed",
        query={"expires": "When the link ends, in Unix seconds", "signature": "The link's signature"},
    )
    file = Route(
        method="GET",
        path="/files/{id}",
        action=Action.FILE_DOWNLOAD,
        summary="Download an uploaded file by its signed link; no key is needed",
        query=asset.query,
    )
    return tuple(
        Entry(
            route=route,
            handler=downloads.linked,
            render_fault=errors.render_openai,
            tag=FILES,
            access=Access.LINK,
            while_draining=True,
            reply_type=BYTES,
        )
        for route in (asset, file)
    )


def _system() -> tuple[Entry, ...]:
    callback = Route(
        method="POST",
        path="/callbacks/{vendor}/{token}",
        action=Action.LOOKUP,
        summary="Where vendors tell that a task moved",
    )
    return (
        _open("/", system.root, "What this is"),
        _open("/health/liveness", system.liveness, "Whether the process answers", draining=True),
        _open("/health/liveliness", system.liveness, "The same", draining=True, listed=False),
        _open("/healthz", system.liveness, "The same", draining=True, listed=False),
        _open("/health/readiness", system.readiness, "Whether the process takes calls", draining=True),
        _open("/metrics", system.metrics, "Figures for Prometheus; for this machine only", draining=True, listed=False),
        Entry(
            route=callback,
            handler=system.callback,
            render_fault=errors.render_openai,
            tag=SYSTEM,
            access=Access.OPEN,
            listed=False,
        ),
    )


def _own(
    route: Route, handler: Handler, tag: str, *, reply_type: str = "application/json", shared: bool = False
) -> Entry:
    render = errors.render_openai
    return Entry(route=route, handler=handler, render_fault=render, tag=tag, reply_type=reply_type, shared=shared)


def _open(path: str, handler: Handler, summary: str, *, draining: bool = False, listed: bool = True) -> Entry:
    return Entry(
        route=Route(method="GET", path=path, action=Action.LOOKUP, summary=summary),
        handler=handler,
        render_fault=errors.render_openai,
        tag=SYSTEM,
        access=Access.OPEN,
        while_draining=draining,
        listed=listed,
    )
