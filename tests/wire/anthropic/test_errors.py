from typing import Any

import pytest

from halley.kernel import faults
from halley.kernel.codec import encode
from halley.kernel.faults import Fault
from halley.wire.anthropic.errors import read_error, read_refusal, render_fault


@pytest.mark.parametrize(
    ("fault", "status", "word"),
    [
        (faults.BadRequest("x"), 400, "invalid_request_error"),
        (faults.NotConveyed("x"), 400, "invalid_request_error"),
        (faults.Refused("x"), 400, "invalid_request_error"),
        (faults.Moderated("x"), 400, "invalid_request_error"),
        (faults.KeyReused("x"), 400, "invalid_request_error"),
        (faults.Unauthenticated("x"), 401, "authentication_error"),
        (faults.OutOfFunds("x"), 402, "billing_error"),
        (faults.Forbidden("x"), 403, "permission_error"),
        (faults.NotFound("x"), 404, "not_found_error"),
        (faults.NoChannel("x"), 404, "not_found_error"),
        (faults.Conflict("x"), 409, "conflict_error"),
        (faults.TooLarge("x"), 413, "request_too_large"),
        (faults.TooManyRequests("x"), 429, "rate_limit_error"),
        (faults.Internal("x"), 500, "api_error"),
        (faults.VendorBroken("x"), 500, "api_error"),
        (faults.NoPrice("x"), 503, "api_error"),
        (faults.VendorRejectsUs("x"), 503, "api_error"),
        (faults.VendorUnreachable("x"), 503, "api_error"),
        (faults.OutcomeUnknown("x"), 504, "timeout_error"),
        (faults.VendorBusy("x"), 529, "overloaded_error"),
        (faults.Draining("x"), 529, "overloaded_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else "",
)
def test_a_fault_is_told_in_the_formats_words(fault: Fault, status: int, word: str):
    told, body = render_fault(fault, "req_1")
    assert (told, body["error"]["type"], body["error"]["code"]) == (status, word, fault.code)


def test_an_error_has_type_code_message_param_and_request_id():
    assert render_fault(faults.BadRequest("`a` is wrong", param="a"), "req_1")[1] == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "`a` is wrong",
            "code": "invalid_request",
            "param": "a",
        },
        "request_id": "req_1",
    }


def error(kind: str, message: str = "m", **details: Any) -> bytes:
    return encode({"type": "error", "error": {"type": kind, "message": message, "details": details}})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error("invalid_request_error"), faults.Refused),
        (400, error("invalid_request_error", "Output blocked by content filtering policy"), faults.Moderated),
        (400, error("invalid_request_error", "Your credit balance is too low to use the API"), faults.VendorRejectsUs),
        (
            400,
            error("invalid_request_error", "You have reached your API usage limits."),
            faults.VendorRejectsUs,
        ),
        (400, error("invalid_request_error", error_code="organization_on_hold"), faults.VendorRejectsUs),
        (401, error("authentication_error"), faults.VendorRejectsUs),
        (402, error("billing_error"), faults.VendorRejectsUs),
        (403, error("permission_error"), faults.VendorRejectsUs),
        (404, error("not_found_error", "model: claude-0"), faults.ModelNotOffered),
        (404, error("not_found_error", "File not found: file_1"), faults.Refused),
        (413, error("request_too_large"), faults.Refused),
        (429, error("rate_limit_error"), faults.VendorBusy),
        (429, error("rate_limit_error", error_code="enforced_spend_limit_reached"), faults.VendorRejectsUs),
        (500, error("api_error"), faults.VendorBroken),
        (504, error("timeout_error"), faults.VendorBroken),
        (529, error("overloaded_error"), faults.VendorBusy),
        (502, b"<html>", faults.VendorBroken),
        (400, b"[]", faults.Refused),
        (400, b"", faults.Refused),
    ],
)
def test_a_vendors_refusal_is_understood(status: int, body: bytes, kind: type[Fault]):
    assert type(read_refusal(status, {}, body)) is kind


def test_the_vendors_words_are_told_without_its_addresses():
    fault = read_refusal(400, {}, error("invalid_request_error", "max_tokens: too large, see https://docs.x.example/a"))
    assert fault.message == "max_tokens: too large, see (removed)"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("overloaded_error", faults.VendorBusy),
        ("rate_limit_error", faults.VendorBusy),
        ("api_error", faults.VendorBroken),
        ("brand_new_error", faults.VendorBroken),
        ("invalid_request_error", faults.Refused),
        ("authentication_error", faults.VendorRejectsUs),
        ("not_found_error", faults.ModelNotOffered),
    ],
)
def test_an_error_in_a_stream_is_understood(word: str, kind: type[Fault]):
    assert type(read_error({"type": word, "message": "m"})) is kind
