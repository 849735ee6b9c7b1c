"""The vendor's replies read, and calls to it written."""

from typing import Any

import msgspec
import pytest
from tests.vendors.replicate.conftest import body_of, fixture, report_of

from halley.kernel.faults import (
    Fault,
    ModelNotOffered,
    Moderated,
    OutcomeUnknown,
    Refused,
    VendorBroken,
    VendorBusy,
    VendorRejectsUs,
)
from halley.kernel.order import FailureCode, Output, ReportState
from halley.vendors.contract import TaskRef, VendorReply
from halley.vendors.replicate import TASKS, wire

CALLBACK = "https://gateway.example/callbacks/replicate/token"


def reply(body: Any, status: int = 200, **headers: str) -> VendorReply:
    return VendorReply(status=status, headers=headers, body=msgspec.json.encode(body))


def test_an_accepted_order_carries_its_first_report():
    accepted = wire.read_accepted(fixture("accepted"))
    assert accepted.vendor_task_id == "1n6vvx3ykhrm80cphgnafcmvgg"
    assert accepted.report is not None
    assert (accepted.report.state, accepted.report.word) == (ReportState.RUNNING, "starting")
    assert (accepted.poll_url, accepted.vendor_cost) == (None, None)


def test_a_success_has_outputs_count_times_and_facts():
    report = report_of(fixture("succeeded"))
    assert report.state is ReportState.SUCCEEDED
    assert report.outputs == (Output(url="https://replicate.delivery/xezq/out-0.webp"),)
    assert report.measured == {"image": 1}
    assert report.facts == {"prompt": "a red teapot"}
    assert (report.ended_at or 0) - (report.started_at or 0) == 600_000


@pytest.mark.parametrize("word", TASKS.states)
def test_every_state_word_has_its_meaning(word: str):
    assert report_of(reply({"id": "a", "status": word})).state is TASKS.states[word]


def test_a_word_that_we_do_not_know_is_neither_success_nor_failure():
    report = report_of(reply({"id": "a", "status": "contemplating", "output": "https://a.example/b.png"}))
    assert (report.state, report.word, report.outputs) == (ReportState.UNKNOWN, "contemplating", ())


def test_a_404_is_not_found():
    assert report_of(reply({"detail": "x"}, 404)).state is ReportState.NOT_FOUND


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        ("https://a.example/1", ["https://a.example/1"]),
        (["https://a.example/1", "https://a.example/2"], ["https://a.example/1", "https://a.example/2"]),
        ([], []),
        (None, []),
        ({"image": "x"}, []),
        ([1, None], []),
        (["https://a.example/" + "x" * 5_000, "https://a.example/2"], ["https://a.example/2"]),
        (["https://a.example/1"] * 99, ["https://a.example/1"] * 64),
    ],
)
def test_outputs_are_one_uri_or_a_list(output: Any, urls: list[str]):
    report = report_of(reply({"id": "a", "status": "succeeded", "output": output}))
    assert [one.url for one in report.outputs] == urls


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("NSFW content detected. Try running it again", FailureCode.CONTENT_MODERATED),
        ("The input or output was flagged as sensitive. (E005)", FailureCode.CONTENT_MODERATED),
        ("Prediction interrupted (E1000)", FailureCode.VENDOR_FAILED),
        (None, FailureCode.VENDOR_FAILED),
        ("", FailureCode.VENDOR_FAILED),
        ({"a": 1}, FailureCode.VENDOR_FAILED),
    ],
)
def test_failures_are_told_apart(error: Any, code: FailureCode):
    report = report_of(reply({"id": "a1", "status": "failed", "error": error}))
    assert report.failure is not None
    assert report.failure.code is code
    assert report.failure.message


def test_a_failures_words_lose_links_and_the_vendors_id():
    error = "a1b2 failed, see https://replicate.com/p/a1b2 or api.replicate.com/v1\n" + "x" * 1_000
    report = report_of(reply({"id": "a1b2", "status": "failed", "error": error}))
    assert report.failure is not None
    message = report.failure.message
    assert "a1b2" not in message
    assert "replicate" not in message
    assert len(message) <= wire.MESSAGE_CHARACTERS_MAX


def test_seed_and_progress_are_read_from_the_logs():
    logs = "Using seed: 123\n 10%|#    | 1/10\n 50%|##### | 5/10\n"
    report = report_of(reply({"id": "a", "status": "processing", "logs": logs, "input": {"seed": 1}}))
    assert (report.progress, report.facts["seed"], report.facts["logs"]) == (0.5, 123, logs)


