from typing import Any

import pytest

from halley.kernel.codec import encode
from halley.kernel.faults import (
    BadRequest,
    Conflict,
    Draining,
    Fault,
    Forbidden,
    Internal,
    KeyReused,
    Moderated,
    NoChannel,
    NoPrice,
    NotConveyed,
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
from halley.wire.anthropic.errors import read_error, read_refusal, render_fault


@pytest.mark.parametrize(
    ("fault", "status", "word"),
    [
        (BadRequest("x"), 400, "invalid_request_error"),
        (NotConveyed("x"), 400, "invalid_request_error"),
        (Refused("x"), 400, "invalid_request_error"),
        (Moderated("x"), 400, "invalid_request_error"),
        (KeyReused("x"), 400, "invalid_request_error"),
        (Unauthenticated("x"), 401, "authentication_error"),
        (OutOfFunds("x"), 402, "billing_error"),
        (Forbidden("x"), 403, "permission_error"),
        (NotFound("x"), 404, "not_found_error"),
        (NoChannel("x"), 404, "not_found_error"),
        (Conflict("x"), 409, "conflict_error"),
        (TooLarge("x"), 413, "request_too_large"),
        (TooManyRequests("x"), 429, "rate_limit_error"),
        (Internal("x"), 500, "api_error"),
        (VendorBroken("x"), 500, "api_error"),
        (NoPrice("x"), 503, "api_error"),
        (VendorRejectsUs("x"), 503, "api_error"),
        (VendorUnreachable("x"), 503, "api_error"),
        (OutcomeUnknown("x"), 504, "timeout_error"),
        (VendorBusy("x"), 529, "overloaded_error"),
        (Draining("x"), 529, "overloaded_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else "",
)
def test_a_fault_is_told_in_the_formats_words(fault: Fault, status: int, word: str):
    told, body = render_fault(fault, "req_1")
    assert (told, body["error"]["type"], body["error"]["code"]) == (status, word, fault.code)


def test_an_error_has_type_code_message_param_and_request_id():
    assert render_fault(BadRequest("`a` is wrong", param="a"), "req_1")[1] == {
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
        (400, error("invalid_request_error"), Refused),
        (400, error("invalid_request_error", "Output blocked by content filtering policy"), Moderated),
        (400, error("invalid_request_error", "Your credit balance is too low to use the API"), VendorRejectsUs),
        (400, error("invalid_request_error", "You have reached your specified API usage limits."), VendorRejectsUs),
        (400, error("invalid_request_error", error_code="organization_on_hold"), VendorRejectsUs),
        (401, error("authentication_error"), VendorRejectsUs),
        (402, error("billing_error"), VendorRejectsUs),
        (403, error("permission_error"), VendorRejectsUs),
        (404, error("not_found_error", "model: claude-0"), VendorRejectsUs),
        (404, error("not_found_error", "File not found: file_1"), Refused),
        (413, error("request_too_large"), Refused),
        (429, error("rate_limit_error"), VendorBusy),
        (429, error("rate_limit_error", error_code="enforced_spend_limit_reached"), VendorRejectsUs),
        (500, error("api_error"), VendorBroken),
        (504, error("timeout_error"), VendorBroken),
        (529, error("overloaded_error"), VendorBusy),
        (502, b"<html>", VendorBroken),
        (400, b"[]", Refused),
        (400, b"", Refused),
    ],
)
def test_a_vendors_refusal_is_understood(status: int, body: bytes, kind: type[Fault]):
    assert type(read_refusal(status, {}, body)) is kind


def test_the_vendors_words_are_told_without_its_addresses():
    fault = read_refusal(400, {}, error("invalid_request_error", "max_tokens: too large, see https://docs.x.example/a"))
    assert fault.message == "max_tokens: too large, see (removed)"


@pytest.mark.parametrize(("told", "wait_s"), [("7", 7), ("", None), ("soon", None), ("9999999", None), ("-1", None)])
def test_how_long_to_wait_is_read(told: str, wait_s: int | None):
    assert read_refusal(429, {"retry-after": told}, b"{}").retry_after_s == wait_s


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("overloaded_error", VendorBusy),
        ("rate_limit_error", VendorBusy),
        ("api_error", VendorBroken),
        ("brand_new_error", VendorBroken),
        ("invalid_request_error", Refused),
        ("authentication_error", VendorRejectsUs),
        ("not_found_error", VendorRejectsUs),
    ],
)
def test_an_error_in_a_stream_is_understood(word: str, kind: type[Fault]):
    assert type(read_error({"type": word, "message": "m"})) is kind
