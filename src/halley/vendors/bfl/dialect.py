"""The format `flux` towards callers: its routes, how a task, a fault and a webhook look. Pure."""

import hashlib
import hmac
from typing import Any

from halley.kernel.clock import rfc3339, unix_seconds
from halley.kernel.faults import BadRequest, Fault, Refused
from halley.kernel.loose import as_object
from halley.kernel.order import Failure, FailureCode, ReportState
from halley.vendors.bfl.replies import (
    FURTHER_OUTPUT,
    INPUT,
    MODERATION_REASONS,
    NANOS_PER_CREDIT,
    PIXELS_PER_MP,
    STATES,
)
from halley.vendors.bfl.scrub import scrubbed, scrubbed_object
from halley.vendors.bfl.types import FluxAccepted, FluxBody, FluxTask
from halley.vendors.bfl.wire import DIALECT_NAME, read_order
from halley.vendors.contract import Action, Answer, Dialect, Route, TaskView, ViewState, WebhookEvent

DOCS = "https://docs.bfl.ai/"
PREFIX = "/flux"

_RUNNING_WORDS = frozenset(word for word, state in STATES.items() if state is ReportState.RUNNING)
_MODERATED = {
    FailureCode.REQUEST_MODERATED: "Request Moderated",
    FailureCode.CONTENT_MODERATED: "Content Moderated",
}
_EXPIRED = "The outputs were deleted after the retention period; order the image again"
_CANCELLED = "The task was cancelled"
_NO_REASON = "The generation failed"
_TASK_FIELDS = frozenset(("id", "status", "result", "progress", "details", "preview", "cost", "polling_url"))
_RESULT_FIELDS = frozenset(("sample", "samples", "prompt", "seed", "start_time", "end_time", "duration"))
_IN_QUERY = frozenset(("id",))


def render_accepted(view: TaskView) -> Answer:
    """A task was taken. An order with a webhook gets both of the vendor's shapes in one, for clients that poll."""
    identity = view.uuid
    body: dict[str, Any] = {"id": identity, "polling_url": f"{view.base_url}{PREFIX}/v1/get_result?id={identity}"}
    if view.webhook is not None:
        body |= {"status": "Pending", "webhook_url": view.webhook.url}
    if view.cost is not None:
        body["cost"] = _credits(view.cost)
    if view.measured:
        body |= _megapixels(view.measured)
    return Answer(status=200, body=body)


def render_task(view: TaskView) -> Answer:
    """A task's state."""
    return Answer(status=200, body=_task(view))


def render_missing(asked: str, _request_id: str) -> Answer:
    """No such task for this caller; this format says so with a 200."""
    body = {"id": asked, "status": "Task not found", "result": None, "progress": None, "details": None, "preview": None}
    return Answer(status=200, body=body)


def render_fault(fault: Fault, request_id: str) -> Answer:
    """A fault: the vendor's `detail`, and beside it what every error of this gateway says."""
    error = {
        "type": fault.type,
        "code": fault.code,
        "message": fault.message,
        "param": fault.param,
        "request_id": request_id,
    }
    headers = {} if fault.retry_after_s is None else {"retry-after": str(fault.retry_after_s)}
    return Answer(status=_status(fault), body={"detail": _detail(fault), "error": error}, headers=headers)


def render_event(view: TaskView, _event: WebhookEvent) -> dict[str, Any]:
    """What a webhook is told at the end.

    Documented only at https://github.com/black-forest-labs/skills; a webhook of the vendor's own was not seen yet.
    """
    task = _task(view)
    event: dict[str, Any] = {"id": task["id"], "status": task["status"]}
    if task["status"] == "Ready":
        event["result"] = task["result"]
    else:
        message = _failure_of(view).message
        event |= {"result": None, "error": message, "message": message, "details": task["details"]}
    return event | {"timestamp": rfc3339(view.ended_at or view.created_at, digits=3)}


