"""What the vendor answers, read."""

from typing import Any

import pytest
from tests.vendors.bfl.support import fixture, reply, report_of

from halley.kernel.faults import (
    BadRequest,
    Fault,
    ModelNotOffered,
    OutcomeUnknown,
    Refused,
    VendorBroken,
    VendorBusy,
    VendorRejectsUs,
)
from halley.kernel.order import FailureCode, ReportState
from halley.vendors.bfl import TASKS
from halley.vendors.contract import TaskRef

UUID = "9125b1f8-0000-4000-8000-000000000000"


def test_an_accepted_order_keeps_its_polling_url():
    accepted = TASKS.read_accepted(fixture("accepted"))
    assert accepted.vendor_task_id == "a8b95720-6eb2-4ef2-b120-2a1b99d41324"
    assert accepted.poll_url == "https://api.us1.bfl.ai/v1/get_result?id=a8b95720-6eb2-4ef2-b120-2a1b99d41324"
    assert (accepted.vendor_cost, accepted.measured, accepted.report) == (None, {}, None)


def test_cost_and_megapixels_of_an_accepted_order_are_counted():
    accepted = TASKS.read_accepted(fixture("accepted_with_cost"))
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
        (b"1000001", None),
        (b"1e-99999999999999999999", None),
    ],
)
def test_a_cost_in_credits_becomes_nano_dollars(cost: bytes, nanos: int | None):
    accepted = TASKS.read_accepted(reply(b'{"id":"a","polling_url":"https://x.example/","cost":' + cost + b"}"))
    assert accepted.vendor_cost == nanos


def test_an_output_within_the_first_megapixel_has_no_further_ones():
    accepted = TASKS.read_accepted(reply({"id": "a", "output_mp": 0.79}))
    assert accepted.measured == {"first_output_megapixel": 1, "further_output_megapixel": 0}


@pytest.mark.parametrize("megapixels", [b"10001", b"-0.5", b"1e30", b'"1"', b"true", b"null"])
def test_megapixels_that_cannot_be_are_not_counted(megapixels: bytes):
    figures = b'"output_mp":' + megapixels + b',"input_mp":' + megapixels + b"}"
    assert TASKS.read_accepted(reply(b'{"id":"a",' + figures)).measured == {}
    assert report_of(reply(b'{"status":"Ready",' + figures)).measured == {}


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
        b'{"id":"' + b"a" * 201 + b'"}',
        b'{"id":"a","polling_url":"https://' + b"a" * 5_000 + b'"}',
    ],
)
def test_an_acceptance_that_cannot_be_read_is_an_error(body: bytes):
    with pytest.raises(ValueError):
        TASKS.read_accepted(reply(body))


def test_the_polling_url_is_used_unchanged():
    url = "https://api.us1.bfl.ai/v1/get_result?id=1&x=%20"
    assert TASKS.write_poll(TaskRef(vendor_task_id="1", poll_url=url)).url == url
    assert TASKS.write_poll(TaskRef(vendor_task_id="1&2")).url == "/v1/get_result?id=1%262"


@pytest.mark.parametrize(("word", "state"), [*TASKS.states.items(), ("Contemplating", ReportState.UNKNOWN)])
def test_each_state_word_has_its_meaning(word: str, state: ReportState):
    report = report_of(reply({"id": UUID, "status": word, "result": None}))
    assert (report.state, report.word) == (state, word)
    assert (report.failure is not None) == (state is ReportState.FAILED)


def test_a_pending_task_says_how_far_it_is():
    report = report_of(fixture("pending"))
    assert (report.state, report.progress, report.outputs) == (ReportState.RUNNING, 0.2, ())


def test_a_ready_task_names_its_image_and_its_times():
    report = report_of(fixture("ready"))
    assert [output.url.partition("?")[0] for output in report.outputs] == [
        "https://delivery-us1.bfl.ai/results/00/sample.png"
    ]
    assert report.facts == {"seed": 123, "prompt": "make the car red", "duration": 5.8}
    assert (report.started_at, report.ended_at) == (1_761_555_153_100_000, 1_761_555_158_900_000)
    assert report.raw["result"]["seed"] == 123