@pytest.mark.parametrize("count", [None, "1", True, -1, 1.5, 65, 10**30, {}])
def test_a_count_that_is_none_is_not_counted(count: Any):
    body = {"id": "a", "status": "succeeded", "metrics": {"image_count": count}}
    assert report_of(reply(body)).measured == {}


def test_a_count_within_reason_is_counted():
    assert report_of(reply({"status": "succeeded", "metrics": {"image_count": 64}})).measured == {"image": 64}


@pytest.mark.parametrize("word", TASKS.states)
def test_a_report_about_another_prediction_is_not_read(word: str):
    with pytest.raises(ValueError, match="another"):
        wire.read_report(reply({"id": "b", "status": word}), TaskRef(vendor_task_id="a"))


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": ""}, {"id": "a"}], ids=["none", "null", "empty", "same"])
def test_a_report_may_leave_out_whose_it_is(body: dict[str, Any]):
    report = wire.read_report(reply({**body, "status": "succeeded"}), TaskRef(vendor_task_id="a"))
    assert report.state is ReportState.SUCCEEDED


def test_of_a_large_reply_only_what_is_shown_is_kept():
    shown = {"id": "a", "status": "succeeded", "output": ["https://a.example/1"], "metrics": {"image_count": 1}}
    given = {"prompt": "x" * 20_000, "image": "data:image/png;base64," + "A" * 2**20, "seed": 7}
    report = report_of(reply({**shown, "input": given, "logs": "line\n" * 2**18, "note": "kept", "big": "x" * 2**20}))
    logs = "line\n" * (16_384 // 5)
    assert report.raw == {**shown, "logs": logs, "note": "kept"}
    assert report.facts == {"prompt": "x" * 16_384, "logs": logs, "seed": 7}


def test_logs_are_not_cut_within_a_link():
    link = "https://replicate.delivery/secret/" + "x" * 100
    logs = report_of(reply({"id": "a", "status": "processing", "logs": f"{link} {'y ' * 8_170}"})).raw["logs"]
    assert set(logs) == {"y", " "}


@pytest.mark.parametrize("length", [0, 201])
def test_an_order_needs_an_id_that_can_be_kept(length: int):
    with pytest.raises(ValueError, match="no id"):
        wire.read_accepted(reply({"id": "a" * length, "status": "starting"}, 201))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"status":1}', b'{"id":"a"', b'"x"'])
def test_a_reply_that_cannot_be_read_is_a_value_error(body: bytes):
    with pytest.raises(ValueError):
        report_of(VendorReply(status=200, body=body))
    with pytest.raises(ValueError):
        wire.read_accepted(VendorReply(status=201, body=body))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (fixture("no_token"), VendorRejectsUs),
        (fixture("bad_token"), VendorRejectsUs),
        (fixture("no_credit"), VendorRejectsUs),
        (reply({}, 403), ModelNotOffered),
        (reply({}, 404), ModelNotOffered),
        (fixture("throttled"), VendorBusy),
        (fixture("invalid_input"), Refused),
        (reply({"detail": "flagged as sensitive"}, 422), Moderated),
        (reply({}, 400), Refused),
        (VendorReply(status=413, body=b"<html>"), Refused),
        (reply({}, 408), OutcomeUnknown),
        (reply({}, 500), VendorBroken),
        (reply({}, 503), VendorBroken),
        (reply({}, 502), OutcomeUnknown),
        (VendorReply(status=504, body=b""), OutcomeUnknown),
    ],
    ids=lambda value: str(value.status) if isinstance(value, VendorReply) else None,
)
def test_a_refusal_becomes_the_right_fault(given: VendorReply, fault: type[Fault]):
    found = wire.read_refusal(given)
    assert type(found) is fault
    assert "replicate" not in found.message.lower()


_IDENTITY = "gm3qorzdhgbfurvjtvhg6dckhu"
_TELLING = f"prediction {_IDENTITY} at https://api.replicate.com/v1/predictions/{_IDENTITY} or x.replicate.delivery/a"
_COMPLAINT = {"type": _TELLING, "field": f"input.{_TELLING}", "description": _TELLING}


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 408, 413, 418, 422, 429, 500, 502, 503, 504, 524])
@pytest.mark.parametrize(
    "body",
    [{"detail": _TELLING, "id": _IDENTITY}, {"title": _TELLING}, {"invalid_fields": [_COMPLAINT]}, _TELLING],
    ids=["detail", "title", "fields", "text"],
)
def test_no_refusal_names_an_address_or_an_id_of_the_vendor(status: int, body: Any):
    fault = wire.read_refusal(reply(body, status, location="https://api.replicate.com/", x_request_id=_IDENTITY))
    said = f"{fault.message} {fault.param} {fault.detail if isinstance(fault, Refused) else None}"
    assert "replicate" not in said
    assert "://" not in said
    assert _IDENTITY not in said


