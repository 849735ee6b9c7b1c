"""Errors of this format, both ways.

https://platform.claude.com/docs/en/api/errors
"""

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
    Moderated,
    NoChannel,
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
from halley.kernel.loose import as_object, as_text
from halley.wire.openai.words import masked

MESSAGE_BYTES_MAX = 2_000
RETRY_AFTER_S_MAX = 24 * 60 * 60
"""A longer wait is not believed."""
INVALID = "invalid_request_error"
API = "api_error"
OVERLOADED = "overloaded_error"

_RENDERED: tuple[tuple[type[Fault], int, str], ...] = (
    (Unauthenticated, 401, "authentication_error"),
    (OutOfFunds, 402, "billing_error"),
    (Forbidden, 403, "permission_error"),
    (NotFound, 404, "not_found_error"),
    (NoChannel, 404, "not_found_error"),
    (NotAllowed, 405, INVALID),
    (Conflict, 409, "conflict_error"),
    (TooLarge, 413, "request_too_large"),
    (TooManyRequests, 429, "rate_limit_error"),
    (VendorBusy, 529, OVERLOADED),
    (Draining, 529, OVERLOADED),
    (VendorUnreachable, 503, API),
    (VendorRejectsUs, 503, API),
    (OutcomeUnknown, 504, "timeout_error"),
    (VendorBroken, 500, API),
    (Internal, 500, API),
)


def render_fault(fault: Fault, request_id: str) -> tuple[int, dict[str, Any]]:
    """Give the status and the body of a fault, as this format's owner would answer it."""
    status, kind = _rendered(fault)
    error: dict[str, Any] = {"type": kind, "message": fault.message, "code": fault.code}
    if fault.param is not None:
        error["param"] = fault.param
    return status, {"type": "error", "error": error, "request_id": request_id}


def _rendered(fault: Fault) -> tuple[int, str]:
    for kind, status, word in _RENDERED:
        if isinstance(fault, kind):
            return status, word
    # The format has no 422: what is wrong with a request is 400.
    return (400, INVALID) if fault.type == INVALID else (fault.status, API)


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Say what a reply that is no success means. Header names are lower case."""
    error = _error(body)
    wait_s = _wait_s(headers)
    if _is_ours(error):
        return VendorRejectsUs(_REJECTIONS[402])
    match status:
        case 404 if "file" in as_text(error.get("message")).lower():
            # A file that the caller names, not the model.
            return _refused(error)
        case 401 | 402 | 403 | 404:
            return VendorRejectsUs(_REJECTIONS[status])
        case 429 | 529:
            return VendorBusy(_BUSY, retry_after_s=wait_s)
        case _ if status < 500:  # noqa: PLR2004  (the vendor's own failures begin there)
            return _refused(error)
        case _:
            return VendorBroken(f"The vendor answered HTTP {status}", retry_after_s=wait_s)


def read_error(error: dict[str, Any]) -> Fault:
    """Say what an error inside a stream means, where no status tells."""
    if _is_ours(error):
        return VendorRejectsUs(_REJECTIONS[402])
    kind = error.get("type")
    match kind:
        case "overloaded_error" | "rate_limit_error":
            return VendorBusy(_BUSY)
        case "authentication_error" | "permission_error" | "billing_error":
            return VendorRejectsUs(_REJECTIONS[401])
        case "not_found_error":
            return VendorRejectsUs(_REJECTIONS[404])
        case "invalid_request_error" | "request_too_large":
            return _refused(error)
        case _:
            return VendorBroken("The vendor failed in the middle of its answer")


_BUSY = "The vendor has more to do than it takes at once"
_REJECTIONS: Mapping[int, str] = {
    401: "The vendor does not accept the operator's credentials",
    402: "The operator's credit with the vendor is used up",
    403: "The vendor does not accept the operator's credentials, or not for this model",
    404: "The vendor does not offer this model to the operator",
}
_OPERATORS_WORDS = ("credit balance is too low", "api usage limits", "organization has been disabled")
"""A 400 with one of these is about the operator's account, not about the order."""
_OPERATORS_CODES = ("spend_limit", "organization_on_hold", "billing", "key_creator")
"""Parts of `error.details.error_code` that are."""


_MODERATED = re.compile(r"content filtering policy|usage policy", re.IGNORECASE)


def _is_ours(error: dict[str, Any]) -> bool:
    message = as_text(error.get("message"))[:MESSAGE_BYTES_MAX].lower()
    code = as_text(as_object(error.get("details")).get("error_code"))
    return any(words in message for words in _OPERATORS_WORDS) or any(part in code for part in _OPERATORS_CODES)


def _refused(error: dict[str, Any]) -> Refused:
    message = masked(as_text(error.get("message"))) or "The vendor refused the order as it stands"
    kind = Moderated if _MODERATED.search(message) else Refused
    return kind(message)


def _error(body: bytes) -> dict[str, Any]:
    try:
        return as_object(as_object(decode(body)).get("error"))
    except (ValueError, RecursionError):
        return {}


def _wait_s(headers: Mapping[str, str]) -> int | None:
    value = headers.get("retry-after", "")
    if not (value.isascii() and value.isdigit()):
        return None
    return int(value) if int(value) <= RETRY_AFTER_S_MAX else None
