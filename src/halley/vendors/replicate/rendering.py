"""Shows a task as a prediction. Nothing of the vendor's own ids, links or costs gets through."""

import re
from typing import Any
from urllib.parse import urlencode

from halley.kernel.clock import MICROSECONDS, rfc3339
from halley.kernel.loose import as_list, as_object
from halley.kernel.pointer import rewritten
from halley.vendors.contract import Answer, FileView, Page, TaskView, ViewState, WebhookEvent
from halley.vendors.replicate.models import BY_ID, BY_NAME, DIGEST
from halley.vendors.replicate.reading import DIALECT_NAME

PREFIX = "/replicate/v1"
HIDDEN = "hidden"

_WORDS = {
    ViewState.STARTING: "starting",
    ViewState.RUNNING: "processing",
    ViewState.SUCCEEDED: "succeeded",
    ViewState.FAILED: "failed",
    ViewState.CANCELLED: "canceled",
}
# Written by us, or the vendor's own affair (`deployment`, `deadline`: of its account, of its clock).
_OURS = frozenset(
    (
        *("id", "model", "version", "input", "output", "status", "error", "source", "data_removed", "urls", "web"),
        *("created_at", "started_at", "completed_at", "webhook", "webhook_events_filter", "webhook_completed"),
        *("deployment", "deadline", "stream"),
    )
)
_MONEY = re.compile(r"cost|price|billing|billed|credit", re.IGNORECASE)
_LINK = re.compile(
    r"(?:https?|wss?)://[^\s\"'<>]+|\b(?:[\w-]+\.)*replicate\.(?:com|delivery)\b[^\s\"'<>]*", re.IGNORECASE
)
_LINK_REMOVED = "[link removed]"


def render_accepted(view: TaskView) -> Answer:
    """What a submit answers. One that has not ended is `starting`: clients take any other word for an end."""
    status = _WORDS[view.state] if view.ended else "starting"
    return Answer(status=201, body=_prediction(view, status))


def render_task(view: TaskView) -> Answer:
    """What a fetch or a cancel answers."""
    return Answer(status=200, body=_prediction(view, _WORDS[view.state]))


def render_event(view: TaskView, event: WebhookEvent) -> dict[str, Any]:
    """What the caller's webhook is told: the prediction, the same for every event."""
    del event
    return _prediction(view, _WORDS[view.state])


def render_page(page: Page) -> Answer:
    """One page of predictions."""
    body = {
        "next": _page_link(page, page.next_cursor),
        "previous": _page_link(page, page.previous_cursor),
        "results": [_prediction(view, _WORDS[view.state]) for view in page.tasks],
    }
    return Answer(status=200, body=body)


def render_file(view: FileView) -> dict[str, Any]:
    """An uploaded file."""
    return {
        "id": view.id,
        "name": view.name,
        "content_type": view.content_type,
        "size": view.bytes,
        "etag": view.sha256[:32],
        "checksums": {"sha256": view.sha256},
        "metadata": view.metadata,
        "created_at": rfc3339(view.created_at),
        "expires_at": rfc3339(view.expires_at),
        "urls": {"get": f"{view.base_url}{PREFIX}/files/{view.id}"},
    }


def without_links(text: str, hidden: str = "", shown: str = "") -> str:
    """The text with every link cut out and one id put in another's place."""
    text = _LINK.sub(_LINK_REMOVED, text)
    return text.replace(hidden, shown) if hidden else text


def _prediction(view: TaskView, status: str) -> dict[str, Any]:
    extras = _vendors_extras(view)
    body: dict[str, Any] = {
        "id": view.id,
        "model": _model(view),
        "version": _version(view),
        "input": _input(view),
        "logs": str(extras.pop("logs", None) or view.facts.get("logs") or ""),
        "output": _output(view),
        "data_removed": view.outputs_expired,
        "error": view.failure.message if view.failure is not None else None,
        "source": "api",
        "status": status,
        "created_at": _time(view.created_at),
        "urls": _urls(view),
        **_webhook(view),
        **extras,
    }
    if view.started_at is not None and status != "starting":
        body["started_at"] = _time(view.started_at)
    if view.ended:
        body |= {} if view.ended_at is None else {"completed_at": _time(view.ended_at)}
        body["metrics"] = {**_metrics(view), **extras.get("metrics", {})}
    return body