@pytest.mark.parametrize(
    ("name", "param"), [("invalid_input", "prompt"), ("invalid_enum", "output_format"), ("invalid_envelope", "version")]
)
def test_a_refusal_names_the_field(name: str, param: str):
    found = wire.read_refusal(fixture(name))
    assert isinstance(found, Refused)
    assert found.param == param


def test_a_refusal_keeps_every_complaint_in_a_shape_that_all_formats_know():
    found = wire.read_refusal(fixture("invalid_input"))
    assert isinstance(found, Refused)
    assert found.message == "`prompt`: prompt is required; `num_inference_steps`: Must be less than or equal to 4"
    assert found.detail == [
        {"loc": ["body", "prompt"], "msg": "prompt is required", "type": "required"},
        {"loc": ["body", "num_inference_steps"], "msg": "Must be less than or equal to 4", "type": "number_lte"},
    ]


def test_a_refused_callback_address_is_the_operators_affair():
    complaint = {"type": "format", "field": "webhook", "description": "Does not match format 'https-uri'"}
    assert isinstance(wire.read_refusal(reply({"invalid_fields": [complaint]}, 422)), VendorRejectsUs)


@pytest.mark.parametrize(
    ("detail", "header", "seconds"),
    [
        ("Expected available in 7 seconds.", None, 7),
        ("Your rate limit resets in ~30s.", None, 30),
        ("no idea", None, None),
        ("Expected available in 7 seconds.", "3", 3),
        ("x", "0", 1),
        ("x", "999999", wire.RETRY_AFTER_S_MAX),
        ("x", "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (None, "1.2", 2),
    ],
)
def test_a_rate_limit_says_when_to_come_again(detail: str | None, header: str | None, seconds: int | None):
    headers = {} if header is None else {"retry-after": header}
    found = wire.read_refusal(VendorReply(status=429, headers=headers, body=msgspec.json.encode({"detail": detail})))
    assert found.retry_after_s == seconds


def test_poll_and_cancel_quote_the_id():
    ref = TaskRef(vendor_task_id="a/../b")
    assert wire.write_poll(ref).url == "/v1/predictions/a%2F..%2Fb"
    assert wire.write_cancel(ref).url == "/v1/predictions/a%2F..%2Fb/cancel"


def test_a_lost_order_is_found_by_its_callback():
    first = {"id": "a", "status": "starting", "webhook": "https://gateway.example/callbacks/replicate/other"}
    second = {"id": "b", "status": "succeeded", "webhook": CALLBACK, "output": "https://a.example/1"}
    found = wire.read_find(reply({"next": None, "results": [first, second]}), CALLBACK)
    assert found.accepted is not None
    assert found.accepted.vendor_task_id == "b"
    assert found.accepted.report is not None
    assert found.accepted.report.state is ReportState.SUCCEEDED


def test_the_search_goes_on_under_our_own_base_url():
    body = {
        "next": "https://evil.example/v1/predictions?cursor=c%3D1",
        "results": body_of(fixture("listing"))["results"],
    }
    found = wire.read_find(reply(body), CALLBACK)
    assert (found.accepted, found.next_url) == (None, "/v1/predictions?cursor=c%3D1")
    assert wire.read_find(fixture("listing"), CALLBACK).next_url is None
    assert wire.write_find(1_735_689_600_000_000).url == "/v1/predictions?created_after=2025-01-01T00%3A00%3A00.000000Z"


def test_an_upload_is_one_part_whose_name_cannot_break_out():
    call = wire.write_upload('a"\r\nX: y/ü.png', "image/png", b"\x00\xff--data")
    assert call.body is not None
    assert b'filename="a___X: y_\xc3\xbc.png"' in call.body
    assert b"Content-Type: image/png\r\n\r\n\x00\xff--data\r\n--" in call.body
    assert wire.read_upload(fixture("file")) == "https://api.replicate.com/v1/files/cneqzikepnug6xezperrr4z55o"


def test_our_callback_is_attached_to_a_copy():
    body: dict[str, Any] = {"input": {}}
    assert wire.attach_callback(body, CALLBACK) == {
        "input": {},
        "webhook": CALLBACK,
        "webhook_events_filter": ["start", "completed"],
    }
    assert body == {"input": {}}
