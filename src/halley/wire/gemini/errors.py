"""Errors of this format (`google.rpc.Status`), both ways.

https://ai.google.dev/gemini-api/docs/troubleshooting, https://cloud.google.com/apis/design/errors
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from halley.kernel.codec import decode
from halley.kernel.faults import (
    Conflict,
    Draining,
    Fault,
    Forbidden,
    Internal,
    NoChannel,
    NoPrice,
    NotAllowed,
    NotFound,
    OutcomeUnknown,
    OutOfFunds,
    Refused,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    VendorBroken,
    VendorBusy,
    VendorRejectsUs,
    VendorUnreachable,
)
from halley.kernel.loose import as_list, as_object, as_text, head
from halley.wire.openai.words import masked

MESSAGE_BYTES_MAX = 2_000
RETRY_AFTER_S_MAX = 24 * 60 * 60
"""A longer wait is not believed."""
DETAILS_MAX = 20
_TYPE = "type.googleapis.com/google.rpc."
INVALID = "INVALID_ARGUMENT"
EXHAUSTED = "RESOURCE_EXHAUSTED"
UNAVAILABLE = "UNAVAILABLE"
INTERNAL = "INTERNAL"

_RENDERED: tuple[tuple[type[Fault], int, str], ...] = (
    (Unauthenticated, 401, "UNAUTHENTICATED"),
    (OutOfFunds, 429, EXHAUSTED),
    (Forbidden, 403, "PERMISSION_DENIED"),
    (NotFound, 404, "NOT_FOUND"),
    (NoChannel, 404, "NOT_FOUND"),
    (NotAllowed, 405, INVALID),
    (Conflict, 409, "ABORTED"),
    (TooLarge, 413, INVALID),
    (TooManyRequests, 429, EXHAUSTED),
    (NoPrice, 503, UNAVAILABLE),
    (Draining, 503, UNAVAILABLE),
    (VendorBusy, 503, UNAVAILABLE),
    (VendorUnreachable, 503, UNAVAILABLE),
    (VendorRejectsUs, 503, UNAVAILABLE),
    (OutcomeUnknown, 504, "DEADLINE_EXCEEDED"),
    (VendorBroken, 500, INTERNAL),
    (Internal, 500, INTERNAL),
)


def render_fault(fault: Fault, request_id: str) -> tuple[int, dict[str, Any]]:
    """Give the status and the body of a fault, as this format's owner would answer it."""
    status, word = _rendered(fault)
    error = {"code": status, "message": fault.message, "status": word, "details": _details(fault, request_id)}
    return status, {"error": error}


def _rendered(fault: Fault) -> tuple[int, str]:
    for kind, status, word in _RENDERED:
        if isinstance(fault, kind):
            return status, word
    # The format has no 422: what is wrong with a request is 400.
    return (400, INVALID) if fault.type == "invalid_request_error" else (fault.status, INTERNAL)


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
    return _meaning(status, _error(body), _wait_s(headers.get("retry-after", "")))


def read_error(error: dict[str, Any]) -> Fault:
    """Say what an error inside a stream means."""
    code = error.get("code")
    return _meaning(code if isinstance(code, int) else 500, error, None)


_BUSY = "The vendor has more to do than it takes at once"
_NOT_OURS = "The vendor does not accept the operator's credentials, or not for this model"
_NO_CREDIT = "The operator's credit or quota with the vendor is used up"
_NO_MODEL = "The vendor does not offer this model to the operator"
_CALLERS_THINGS = re.compile(r"\b(file|files|cached ?content)\b", re.IGNORECASE)
"""A 403 or 404 about one of these is about what the caller named, not about the model."""


def _meaning(status: int, error: dict[str, Any], wait_s: int | None) -> Fault:
    message = as_text(error.get("message"))[:MESSAGE_BYTES_MAX]
    wait_s = _told_wait_s(error) if wait_s is None else wait_s
    match status:
        case 400 if _is_operators(error, message):
            return VendorRejectsUs(_NOT_OURS)
        case 403 | 404 if _CALLERS_THINGS.search(message):
            return _refused(error)
        case 401 | 402 | 403 | 404:
            return VendorRejectsUs(_NO_MODEL if status == 404 else _NOT_OURS)  # noqa: PLR2004  (not found)
        case 429 if "credit" in message or "spend" in message:
            return VendorRejectsUs(_NO_CREDIT)
        case 429 | 503:
            return VendorBusy(_BUSY, retry_after_s=wait_s)
        case _ if status < 499:  # noqa: PLR2004  (499 is a call that the vendor gave up, its failures follow)
            return _refused(error)
        case _:
            return VendorBroken(f"The vendor answered HTTP {status}", retry_after_s=wait_s)


def _is_operators(error: dict[str, Any], message: str) -> bool:
    """Whether a 400 is about the operator: a wrong key, or an account that is not served from here."""
    return "API_KEY" in _reason(error) or "API key" in message or error.get("status") == "FAILED_PRECONDITION"


def _refused(error: dict[str, Any]) -> Refused:
    message = masked(as_text(error.get("message"))) or "The vendor refused the order as it stands"
    return Refused(message, param=_field(error))


def _field(error: dict[str, Any]) -> str | None:
    violations = as_list(_detail(error, "BadRequest").get("fieldViolations"))
    field = as_text(as_object(violations[0]).get("field")) if violations else ""
    return head(field, 200) or None


def _reason(error: dict[str, Any]) -> str:
    return as_text(_detail(error, "ErrorInfo").get("reason"))


def _told_wait_s(error: dict[str, Any]) -> int | None:
    return _wait_s(as_text(_detail(error, "RetryInfo").get("retryDelay")).removesuffix("s"))


def _detail(error: dict[str, Any], kind: str) -> dict[str, Any]:
    details = (as_object(each) for each in as_list(error.get("details"))[:DETAILS_MAX])
    return next((each for each in details if each.get("@type") == _TYPE + kind), as_object(None))


def _wait_s(text: str) -> int | None:
    """Read seconds with or without a fraction; what is no number, or too long, is not believed."""
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        return None
    seconds = math.ceil(float(text))
    return seconds if seconds <= RETRY_AFTER_S_MAX else None


def _error(body: bytes) -> dict[str, Any]:
    """Read the error; a call for an array is answered with one in an array."""
    try:
        value = decode(body)
    except (ValueError, RecursionError):
        return {}
    first = as_list(value)[:1]
    return as_object(as_object(first[0] if first else value).get("error"))