def test_a_moderated_task_says_why():
    failure = report_of(fixture("content_moderated")).failure
    assert failure is not None
    assert failure.code is FailureCode.CONTENT_MODERATED
    assert failure.message == "The generated content was moderated: Sexual Content"
    assert failure.details == {"Moderation Reasons": ["Sexual Content"]}


def test_a_failure_names_no_address_and_no_id_of_the_vendor():
    said = f"task {UUID} failed at https://api.us1.bfl.ai/v1?x=1 on delivery-us1.bfl.ai"
    failure = report_of(reply({"id": UUID, "status": "Error", "details": {"error": said, "cost": 4}})).failure
    assert failure is not None
    assert failure.code is FailureCode.VENDOR_FAILED
    assert failure.message == "The generation failed: task (removed) failed at (removed) on (removed)"
    assert failure.details == {"error": "task (removed) failed at (removed) on (removed)"}


def test_a_settled_cost_is_read_from_the_report():
    assert report_of(reply({"status": "Ready", "result": {"sample": "u"}, "cost": 2.5})).vendor_cost == 25_000_000


def test_404_to_a_poll_means_not_found_whatever_it_says():
    assert report_of(reply(b"<html>", 404)).state is ReportState.NOT_FOUND
    assert report_of(fixture("task_not_found")).state is ReportState.NOT_FOUND


