"""Faults in this format."""

import pytest
from tests.vendors.replicate.conftest import body_of, fixture

from halley.kernel.faults import (
    BadRequest,
    CancelNotSupported,
    Fault,
    Internal,
    NoChannel,
    NotConveyed,
    NotFound,
    OutOfFunds,
    Refused,
    TooManyRequests,
    Unauthenticated,
    VendorBusy,
)
from halley.vendors.replicate.problems import render_fault, render_missing
from halley.vendors.replicate.wire import read_refusal


def test_a_field_error_has_the_vendors_shape_and_ours():
    answer = render_fault(BadRequest("Invalid type. Expected: integer, given: string", param="input.seed"), "req_1")
    assert answer.status == 422
    assert answer.body == {
        "title": "Input validation failed",
        "detail": "- input.seed: Invalid type. Expected: integer, given: string\n",
        "status": 422,
        "invalid_fields": [
            {
                "type": "invalid_type",
                "field": "input.seed",
                "description": "Invalid type. Expected: integer, given: string",
            }
        ],
        "error": {
            "type": "invalid_request_error",
            "code": "invalid_request",
            "message": "Invalid type. Expected: integer, given: string",
            "param": "input.seed",
            "request_id": "req_1",
        },
    }


@pytest.mark.parametrize(
    ("message", "param", "kind", "field", "line"),
    [
        ("prompt is required", "input.prompt", "required", "input", "- input: prompt is required\n"),
        ("version is required", "version", "required", "", "- version is required\n"),
        (
            "Additional property colour is not allowed",
            "colour",
            "additional_property_not_allowed",
            "",
            "- Additional property colour is not allowed\n",
        ),
        ("Must be less than or equal to 4", "num_outputs", "number_lte", "input.num_outputs", None),
        ("`seed` cannot be conveyed", "seed", "invalid", "input.seed", None),
    ],
)
def test_complaints_are_named_as_the_vendor_names_them(
    message: str, param: str, kind: str, field: str, line: str | None
):
    body = render_fault(BadRequest(message, param=param), "req_1").body
    assert body["invalid_fields"] == [{"type": kind, "field": field, "description": message}]
    assert body["detail"] == (line or f"- {field}: {message}\n")


@pytest.mark.parametrize(
    ("fault", "status", "title"),
    [
        (Unauthenticated("no key"), 401, "Unauthenticated"),
        (OutOfFunds("needs $1"), 402, "Insufficient credit"),
        (NotFound("no"), 404, "Not found"),
        (CancelNotSupported("no"), 409, "Cancel not supported"),
        (TooManyRequests("slow down", retry_after_s=3), 429, "Too many requests"),
        (BadRequest("The body is not valid JSON"), 400, "Invalid request"),
        (NotConveyed("no", param="raw"), 422, "Input validation failed"),
        (NoChannel("no"), 503, "Model not found"),
        (Internal("oops"), 500, "Internal error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else None,
)
def test_every_fault_has_title_detail_status_and_error(fault: Fault, status: int, title: str):
    answer = render_fault(fault, "req_1")
    assert (answer.status, answer.body["status"], answer.body["title"]) == (status, status, title)
    assert answer.body["detail"]
    assert answer.body["error"]["message"] == fault.message


def test_a_throttled_call_says_when_to_come_again():
    answer = render_fault(VendorBusy("busy", retry_after_s=1), "req_1")
    assert answer.body["detail"] == "Request was throttled. Expected available in 1 second."
    assert answer.headers == {"retry-after": "1"}


@pytest.mark.parametrize("name", ["invalid_input", "invalid_enum", "invalid_envelope"])
def test_a_refusal_of_the_same_format_is_shown_as_the_vendor_wrote_it(name: str):
    reply = fixture(name)
    shown = render_fault(read_refusal(reply), "req_1").body
    assert {key: shown[key] for key in ("title", "detail", "status", "invalid_fields")} == body_of(reply)


def test_a_refusal_of_another_format_is_shown_by_its_field():
    said = "Input should be less than 1440"
    complaint = {"loc": ["body", "width"], "msg": said, "type": "less_than"}
    for detail in ([complaint], None, said):
        body = render_fault(Refused(said, param="width", detail=detail), "req_1").body
        assert body["invalid_fields"] == [{"type": "invalid", "field": "input.width", "description": said}]
        assert body["status"] == 422


def test_a_missing_prediction_is_404():
    answer = render_missing("nope", "req_9")
    assert (answer.status, answer.body["title"], answer.body["error"]["request_id"]) == (404, "Not found", "req_9")
