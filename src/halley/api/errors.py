"""How faults look: in the format of the route that was asked for, with the headers that every error carries."""

import logging
from collections.abc import Mapping

from halley.api.asgi import Reply, reply_of
from halley.api.call import RenderFault
from halley.assets import ObjectMissing, ObjectsUnavailable, ObjectTooLarge
from halley.db import DatabaseUnavailable, WriterClosed, WriterOverloaded
from halley.kernel.faults import (
    Draining,
    Fault,
    Internal,
    NotAllowed,
    NotFound,
    OutOfFunds,
    TooLarge,
    Unauthenticated,
)
from halley.limits import rate_headers
from halley.pipeline.admit import OverLimit
from halley.vendors.contract import Answer
from halley.wire.anthropic.errors import render_fault as anthropic_fault
from halley.wire.gemini.errors import render_fault as gemini_fault

QUOTA_STATUS = 429
"""OpenAI's vocabulary has no 402: its SDKs know an empty account as 429 `insufficient_quota`."""
RETRY_SOON_S = 1
RETRY_AFTER_RESTART_S = 5
RETRY_STORING_S = 10
_log = logging.getLogger("halley.api")


def reply_to_fault(fault: Fault, request_id: str, render: RenderFault) -> Reply:
    """Write a fault in the route's format, with the headers of every error."""
    answer = render(fault, request_id)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return reply_of(Answer(status=answer.status, body=answer.body, headers={**headers, **_headers(fault)}))


def render_openai(fault: Fault, request_id: str) -> Answer:
    """OpenAI's shape, for our own routes and for paths that belong to no format."""
    error = {
        "message": fault.message,
        "type": fault.type,
        "param": fault.param,
        "code": fault.code,
        "request_id": request_id,
    }
    return Answer(status=openai_status(type(fault)), body={"error": error})


def openai_status(kind: type[Fault]) -> int:
    """Give a fault's status in OpenAI's vocabulary."""
    return QUOTA_STATUS if issubclass(kind, OutOfFunds) else kind.status


def render_anthropic(fault: Fault, request_id: str) -> Answer:
    """Show a fault in Anthropic's shape."""
    status, body = anthropic_fault(fault, request_id)
    return Answer(status=status, body=body)


def render_gemini(fault: Fault, request_id: str) -> Answer:
    """Show a fault in Google's shape."""
    status, body = gemini_fault(fault, request_id)
    return Answer(status=status, body=body)


def is_anthropics(headers: Mapping[str, str]) -> bool:
    """Whether Anthropic's SDK asks, where the path does not tell."""
    return "anthropic-version" in headers


def is_googles(headers: Mapping[str, str]) -> bool:
    """Whether Google's SDK asks, where the path does not tell: no other sends its key like this."""
    return "x-goog-api-key" in headers


def render_shared(headers: Mapping[str, str], usual: RenderFault) -> RenderFault:
    """Give what shows faults of a path that SDKs of several formats ask: each tells itself by its headers."""
    if is_anthropics(headers):
        return render_anthropic
    return render_gemini if is_googles(headers) else usual


def render_plain(fault: Fault, request_id: str) -> Answer:
    """The balance query's shape, whose clients print `error` as it is."""
    return Answer(status=fault.status, body={"error": fault.message, "code": fault.code, "request_id": request_id})


def known_fault(error: Exception) -> Fault | None:
    """Give the fault that an error of a lower layer stands for; None for what nobody foresaw."""
    match error:
        case Fault():
            return error
        case WriterOverloaded():
            return Draining("More is being written than the disk can take; try again soon", retry_after_s=RETRY_SOON_S)
        case WriterClosed():
            return Draining("The gateway is stopping; try again soon", retry_after_s=RETRY_AFTER_RESTART_S)
        case DatabaseUnavailable():
            return Draining("The database does not answer; try again soon", retry_after_s=RETRY_AFTER_RESTART_S)
        case ObjectsUnavailable():
            _log.error("a file could not be stored or read: %s", error)
            return Draining("The store of files does not answer; try again soon", retry_after_s=RETRY_STORING_S)
        case ObjectMissing():
            return NotFound("The file is no longer there")
        case ObjectTooLarge():
            return TooLarge("The file is too large")
        case _:
            return None


def internal() -> Internal:
    """Our own mistake; nothing of it is told but where to find it."""
    return Internal("Something went wrong on our side; the operator finds it in the log by the request id")


def _headers(fault: Fault) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    if not fault.may_retry:
        headers["x-should-retry"] = "false"
    if fault.retry_after_s is not None:
        headers["retry-after"] = str(fault.retry_after_s)
    if isinstance(fault, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="halley"'
    if isinstance(fault, NotAllowed):
        headers["allow"] = ", ".join(fault.allow)
    if isinstance(fault, Draining):
        headers["connection"] = "close"
    if isinstance(fault, OverLimit):
        headers |= dict(rate_headers(fault.verdict))
    return headers
