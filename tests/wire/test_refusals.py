"""What a vendor of one format says of a bad order, as callers of every other format are told it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from halley.kernel.codec import encode
from halley.kernel.faults import BadRequest, Fault, Moderated, Refused, VendorBusy
from halley.wire.anthropic import errors as anthropic
from halley.wire.gemini import errors as gemini
from halley.wire.openai import errors as openai

ReadRefusal = Callable[[int, Mapping[str, str], bytes], Fault]
RenderFault = Callable[[Fault, str], tuple[int, dict[str, Any]]]

REFUSALS: dict[str, tuple[ReadRefusal, bytes]] = {
    "openai": (openai.read_refusal, encode({"error": {"message": "m", "type": "invalid_request_error"}})),
    "anthropic": (anthropic.read_refusal, encode({"error": {"message": "m", "type": "invalid_request_error"}})),
    "gemini": (gemini.read_refusal, encode({"error": {"message": "m", "status": "INVALID_ARGUMENT"}})),
}
RENDERERS: dict[str, RenderFault] = {
    "openai": openai.render_fault,
    "anthropic": anthropic.render_fault,
    "gemini": gemini.render_fault,
}


@pytest.mark.parametrize("to", RENDERERS)
@pytest.mark.parametrize("vendor", REFUSALS)
def test_an_order_that_a_vendor_refuses_is_a_bad_request_in_every_format(vendor: str, to: str):
    read, body = REFUSALS[vendor]
    fault = read(400, {}, body)
    assert isinstance(fault, Refused)
    status, told = RENDERERS[to](fault, "req")
    assert status == 400
    assert told["error"]["message"] == "m"


@pytest.mark.parametrize("to", RENDERERS)
@pytest.mark.parametrize(
    "fault",
    [BadRequest("x"), Refused("x"), Refused("x", detail=[{"loc": ["body"]}]), Moderated("x")],
    ids=["bad", "refused", "another vendor's detail", "moderated"],
)
def test_what_the_caller_can_mend_in_its_order_has_one_status(fault: Fault, to: str):
    assert RENDERERS[to](fault, "req")[0] == 400


@pytest.mark.parametrize("vendor", REFUSALS)
@pytest.mark.parametrize(
    ("told", "wait_s"),
    [("7", 7), ("0.2", 1), ("0", 1), ("", None), ("soon", None), ("-1", None), ("99999999", 86_400)],
)
def test_a_vendors_wait_is_read_alike_in_every_format(vendor: str, told: str, wait_s: int | None):
    fault = REFUSALS[vendor][0](429, {"retry-after": told}, b"{}")
    assert isinstance(fault, VendorBusy)
    assert fault.retry_after_s == wait_s


@pytest.mark.parametrize("vendor", REFUSALS)
@pytest.mark.parametrize("body", [b"[]", b"", b"<html>", b"[" * 5_000, b"1"], ids=["[]", "empty", "html", "deep", "1"])
def test_an_error_reply_that_says_nothing_is_still_understood(vendor: str, body: bytes):
    fault = REFUSALS[vendor][0](400, {}, body)
    assert isinstance(fault, Refused)
    assert fault.message


@pytest.mark.parametrize("vendor", REFUSALS)
def test_an_error_reply_in_an_array_is_read_like_one_outside(vendor: str):
    read, body = REFUSALS[vendor]
    assert read(400, {}, b"[" + body + b"]").message == "m"


@pytest.mark.parametrize("vendor", REFUSALS)
def test_half_a_character_costs_no_more_of_a_vendors_words(vendor: str):
    read, body = REFUSALS[vendor]
    assert read(400, {}, body.replace(b'"m"', rb'"m \ud83d"')).message == "m \ufffd"
