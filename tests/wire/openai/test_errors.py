from typing import Any

import pytest

from halley.kernel.codec import encode
from halley.kernel.faults import (
    BadRequest,
    Fault,
    ModelNotOffered,
    Moderated,
    OutOfFunds,
    Refused,
    VendorBroken,
    VendorBusy,
    VendorRejectsUs,
)
from halley.wire.openai.errors import VendorWords, read_error, read_refusal, render_fault


def error(message: str = "No", **fields: Any) -> bytes:
    return encode({"error": {"message": message, **fields}})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(400, error(type="invalid_request_error", param="messages"), Refused, id="400"),
        pytest.param(422, encode({"message": "No"}), Refused, id="message alone"),
        pytest.param(422, encode({"detail": "No"}), Refused, id="detail"),
        pytest.param(400, encode({"error": "No"}), Refused, id="error as text"),
        pytest.param(413, b"<html>too large</html>", Refused, id="html"),
        pytest.param(404, error(param="file_id", code="not_found"), Refused, id="404 about a field"),
        pytest.param(400, error(code="content_filter"), Moderated, id="content filter"),
        pytest.param(400, error(innererror={"code": "ResponsibleAIPolicyViolation"}), Moderated, id="inner error"),
        pytest.param(403, error("Your input was flagged", code=403), Moderated, id="403 flagged"),
        pytest.param(400, error("Content Exists Risk"), Moderated, id="risk"),
        pytest.param(401, error(code="invalid_api_key"), VendorRejectsUs, id="401"),
        pytest.param(403, error("Country not supported"), VendorRejectsUs, id="403"),
        pytest.param(403, error(code="model_not_found"), ModelNotOffered, id="model not for this project"),
        pytest.param(400, error("API key not valid. Please pass a valid API key."), VendorRejectsUs, id="key with 400"),
        pytest.param(402, error("Insufficient Balance"), VendorRejectsUs, id="402"),
        pytest.param(429, error(type="insufficient_quota", code="insufficient_quota"), VendorRejectsUs, id="quota"),
        pytest.param(400, error(code="billing_hard_limit_reached"), VendorRejectsUs, id="billing"),
        pytest.param(404, error(code="model_not_found", param="model"), ModelNotOffered, id="no such model"),
        pytest.param(400, error("Model Not Exist"), ModelNotOffered, id="no such model with 400"),
        pytest.param(404, error("No endpoints found for a/b", code=404), ModelNotOffered, id="404 with its number"),
        pytest.param(404, b"<html>nginx</html>", ModelNotOffered, id="wrong path"),
        pytest.param(429, error(type="tokens", code="rate_limit_exceeded"), VendorBusy, id="429"),
        pytest.param(408, b"", VendorBusy, id="408"),
        pytest.param(500, error("content_filter crashed"), VendorBroken, id="500"),
        pytest.param(529, b"overloaded", VendorBroken, id="529"),
        pytest.param(502, b"x" * 100_000, VendorBroken, id="huge body"),
    ],
)
def test_an_error_reply_becomes_a_fault(status: int, body: bytes, kind: type[Fault]):
    assert type(read_refusal(status, {}, body)) is kind


def test_a_refusal_keeps_the_vendors_status_and_words_for_the_caller():
    body = error("Too long", type="invalid_request_error", code="context_length_exceeded", param="messages")
    fault = read_refusal(400, {}, body)
    status, rendered = render_fault(fault, "req")
    assert status == 400
    assert rendered["error"] == {
        "message": "Too long",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
        "request_id": "req",
    }


def test_azures_own_code_is_kept_beside_its_closer_one():
    body = error("Filtered", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"})
    fault = read_refusal(400, {}, body)
    assert type(fault) is Moderated
    assert render_fault(fault, "req")[1]["error"]["code"] == "content_filter"


def test_a_validators_complaints_stand_beside_the_message():
    body = encode({"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Field required", "type": "missing"}]})
    fault = read_refusal(422, {}, body)
    assert isinstance(fault, Refused)
    assert (fault.message, fault.param) == ("Field required", "messages[0].role")
    assert fault.detail == [{"loc": ["body", "messages", 0, "role"], "msg": "Field required", "type": "missing"}]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param("see https://platform.vendor.example/docs now", "see (removed) now", id="url"),
        pytest.param("host api.vendor.com:8443 failed", "host (removed) failed", id="host"),
        pytest.param("at 10.0.0.7:9000", "at (removed)", id="address"),
        pytest.param("key sk-proj-abcdef123456 is bad", "key (removed) is bad", id="key"),
        pytest.param("in organization org-abcdef12", "in organization (removed)", id="organization"),
        pytest.param("ask help@vendor.example", "ask (removed)", id="e-mail"),
        pytest.param("`messages[0].content` is bad", "`messages[0].content` is bad", id="fields stay"),
        pytest.param("", "The vendor refused the request with HTTP 400", id="nothing said"),
    ],
)
def test_a_vendors_words_name_nobody(said: str, told: str):
    assert read_refusal(400, {}, error(said)).message == told


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"Retry-After": "7"}, 7, id="seconds"),
        pytest.param({"retry-after": "0.2"}, 1, id="part of a second"),
        pytest.param({"retry-after-ms": "1500", "retry-after": "9"}, 2, id="milliseconds come first"),
        pytest.param({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, id="a date is not read"),
        pytest.param({"retry-after": "99999999"}, 86_400, id="bounded"),
        pytest.param(
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1m2s",
                "x-ratelimit-reset-tokens": "20ms",
            },
            62,
            id="what is used up",
        ),
        pytest.param({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-reset-tokens": "8.64s"}, 9, id="the sooner"),
        pytest.param({"x-ratelimit-reset-requests": "1779999999"}, None, id="a bare number may be a date"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_when_to_come_again(headers: dict[str, str], seconds: int | None):
    assert read_refusal(429, headers, b"").retry_after_s == seconds


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param({"message": "x", "code": 429}, VendorBusy, id="a status as code"),
        pytest.param({"message": "x", "code": 502}, VendorBroken, id="502"),
        pytest.param({"message": "x", "type": "server_error"}, VendorBroken, id="server error"),
        pytest.param({"message": "x", "code": "rate_limit_exceeded"}, VendorBusy, id="rate limit"),
        pytest.param({"message": "x", "type": "invalid_request_error"}, Refused, id="refused"),
        pytest.param({"message": "x", "code": "content_filter"}, Moderated, id="moderated"),
        pytest.param("x", VendorBroken, id="a text"),
        pytest.param(None, VendorBroken, id="nothing"),
    ],
)
def test_an_error_in_a_stream_becomes_a_fault(value: object, kind: type[Fault]):
    assert type(read_error(value)) is kind


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param(BadRequest("x", param="n"), 400, "invalid_request", id="400"),
        pytest.param(OutOfFunds("x"), 429, "insufficient_quota", id="quota is 429 here"),
        pytest.param(Refused("x", detail=[{"loc": ["body"]}]), 400, "vendor_refused", id="another vendor's detail"),
        pytest.param(Refused("x", detail=VendorWords(status=422)), 422, "vendor_refused", id="a relative's own status"),
        pytest.param(Refused("x", detail=VendorWords(status=404)), 404, "vendor_refused", id="no words"),
    ],
)
def test_faults_are_written_in_openais_shape(fault: Fault, status: int, code: str):
    given, body = render_fault(fault, "req")
    assert (given, body["error"]["code"], body["error"]["request_id"]) == (status, code, "req")
    assert set(body["error"]) == {"message", "type", "param", "code", "request_id"}