def _vendors_extras(view: TaskView) -> dict[str, Any]:
    """What the vendor says beyond what we know, when it speaks this format itself."""
    if view.vendor_format != DIALECT_NAME:
        return {}
    vendor_id = str(view.raw.get("id") or "")
    extras = {name: value for name, value in view.raw.items() if name not in _OURS and value is not None}
    extras = rewritten(_without_money(extras), lambda text: without_links(text, vendor_id, view.id))
    if not isinstance(extras.get("metrics", {}), dict):
        del extras["metrics"]
    return extras


def _without_money(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_money(item) for name, item in as_object(value).items() if not _MONEY.search(name)}
    if isinstance(value, list):
        return [_without_money(item) for item in as_list(value)]
    return value


def _model(view: TaskView) -> str:
    """`owner/name` as the caller said it, else as callers of this format would."""
    named = (view.body or {}).get("model") or (view.body or {}).get("version")
    if view.dialect == DIALECT_NAME and isinstance(named, str) and "/" in named:
        return named.partition(":")[0]
    return BY_ID[view.model].name if view.model in BY_ID else view.model


def _version(view: TaskView) -> str:
    asked = (view.body or {}).get("version") if view.dialect == DIALECT_NAME else None
    digest = asked.rpartition(":")[2] if isinstance(asked, str) else ""
    return digest if DIGEST.fullmatch(digest) else HIDDEN


def _input(view: TaskView) -> dict[str, Any]:
    body = view.body or {}
    if view.dialect == DIALECT_NAME:
        return as_object(body.get("input"))
    return {name: value for name, value in body.items() if not name.startswith("webhook")}


def _output(view: TaskView) -> str | list[str] | None:
    if view.state is not ViewState.SUCCEEDED or view.outputs_expired or not view.assets:
        return None
    urls = [asset.url for asset in view.assets]
    return urls if _is_array(view) or len(urls) > 1 else urls[0]


def _is_array(view: TaskView) -> bool:
    """Whether callers of this format get an array from this model; of other formats' models we show one URI."""
    if view.dialect != DIALECT_NAME:
        return False
    known = BY_ID.get(view.model) or BY_NAME.get(view.model)
    if known is not None:
        return known.is_array
    return view.vendor_format == DIALECT_NAME and isinstance(view.raw.get("output"), list)


def _metrics(view: TaskView) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    if view.state is ViewState.SUCCEEDED and view.assets:
        metrics["image_count"] = len(view.assets)
    if view.ended_at is not None:
        metrics["total_time"] = (view.ended_at - view.created_at) / MICROSECONDS
        if view.started_at is not None:
            metrics["predict_time"] = max(0, view.ended_at - view.started_at) / MICROSECONDS
    return metrics


def _urls(view: TaskView) -> dict[str, str]:
    prediction = f"{view.base_url}{PREFIX}/predictions/{view.id}"
    return {"get": prediction, "cancel": f"{prediction}/cancel", "web": f"{view.base_url}/v1/tasks/{view.id}"}


def _webhook(view: TaskView) -> dict[str, Any]:
    if view.webhook is None:
        return {}
    events = {"webhook_events_filter": list(view.webhook.events)} if view.webhook.events else {}
    return {"webhook": view.webhook.url, **events}


def _page_link(page: Page, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    return f"{page.base_url}{page.path}?{urlencode({**page.query, 'cursor': cursor})}"


def _time(microseconds: int) -> str:
    return rfc3339(microseconds, digits=3)
