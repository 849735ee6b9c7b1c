from typing import Any

import pytest

from halley.kernel import faults
from halley.kernel.codec import encode
from halley.kernel.faults import Fault
from halley.wire.gemini.errors import read_error, read_refusal, render_fault

RPC = "type.googleapis.com/google.rpc."


@pytest.mark.parametrize(
    ("fault", "status", "word"),
    [
        (faults.BadRequest("x"), 400, "INVALID_ARGUMENT"),
        (faults.NotConveyed("x"), 400, "INVALID_ARGUMENT"),
        (faults.Refused("x"), 400, "INVALID_ARGUMENT"),
        (faults.KeyReused("x"), 400, "INVALID_ARGUMENT"),
        (faults.Unauthenticated("x"), 401, "UNAUTHENTICATED"),
        (faults.Forbidden("x"), 403, "PERMISSION_DENIED"),
        (faults.NotFound("x"), 404, "NOT_FOUND"),
        (faults.NoChannel("x"), 404, "NOT_FOUND"),
        (faults.Conflict("x"), 409, "ABORTED"),
        (faults.TooLarge("x"), 413, "INVALID_ARGUMENT"),
        (faults.OutOfFunds("x"), 429, "RESOURCE_EXHAUSTED"),
        (faults.TooManyRequests("x"), 429, "RESOURCE_EXHAUSTED"),
        (faults.Internal("x"), 500, "INTERNAL"),
        (faults.VendorBroken("x"), 500, "INTERNAL"),
        (faults.NoPrice("x"), 503, "UNAVAILABLE"),
        (faults.Draining("x"), 503, "UNAVAILABLE"),
        (faults.VendorBusy("x"), 503, "UNAVAILABLE"),
        (faults.VendorRejectsUs("x"), 503, "UNAVAILABLE"),
        (faults.VendorUnreachable("x"), 503, "UNAVAILABLE"),
        (faults.OutcomeUnknown("x"), 504, "DEADLINE_EXCEEDED"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else "",
)
def test_a_fault_is_told_in_the_formats_words(fault: Fault, status: int, word: str):
    told, body = render_fault(fault, "req_1")
    assert (told, body["error"]["code"], body["error"]["status"]) == (status, status, word)


def test_an_error_has_code_message_field_wait_and_request_id():
    _, body = render_fault(faults.BadRequest("`a` is wrong", param="a", retry_after_s=3), "req_1")
    assert body["error"]["message"] == "`a` is wrong"
    assert body["error"]["details"] == [
        {
            "@type": f"{RPC}ErrorInfo",
            "reason": "INVALID_REQUEST",
            "domain": "gateway",
            "metadata": {"param": "a"},
        },
        {"@type": f"{RPC}RequestInfo", "requestId": "req_1"},
        {"@type": f"{RPC}BadRequest", "fieldViolations": [{"field": "a", "description": "`a` is wrong"}]},
        {"@type": f"{RPC}RetryInfo", "retryDelay": "3s"},
    ]


def error(status: str = "", message: str = "m", *details: Any) -> bytes:
    return encode({"error": {"code": 0, "message": message, "status": status, "details": details}})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error("INVALID_ARGUMENT"), faults.Refused),
        (400, error("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), faults.VendorRejectsUs),
        (
            400,
            error("INVALID_ARGUMENT", "m", {"@type": f"{RPC}ErrorInfo", "reason": "API_KEY_INVALID"}),
            faults.VendorRejectsUs,
        ),
        (400, error("FAILED_PRECONDITION", "User location is not supported"), faults.VendorRejectsUs),
        (401, error("UNAUTHENTICATED"), faults.VendorRejectsUs),
        (403, error("PERMISSION_DENIED"), faults.VendorRejectsUs),
        (403, error("PERMISSION_DENIED", "You do not have permission to access the File abc"), faults.Refused),
        (404, error("NOT_FOUND", "models/x is not found"), faults.ModelNotOffered),
        (429, error("RESOURCE_EXHAUSTED"), faults.VendorBusy),
        (429, error("RESOURCE_EXHAUSTED", "Your prepayment credits are depleted"), faults.VendorRejectsUs),
        (499, error("CANCELLED"), faults.VendorBroken),
        (500, error("INTERNAL"), faults.VendorBroken),
        (503, error("UNAVAILABLE", "The model is overloaded"), faults.VendorBusy),
        (504, error("DEADLINE_EXCEEDED"), faults.VendorBroken),
        (400, b"[" + error("INVALID_ARGUMENT") + b"]", faults.Refused),
        (502, b"<html>", faults.VendorBroken),
        (400, b"", faults.Refused),
    ],
)
def test_a_vendors_refusal_is_understood(status: int, body: bytes, kind: type[Fault]):
    assert type(read_refusal(status, {}, body)) is kind


def test_the_field_that_a_vendor_names_is_told():
    violation = {"field": "generation_config.top_k", "description": "too large"}
    fault = read_refusal(
        400, {}, error("INVALID_ARGUMENT", "m", {"@type": f"{RPC}BadRequest", "fieldViolations": [violation]})
    )
    assert (fault.message, fault.param) == ("m", "generation_config.top_k")


@pytest.mark.parametrize(
    ("delay", "wait_s"), [("30s", 30), ("1.2s", 2), ("soon", None), ("", None), ("99999999s", 86_400)]
)
def test_how_long_to_wait_is_read(delay: str, wait_s: int | None):
    body = error("RESOURCE_EXHAUSTED", "m", {"@type": f"{RPC}RetryInfo", "retryDelay": delay})
    assert read_refusal(429, {}, body).retry_after_s == wait_s


def test_a_header_tells_how_long_to_wait_too():
    assert read_refusal(503, {"retry-after": "7"}, b"").retry_after_s == 7


def test_an_error_in_a_stream_is_understood_by_its_code():
    assert type(read_error({"code": 503})) is faults.VendorBusy
    assert type(read_error({"code": 400})) is faults.Refused
    assert type(read_error({})) is faults.VendorBroken