def sign_event(secret: str, message_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """The vendor's signature over the body; id and time let a receiver drop what it has had."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-BFL-Signature": f"sha256={signature}", "webhook-id": message_id, "webhook-timestamp": str(seconds)}


# --- a task ---------------------------------------------------------------------------------------------------


def _task(view: TaskView) -> dict[str, Any]:
    raw = view.raw if view.vendor_format == DIALECT_NAME else {}
    task: dict[str, Any] = {
        "id": view.uuid,
        "status": _status_word(view),
        "result": None,
        "progress": None if view.ended else view.progress,
        "details": None,
        "preview": scrubbed(raw.get("preview")),
    }
    task |= {name: scrubbed(value) for name, value in raw.items() if name not in _TASK_FIELDS}
    if task["status"] == "Ready":
        task |= {"result": _result(view, raw), "details": scrubbed(raw.get("details"))}
    elif view.ended:
        task["details"] = _details(_failure_of(view))
    if view.cost is not None:
        task["cost"] = _credits(view.cost)
    return task


def _status_word(view: TaskView) -> str:
    match view.state:
        case ViewState.STARTING | ViewState.RUNNING:
            is_known = view.vendor_format == DIALECT_NAME and view.word in _RUNNING_WORDS
            return view.word if is_known else "Pending"
        case ViewState.SUCCEEDED:
            return "Ready" if view.assets and not view.outputs_expired else "Error"
        case ViewState.FAILED | ViewState.CANCELLED:
            return _MODERATED.get(_failure_of(view).code, "Error")


def _result(view: TaskView, raw: dict[str, Any]) -> dict[str, Any]:
    theirs = as_object(raw.get("result"))
    started, ended = view.started_at or view.created_at, view.ended_at or view.created_at
    result: dict[str, Any] = {
        "sample": view.assets[0].url,
        "prompt": theirs.get("prompt", view.facts.get("prompt", _ordered(view, "prompt"))),
        "seed": theirs.get("seed", view.facts.get("seed", _ordered(view, "seed"))),
        "start_time": unix_seconds(started),
        "end_time": unix_seconds(ended),
        "duration": view.facts.get("duration", round(unix_seconds(ended - started), 6)),
    }
    result |= {name: theirs[name] for name in ("start_time", "end_time", "duration") if theirs.get(name) is not None}
    result |= {name: scrubbed(value) for name, value in theirs.items() if name not in _RESULT_FIELDS}
    if len(view.assets) > 1:
        result["samples"] = [asset.url for asset in view.assets]
    return result


def _ordered(view: TaskView, name: str) -> Any:
    """What the order said, in whichever format it came."""
    body = view.body or {}
    return body.get(name, as_object(body.get("input")).get(name))


def _failure_of(view: TaskView) -> Failure:
    if view.state is ViewState.SUCCEEDED:
        return Failure(code=FailureCode.OUTPUT_LOST, message=_EXPIRED)
    if view.failure is not None:
        return view.failure
    message = _CANCELLED if view.state is ViewState.CANCELLED else _NO_REASON
    return Failure(code=FailureCode.VENDOR_FAILED, message=message)


def _details(failure: Failure) -> dict[str, Any]:
    details = scrubbed_object(failure.details)
    if failure.code in _MODERATED:
        return {MODERATION_REASONS: [failure.message]} | details
    return details | {"error": failure.message}


def _credits(nanos: int) -> int | float:
    """Our price in the format's unit; a JSON number, for that is what clients of this format read."""
    whole, rest = divmod(nanos, NANOS_PER_CREDIT)
    return nanos / NANOS_PER_CREDIT if rest else whole


def _megapixels(measured: dict[str, int]) -> dict[str, float]:
    """What was measured; of an output within the first megapixel only that is known, so nothing is said of it."""
    further = measured.get(FURTHER_OUTPUT)
    pixels = {"input_mp": measured.get(INPUT), "output_mp": PIXELS_PER_MP + further if further else None}
    return {name: count / PIXELS_PER_MP for name, count in pixels.items() if count is not None}


# --- a fault --------------------------------------------------------------------------------------------------


def _status(fault: Fault) -> int:
    """The vendor answers 422 for a field and 400 for a body that cannot be read. A missing key is our 401, its 403."""
    if type(fault) is BadRequest and fault.param is not None:
        return 422
    return fault.status


def _detail(fault: Fault) -> Any:
    if isinstance(fault, Refused) and fault.detail is not None:
        return fault.detail
    if isinstance(fault, BadRequest | Refused) and fault.param is not None:
        place = "query" if fault.param in _IN_QUERY else "body"
        return [{"loc": [place, *fault.param.split(".")], "msg": fault.message, "type": "value_error"}]
    return fault.message


# --- routes ---------------------------------------------------------------------------------------------------

_EXAMPLE = {"prompt": "a red teapot on a wooden table, morning light", "width": 1024, "height": 768, "seed": 42}
_ID_QUERY = {"id": "The task's id, in any of its spellings."}


def _routes(prefix: str, *, model_pattern: str | None) -> tuple[Route, ...]:
    return (
        Route(
            method="POST",
            path=f"{prefix}/v1/{{model}}",
            action=Action.SUBMIT,
            summary="Order an image",
            request=FluxBody,
            reply=FluxAccepted,
            example=_EXAMPLE,
            example_path=f"{prefix}/v1/flux-pro-1.1",
            model_pattern=model_pattern,
        ),
        Route(
            method="GET",
            path=f"{prefix}/v1/get_result",
            action=Action.FETCH,
            summary="Read the state of an order, and its image once it is ready",
            reply=FluxTask,
            query=_ID_QUERY,
        ),
    )


DIALECT = Dialect(
    name=DIALECT_NAME,
    title="Flux (Black Forest Labs)",
    docs=DOCS,
    # The vendor's own client drops the path of its base URL, hence the second pair.
    routes=(*_routes(PREFIX, model_pattern=None), *_routes("", model_pattern="flux-*")),
    key_headers=("x-key",),
    read_order=read_order,
    render_accepted=render_accepted,
    render_task=render_task,
    render_missing=render_missing,
    render_fault=render_fault,
    render_event=render_event,
    sign_event=sign_event,
)
