"""Errors in this format: RFC 7807 fields and the vendor's `invalid_fields`, beside our own `error` object."""

import re
from typing import Any

from halley.kernel.faults import (
    BadRequest,
    Fault,
    NotFound,
    OutOfFunds,
    Refused,
    TooManyRequests,
    Unauthenticated,
    VendorBusy,
)
from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.contract import Answer
from halley.vendors.replicate.reading import BAD_VERSION

UNPROCESSABLE = 422
INVALID = "Input validation failed"

_ENVELOPE = frozenset(("input", "version", "model", "webhook", "webhook_events_filter", "stream", "Prefer"))
# How the vendor's validator names its complaints (gojsonschema's vocabulary).
_KINDS: tuple[tuple[str, str], ...] = (
    (r"Invalid type\.", "invalid_type"),
    (r"Additional property .* is not allowed", "additional_property_not_allowed"),
    (r"\S+ is required$", "required"),
    (r"\S+ must be one of the following", "enum"),
    (r"Must be greater than or equal to", "number_gte"),
    (r"Must be less than or equal to", "number_lte"),
    (r"Must be a multiple of", "multiple_of"),
)
_UNKNOWN = "Additional property "
_OF_PARENT = ("required", "additional_property_not_allowed")


_FIELD_STATUSES = (400, UNPROCESSABLE)
"""Of faults of a field; a body of the wrong type or one that came too slowly keeps its own status."""


def problem(status: int, title: str, detail: str) -> dict[str, Any]:
    """The vendor's plain error body."""
    return {"title": title, "detail": detail, "status": status}


def invalid_fields(complaints: list[tuple[str, str]]) -> dict[str, Any]:
    """The vendor's body for (field, complaint) pairs."""
    fields = [_invalid(name, description) for name, description in complaints]
    lines = [
        f"- {field['field']}: {field['description']}" if field["field"] else f"- {field['description']}"
        for field in fields
    ]
    return {**problem(UNPROCESSABLE, INVALID, "".join(f"{line}\n" for line in lines)), "invalid_fields": fields}


def render_fault(fault: Fault, request_id: str) -> Answer:
    """Any fault, in this format."""
    body = _body(fault)
    error = {
        "type": fault.type,
        "code": fault.code,
        "message": fault.message,
        "param": _full_name(fault.param, fault.message),
        "request_id": request_id,
    }
    return Answer(status=body["status"], body={**body, "error": error}, headers=_headers(fault))


def render_missing(identity: str, request_id: str) -> Answer:
    """No such prediction for this caller."""
    return render_fault(NotFound(f"The prediction `{identity[:64]}` does not exist"), request_id)


def _body(fault: Fault) -> dict[str, Any]:
    match fault:
        case BadRequest(param="version", message=message) if message == BAD_VERSION:
            return problem(UNPROCESSABLE, "Invalid version or not permitted", BAD_VERSION)
        case Refused(detail=detail) if _complaints(detail):
            return invalid_fields(_complaints(detail))
        case BadRequest() | Refused() if fault.param is not None and fault.status in _FIELD_STATUSES:
            return invalid_fields([_placed(fault.param, fault.message)])
        case TooManyRequests() | VendorBusy():
            return problem(fault.status, _title(fault), _throttled(fault))
        case _:
            return problem(fault.status, _title(fault), fault.message)


def _title(fault: Fault) -> str:
    match fault:
        case Unauthenticated():
            return "Unauthenticated"
        case OutOfFunds():
            return "Insufficient credit"
        case NotFound():
            return "Not found"
        case TooManyRequests() | VendorBusy():
            return "Too many requests"
        case Refused():
            return INVALID
        case _:
            return fault.code.replace("_", " ").capitalize()


def _throttled(fault: Fault) -> str:
    if fault.retry_after_s is None:
        return f"Request was throttled. {fault.message}"
    unit = "second" if fault.retry_after_s == 1 else "seconds"
    return f"Request was throttled. Expected available in {fault.retry_after_s} {unit}."


def _headers(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after_s is None else {"retry-after": str(fault.retry_after_s)}


def _complaints(detail: object) -> list[tuple[str, str]]:
    """What a vendor complained of, as (field, complaint): a list of `loc` and `msg`, whichever format it spoke."""
    found: list[tuple[str, str]] = []
    for one in map(as_object, as_list(detail)):
        name = ".".join(str(part) for part in as_list(one.get("loc"))[1:])
        found.append(_placed(name, as_text(one.get("msg"))))
    return found


def _placed(param: str | None, message: str) -> tuple[str, str]:
    """Where the vendor's validator would say that it is wrong: what is missing or too much is its parent's mistake."""
    field = _full_name(param, message) or ""
    return (field.rpartition(".")[0] if _kind(message) in _OF_PARENT else field), message


def _full_name(param: str | None, message: str) -> str | None:
    """The field's name in this format: faults from afar may name an input field alone."""
    if not param or message.startswith(_UNKNOWN):
        return param
    head = param.partition(".")[0]
    return param if head in _ENVELOPE else f"input.{param}"


def _invalid(field: str, description: str) -> dict[str, str]:
    return {"type": _kind(description), "field": field, "description": description}


def _kind(description: str) -> str:
    return next((kind for pattern, kind in _KINDS if re.match(pattern, description)), "invalid")