@pytest.mark.parametrize(
    "body",
    [
        {"status": "Ready", "result": [], "progress": "half", "details": "none"},
        {"status": "Ready", "result": {"sample": 7, "samples": "x", "start_time": "now", "end_time": -1}},
        {"status": "Ready", "result": {"sample": "https://a.example/" + "x" * 5_000, "seed": True, "prompt": ["a"]}},
    ],
)
def test_a_report_of_odd_shape_is_read_as_far_as_it_goes(body: dict[str, Any]):
    report = report_of(reply(body))
    assert report.state is ReportState.SUCCEEDED
    assert report.facts == {}
    assert (report.outputs, report.started_at, report.ended_at, report.progress) == ((), None, None, None)


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"status":7}', b'{"status":"Re'])
def test_a_report_that_cannot_be_read_is_an_error(body: bytes):
    with pytest.raises(ValueError):
        report_of(reply(body))


@pytest.mark.parametrize("word", ["Ready", "Pending", "Error", "Task not found", "Contemplating"])
def test_a_report_about_another_task_is_not_read(word: str):
    other = reply({"id": "another", "status": word, "result": {"sample": "https://a.example/"}})
    with pytest.raises(ValueError, match="another task"):
        TASKS.read_report(other, TaskRef(vendor_task_id=UUID))


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": ""}, {"id": UUID}], ids=["none", "null", "empty", "same"])
def test_a_report_may_leave_out_whose_it_is(body: dict[str, Any]):
    report = TASKS.read_report(reply(body | {"status": "Task not found"}), TaskRef(vendor_task_id=UUID))
    assert report.state is ReportState.NOT_FOUND


def test_of_a_large_reply_only_what_is_shown_is_kept():
    result = {"sample": "https://a.example/", "prompt": "ü" * 9_000, "seed": 7}
    large = {"id": UUID, "status": "Ready", "result": result, "preview": {"image": "x" * 2**20}, "note": "kept"}
    report = report_of(reply(large))
    assert report.raw == {"id": UUID, "status": "Ready", "result": result, "note": "kept"}
    assert report.facts == {"seed": 7, "prompt": "ü" * 8_192}


def test_a_reply_that_is_large_in_what_is_shown_is_still_cut():
    large = {"id": UUID, "status": "Ready", "result": {"sample": "https://a.example/", "prompt": "x" * 2**20}}
    report = report_of(reply(large))
    assert report.raw == {"id": UUID, "status": "Ready"}
    assert [output.url for output in report.outputs] == ["https://a.example/"]


def test_details_of_a_failure_are_bounded():
    details = {"Moderation Reasons": ["Gore"], "mask": "x" * 2**20}
    failure = report_of(reply({"id": UUID, "status": "Content Moderated", "details": details})).failure
    assert failure is not None
    assert failure.details == {"Moderation Reasons": ["Gore"]}


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (400, Refused),
        (413, Refused),
        (422, Refused),
        (401, VendorRejectsUs),
        (402, VendorRejectsUs),
        (403, ModelNotOffered),
        (404, ModelNotOffered),
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
    assert type(TASKS.read_refusal(reply(b"<html>", status))) is fault
    assert type(TASKS.read_refusal(reply({"detail": "no"}, status))) is fault


def test_a_wrong_key_is_told_from_a_model_that_is_not_offered():
    fault = TASKS.read_refusal(reply({"detail": "Not authenticated - Invalid Authentication"}, 403))
    assert type(fault) is VendorRejectsUs
    assert "credentials" in fault.message


def test_a_validation_error_names_the_field_and_keeps_the_list():
    item = {"type": "greater_than_equal", "loc": ["body", "width"], "msg": "Input should be >= 256", "ctx": {"ge": 256}}
    fault = TASKS.read_refusal(reply({"detail": [item | {"input": "x" * 9, "url": "https://errors.example/"}]}, 422))
    assert isinstance(fault, Refused)
    assert not isinstance(fault, BadRequest)
    assert (fault.param, fault.message) == ("width", "`width`: Input should be >= 256")
    assert fault.detail == [item]


def test_a_refusal_in_words_is_shown_without_the_vendors_addresses():
    fault = TASKS.read_refusal(reply({"detail": f"Task {UUID} at api.bfl.ai: no"}, 400))
    assert isinstance(fault, Refused)
    assert fault.message == fault.detail == "Task (removed) at (removed): no"


_TELLING = f"task {UUID} at https://api.us1.bfl.ai/v1/x?id={UUID} or delivery-us1.bfl.ai"
_COMPLAINT = {"loc": ["body", _TELLING], "msg": _TELLING, "type": _TELLING, "ctx": {"at": _TELLING, "id": UUID}}


@pytest.mark.parametrize("status", [302, 400, 401, 402, 403, 404, 413, 418, 422, 429, 500, 502, 503, 504, 524])
@pytest.mark.parametrize(
    "body",
    [
        {"detail": _TELLING, "id": UUID, "polling_url": "https://api.bfl.ai/"},
        {"message": _TELLING},
        {"detail": [_COMPLAINT]},
        _TELLING.encode(),
    ],
    ids=["detail", "message", "list", "text"],
)
def test_no_refusal_names_an_address_or_an_id_of_the_vendor(status: int, body: object):
    fault = TASKS.read_refusal(reply(body, status, location="https://api.bfl.ai/", x_request_id=UUID))
    said = f"{fault.message} {fault.param} {fault.detail if isinstance(fault, Refused) else None}"
    assert "bfl" not in said
    assert "://" not in said
    assert UUID not in said


def test_complaints_are_bounded():
    complaint = {"loc": ["body", "width"], "msg": "x" * 2**20, "type": "bad", "ctx": {"given": "x" * 2**20}}
    fault = TASKS.read_refusal(reply({"detail": [complaint] * 100}, 422))
    assert isinstance(fault, Refused)
    assert fault.detail == [{"loc": ["body", "width"], "msg": "x" * 499 + "…", "type": "bad"}] * 20


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [({"retry_after": "7"}, {}, 7), ({}, {"retry_after": 9}, 9), ({"retry_after": "soon"}, {}, None), ({}, {}, None)],
)
def test_a_busy_vendor_says_when_to_come_again(headers: dict[str, str], body: dict[str, Any], seconds: int | None):
    assert TASKS.read_refusal(reply(body, 429, **headers)).retry_after_s == seconds
