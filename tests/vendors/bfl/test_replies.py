"""What the vendor answers, read."""

from typing import Any

import pytest
from tests.vendors.bfl.support import fixture, reply

from halley.kernel.faults import BadRequest, Fault, OutcomeUnknown, Refused, VendorBroken, VendorBusy, VendorRejectsUs
from halley.kernel.order import FailureCode, ReportState
from halley.vendors.bfl import VENDOR
from halley.vendors.contract import TaskRef

UUID = "9125b1f8-0000-4000-8000-000000000000"


def test_an_accepted_order_keeps_its_polling_url():
    accepted = VENDOR.read_accepted(fixture("accepted"))
    assert accepted.vendor_task_id == "a8b95720-6eb2-4ef2-b120-2a1b99d41324"
    assert accepted.poll_url == "https://api.us1.bfl.ai/v1/get_result?id=a8b95720-6eb2-4ef2-b120-2a1b99d41324"
    assert (accepted.vendor_cost, accepted.measured, accepted.report) == (None, {}, None)


def test_cost_and_megapixels_of_an_accepted_order_are_counted():
    accepted = VENDOR.read_accepted(fixture("accepted_with_cost"))
    assert accepted.vendor_cost == 40_000_000
    assert accepted.measured == {
        "first_output_megapixel": 1,
        "further_output_megapixel": 50_000,
        "input_megapixel": 1_000_000,
    }


@pytest.mark.parametrize(
    ("cost", "nanos"),
    [
        (b"3.4999999999999996", 35_000_000),
        (b"1.4", 14_000_000),
        (b"0", 0),
        (b"7", 70_000_000),
        (b"null", None),
        (b"-1", None),
        (b"true", None),
        (b'"4"', None),
        (b"1e30", None),
    ],
)
def test_a_cost_in_credits_becomes_nano_dollars(cost: bytes, nanos: int | None):
    accepted = VENDOR.read_accepted(reply(b'{"id":"a","polling_url":"https://x.example/","cost":' + cost + b"}"))
    assert accepted.vendor_cost == nanos


def test_an_output_within_the_first_megapixel_has_no_further_ones():
    accepted = VENDOR.read_accepted(reply({"id": "a", "output_mp": 0.79}))
    assert accepted.measured == {"first_output_megapixel": 1, "further_output_megapixel": 0}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"id":""}',
        b'{"id":7}',
        b'{"id":"a","polling_url":"file:///etc"}',
        b'{"id": "a", "st',
    ],
)
def test_an_acceptance_that_cannot_be_read_is_an_error(body: bytes):
    with pytest.raises(ValueError):
        VENDOR.read_accepted(reply(body))


def test_the_polling_url_is_used_unchanged():
    url = "https://api.us1.bfl.ai/v1/get_result?id=1&x=%20"
    assert VENDOR.write_poll(TaskRef(vendor_task_id="1", poll_url=url)).url == url
    assert VENDOR.write_poll(TaskRef(vendor_task_id="1&2")).url == "/v1/get_result?id=1%262"


@pytest.mark.parametrize(("word", "state"), [*VENDOR.states.items(), ("Contemplating", ReportState.UNKNOWN)])
def test_each_state_word_has_its_meaning(word: str, state: ReportState):
    report = VENDOR.read_report(reply({"id": UUID, "status": word, "result": None}))
    assert (report.state, report.word) == (state, word)
    assert (report.failure is not None) == (state is ReportState.FAILED)


def test_a_pending_task_says_how_far_it_is():
    report = VENDOR.read_report(fixture("pending"))
    assert (report.state, report.progress, report.outputs) == (ReportState.RUNNING, 0.2, ())


def test_a_ready_task_names_its_image_and_its_times():
    report = VENDOR.read_report(fixture("ready"))
    assert [output.url.partition("?")[0] for output in report.outputs] == [
        "https://delivery-us1.bfl.ai/results/00/sample.png"
    ]
    assert report.facts == {"seed": 123, "prompt": "make the car red", "duration": 5.8}
    assert (report.started_at, report.ended_at) == (1_761_555_153_100_000, 1_761_555_158_900_000)
    assert report.raw["result"]["seed"] == 123


