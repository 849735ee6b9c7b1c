"""Errors of this format, both ways.

https://platform.claude.com/docs/en/api/errors
"""

import re
from collections.abc import Mapping
from typing import Any

from halley.kernel import faults
from halley.kernel.faults import Fault, ModelNotOffered, Moderated, Refused, VendorBroken, VendorBusy, VendorRejectsUs
from halley.kernel.loose import as_object, as_text
from halley.wire.refusals import (
    BUSY,
    NO_CREDIT,
    NO_KEY,
    NO_KEY_OR_MODEL,
    NO_MODEL,
    Told,
    broken,
    read_object,
    refused,
    told,
)
from halley.wire.waits import wait_s

MESSAGE_BYTES_MAX = 2_000
INVALID = "invalid_request_error"
API = "api_error"
OVERLOADED = "overloaded_error"

_TOLD: Mapping[type[Fault], Told] = {
    faults.Unauthenticated: (401, "authentication_error"),
    faults.OutOfFunds: (402, "billing_error"),
    faults.Forbidden: (403, "permission_error"),
    faults.NotFound: (404, "not_found_error"),
    faults.NoChannel: (404, "not_found_error"),
    faults.NotAllowed: (405, INVALID),
    faults.Conflict: (409, "conflict_error"),
    faults.TooLarge: (413, "request_too_large"),
    faults.TooManyRequests: (429, "rate_limit_error"),
    faults.VendorBusy: (529, OVERLOADED),
    faults.Draining: (529, OVERLOADED),
    faults.VendorUnreachable: (503, API),
    faults.VendorRejectsUs: (503, API),
    faults.OutcomeUnknown: (504, "timeout_error"),
    faults.VendorBroken: (500, API),
    faults.Internal: (500, API),
}


def render_fault(fault: Fault, request_id: str) -> tuple[int, dict[str, Any]]:
    """Give the status and the body of a fault, as this format's owner would answer it."""
    status, kind = told(fault, _TOLD, invalid=INVALID, otherwise=API)
    error: dict[str, Any] = {"type": kind, "message": fault.message, "code": fault.code}
    if fault.param is not None:
        error["param"] = fault.param
    return status, {"type": "error", "error": error, "request_id": request_id}


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Say what a reply that is no success means. Header names are lower case."""
    error = as_object(read_object(body).get("error"))
    wait = wait_s(headers)
    if _is_ours(error):
        return VendorRejectsUs(NO_CREDIT)
    match status:
        case 404 if "file" in as_text(error.get("message")).lower():
            # A file that the caller names, not the model.
            return _refused(error)
        case 404:
            return ModelNotOffered(NO_MODEL)
        case 401 | 402 | 403:
            return VendorRejectsUs(_REJECTIONS[status])
        case 429 | 529:
            return VendorBusy(BUSY, retry_after_s=wait)
        case _ if status < 500:  # noqa: PLR2004  (the vendor's own failures begin there)
            return _refused(error)
        case _:
            return VendorBroken(broken(status), retry_after_s=wait)


def read_error(error: dict[str, Any]) -> Fault:
    """Say what an error inside a stream means, where no status tells."""
    if _is_ours(error):
        return VendorRejectsUs(NO_CREDIT)
    kind = error.get("type")
    match kind:
        case "overloaded_error" | "rate_limit_error":
            return VendorBusy(BUSY)
        case "authentication_error" | "permission_error" | "billing_error":
            return VendorRejectsUs(NO_KEY)
        case "not_found_error":
            return ModelNotOffered(NO_MODEL)
        case "invalid_request_error" | "request_too_large":
            return _refused(error)
        case _:
            return VendorBroken("The vendor failed in the middle of its answer")


_REJECTIONS: Mapping[int, str] = {401: NO_KEY, 402: NO_CREDIT, 403: NO_KEY_OR_MODEL}
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
    return refused(error, Moderated if _MODERATED.search(as_text(error.get("message"))) else Refused)
