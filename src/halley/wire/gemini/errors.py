"""Errors of this format (`google.rpc.Status`), both ways.

https://ai.google.dev/gemini-api/docs/troubleshooting, https://cloud.google.com/apis/design/errors
"""

import re
from collections.abc import Mapping
from typing import Any

from halley.kernel import faults
from halley.kernel.faults import Fault, ModelNotOffered, VendorBroken, VendorBusy, VendorRejectsUs
from halley.kernel.loose import as_list, as_object, as_text, head
from halley.wire.refusals import BUSY, NO_CREDIT, NO_KEY_OR_MODEL, NO_MODEL, Told, broken, read_object, refused, told
from halley.wire.waits import seconds_of, wait_s

MESSAGE_BYTES_MAX = 2_000
DETAILS_MAX = 20
_TYPE = "type.googleapis.com/google.rpc."
INVALID = "INVALID_ARGUMENT"
EXHAUSTED = "RESOURCE_EXHAUSTED"
UNAVAILABLE = "UNAVAILABLE"
INTERNAL = "INTERNAL"

_TOLD: Mapping[type[Fault], Told] = {
    faults.Unauthenticated: (401, "UNAUTHENTICATED"),
    faults.OutOfFunds: (429, EXHAUSTED),
    faults.Forbidden: (403, "PERMISSION_DENIED"),
    faults.NotFound: (404, "NOT_FOUND"),
    faults.NoChannel: (404, "NOT_FOUND"),
    faults.NotAllowed: (405, INVALID),
    faults.Conflict: (409, "ABORTED"),
    faults.TooLarge: (413, INVALID),
    faults.TooManyRequests: (429, EXHAUSTED),
    faults.NoPrice: (503, UNAVAILABLE),
    faults.Draining: (503, UNAVAILABLE),
    faults.VendorBusy: (503, UNAVAILABLE),
    faults.VendorUnreachable: (503, UNAVAILABLE),
    faults.VendorRejectsUs: (503, UNAVAILABLE),
    faults.OutcomeUnknown: (504, "DEADLINE_EXCEEDED"),
    faults.VendorBroken: (500, INTERNAL),
    faults.Internal: (500, INTERNAL),
}


def render_fault(fault: Fault, request_id: str) -> tuple[int, dict[str, Any]]:
    """Give the status and the body of a fault, as this format's owner would answer it."""
    status, word = told(fault, _TOLD, invalid=INVALID, otherwise=INTERNAL)
    error = {"code": status, "message": fault.message, "status": word, "details": _details(fault, request_id)}
    return status, {"error": error}


def _details(fault: Fault, request_id: str) -> list[dict[str, Any]]:
    metadata = {} if fault.param is None else {"param": fault.param}
    details: list[dict[str, Any]] = [
        {"@type": f"{_TYPE}ErrorInfo", "reason": fault.code.upper(), "domain": "gateway", "metadata": metadata},
        {"@type": f"{_TYPE}RequestInfo", "requestId": request_id},
    ]
    if fault.param is not None:
        violation = {"field": fault.param, "description": fault.message}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if fault.retry_after_s is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{fault.retry_after_s}s"})
    return details


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Say what a reply that is no success means. Header names are lower case."""
    return _meaning(status, as_object(read_object(body).get("error")), wait_s(headers))


def read_error(error: dict[str, Any]) -> Fault:
    """Say what an error inside a stream means."""
    code = error.get("code")
    return _meaning(code if isinstance(code, int) else 500, error, None)


_CALLERS_THINGS = re.compile(r"\b(file|files|cached ?content)\b", re.IGNORECASE)
"""A 403 or 404 about one of these is about what the caller named, not about the model."""


def _meaning(status: int, error: dict[str, Any], wait: int | None) -> Fault:
    message = as_text(error.get("message"))[:MESSAGE_BYTES_MAX]
    wait = _told_wait_s(error) if wait is None else wait
    match status:
        case 400 if _is_operators(error, message):
            return VendorRejectsUs(NO_KEY_OR_MODEL)
        case 403 | 404 if _CALLERS_THINGS.search(message):
            return refused(error, param=_field(error))
        case 404:
            return ModelNotOffered(NO_MODEL)
        case 401 | 402 | 403:
            return VendorRejectsUs(NO_KEY_OR_MODEL)
        case 429 if "credit" in message or "spend" in message:
            return VendorRejectsUs(NO_CREDIT)
        case 429 | 503:
            return VendorBusy(BUSY, retry_after_s=wait)
        case _ if status < 499:  # noqa: PLR2004  (499 is a call that the vendor gave up, its failures follow)
            return refused(error, param=_field(error))
        case _:
            return VendorBroken(broken(status), retry_after_s=wait)


def _is_operators(error: dict[str, Any], message: str) -> bool:
    """Whether a 400 is about the operator: a wrong key, or an account that is not served from here."""
    return "API_KEY" in _reason(error) or "API key" in message or error.get("status") == "FAILED_PRECONDITION"


def _field(error: dict[str, Any]) -> str | None:
    violations = as_list(_detail(error, "BadRequest").get("fieldViolations"))
    field = as_text(as_object(violations[0]).get("field")) if violations else ""
    return head(field, 200) or None


def _reason(error: dict[str, Any]) -> str:
    return as_text(_detail(error, "ErrorInfo").get("reason"))


def _told_wait_s(error: dict[str, Any]) -> int | None:
    return seconds_of(as_text(_detail(error, "RetryInfo").get("retryDelay")).removesuffix("s"))


def _detail(error: dict[str, Any], kind: str) -> dict[str, Any]:
    details = (as_object(each) for each in as_list(error.get("details"))[:DETAILS_MAX])
    return next((each for each in details if each.get("@type") == _TYPE + kind), as_object(None))