def test_a_moderated_task_says_why():
    failure = VENDOR.read_report(fixture("content_moderated")).failure
    assert failure is not None
    assert failure.code is FailureCode.CONTENT_MODERATED
    assert failure.message == "The generated content was moderated: Sexual Content"
    assert failure.details == {"Moderation Reasons": ["Sexual Content"]}


def test_a_failure_names_no_address_and_no_id_of_the_vendor():
    said = f"task {UUID} failed at https://api.us1.bfl.ai/v1?x=1 on delivery-us1.bfl.ai"
    failure = VENDOR.read_report(reply({"id": UUID, "status": "Error", "details": {"error": said, "cost": 4}})).failure
    assert failure is not None
    assert failure.code is FailureCode.VENDOR_FAILED
    assert failure.message == "The generation failed: task (removed) failed at (removed) on (removed)"
    assert failure.details == {"error": "task (removed) failed at (removed) on (removed)"}


def test_a_settled_cost_is_read_from_the_report():
    assert (
        VENDOR.read_report(reply({"status": "Ready", "result": {"sample": "u"}, "cost": 2.5})).vendor_cost == 25_000_000
    )


def test_404_to_a_poll_means_not_found_whatever_it_says():
    assert VENDOR.read_report(reply(b"<html>", 404)).state is ReportState.NOT_FOUND
    assert VENDOR.read_report(fixture("task_not_found")).state is ReportState.NOT_FOUND


@pytest.mark.parametrize(
    "body",
    [
        {"status": "Ready", "result": [], "progress": "half", "details": "none"},
        {"status": "Ready", "result": {"sample": 7, "samples": "x", "start_time": "now", "end_time": -1}},
    ],
)
def test_a_report_of_odd_shape_is_read_as_far_as_it_goes(body: dict[str, Any]):
    report = VENDOR.read_report(reply(body))
    assert report.state is ReportState.SUCCEEDED
    assert (report.outputs, report.started_at, report.ended_at, report.progress) == ((), None, None, None)


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"status":7}', b'{"status":"Re'])
def test_a_report_that_cannot_be_read_is_an_error(body: bytes):
    with pytest.raises(ValueError):
        VENDOR.read_report(reply(body))


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (400, Refused),
        (413, Refused),
        (422, Refused),
        (401, VendorRejectsUs),
        (402, VendorRejectsUs),
        (403, VendorRejectsUs),
        (404, VendorRejectsUs),
        (429, VendorBusy),
        (500, VendorBroken),
        (503, VendorBroken),
        (502, OutcomeUnknown),
        (504, OutcomeUnknown),
        (524, OutcomeUnknown),
        (302, VendorBroken),
        (418, VendorBroken),
    ],
)
def test_each_refusal_is_its_fault_even_without_a_readable_body(status: int, fault: type[Fault]):
    assert type(VENDOR.read_refusal(reply(b"<html>", status))) is fault
    assert type(VENDOR.read_refusal(reply({"detail": "no"}, status))) is fault


def test_a_validation_error_names_the_field_and_keeps_the_list():
    item = {"type": "greater_than_equal", "loc": ["body", "width"], "msg": "Input should be >= 256", "ctx": {"ge": 256}}
    fault = VENDOR.read_refusal(reply({"detail": [item | {"input": "x" * 9, "url": "https://errors.example/"}]}, 422))
    assert isinstance(fault, Refused)
    assert not isinstance(fault, BadRequest)
    assert (fault.param, fault.message) == ("width", "`width`: Input should be >= 256")
    assert fault.detail == [item]


def test_a_refusal_in_words_is_shown_without_the_vendors_addresses():
    fault = VENDOR.read_refusal(reply({"detail": f"Task {UUID} at api.bfl.ai: no"}, 400))
    assert isinstance(fault, Refused)
    assert fault.message == fault.detail == "Task (removed) at (removed): no"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [({"retry_after": "7"}, {}, 7), ({}, {"retry_after": 9}, 9), ({"retry_after": "soon"}, {}, None), ({}, {}, None)],
)
def test_a_busy_vendor_says_when_to_come_again(headers: dict[str, str], body: dict[str, Any], seconds: int | None):
    assert VENDOR.read_refusal(reply(body, 429, **headers)).retry_after_s == seconds
