"""Tasks, faults and webhooks as callers of this format see them."""

import hashlib
import hmac
from typing import Any

import msgspec
import pytest
from tests.vendors.bfl.support import ASSET, BASE_URL, TASK_UUID, fixture, reply, report_of, view

from halley.kernel.faults import BadRequest, Fault, NotConveyed, OutOfFunds, Refused, Unauthenticated, VendorBusy
from halley.kernel.money import Nanos
from halley.kernel.order import Failure, FailureCode, Webhook
from halley.vendors.bfl import DIALECT
from halley.vendors.bfl.types import FluxAccepted, FluxTask
from halley.vendors.contract import Action, TaskView, ViewState, WebhookEvent

READY_RAW = report_of(fixture("ready")).raw


def shown(task: TaskView) -> dict[str, Any]:
    answer = DIALECT.render_task(task)
    assert answer.status == 200
    msgspec.convert(answer.body, FluxTask)
    return answer.body


def test_routes_are_those_of_the_vendor_with_and_without_prefix():
    assert [(route.method, route.path, route.action, route.model_pattern) for route in DIALECT.routes] == [
        ("POST", "/flux/v1/{model}", Action.SUBMIT, None),
        ("GET", "/flux/v1/get_result", Action.FETCH, None),
        ("POST", "/v1/{model}", Action.SUBMIT, "flux-*"),
        ("GET", "/v1/get_result", Action.FETCH, None),
    ]


def test_an_accepted_order_is_polled_at_our_own_address():
    answer = DIALECT.render_accepted(view(ViewState.STARTING))
    assert answer.status == 200
    assert answer.body == {"id": TASK_UUID, "polling_url": f"{BASE_URL}/flux/v1/get_result?id={TASK_UUID}"}


def test_an_accepted_order_with_a_webhook_has_both_shapes():
    measured = {"first_output_megapixel": 1, "further_output_megapixel": 50_000, "input_megapixel": 0}
    task = view(webhook=Webhook(url="https://a.example/", secret="s"), cost=Nanos(30_750_000), measured=measured)
    body = DIALECT.render_accepted(task).body
    assert msgspec.convert(body, FluxAccepted) == FluxAccepted(
        id=TASK_UUID,
        polling_url=f"{BASE_URL}/flux/v1/get_result?id={TASK_UUID}",
        status="Pending",
        webhook_url="https://a.example/",
        cost=3.075,
        input_mp=0.0,
        output_mp=1.05,
    )
    assert "secret" not in str(body)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"state": ViewState.STARTING}, "Pending"),
        ({"word": "Generating", "vendor_format": "flux"}, "Generating"),
        ({"word": "Contemplating", "vendor_format": "flux"}, "Pending"),
        ({"word": "Task not found", "vendor_format": "flux"}, "Pending"),
        ({"word": "processing", "vendor_format": "replicate"}, "Pending"),
    ],
)
def test_a_task_on_its_way_is_pending_unless_the_vendor_says_more(fields: dict[str, Any], word: str):
    known: dict[str, Any] = {"progress": 0.4, **fields}
    body = shown(view(**known))
    assert (body["id"], body["status"], body["progress"], body["result"]) == (TASK_UUID, word, 0.4, None)


def test_a_success_shows_our_link_and_our_price():
    task = view(
        ViewState.SUCCEEDED,
        vendor_format="flux",
        raw=READY_RAW | {"cost": 99, "shade": {"hue": 1, "cost": 99, "at": "https://api.bfl.ai/x"}},
        assets=(ASSET,),
        cost=Nanos(40_000_000),
    )
    body = shown(task)
    assert body["status"] == "Ready"
    assert body["cost"] == 4
    assert body["shade"] == {"hue": 1, "at": "(removed)"}
    assert body["result"] == READY_RAW["result"] | {"sample": ASSET.url}
    assert "bfl" not in str(body)
    assert READY_RAW["id"] not in str(body)


def test_a_success_whose_reply_was_too_large_to_keep_is_shown_from_its_facts():
    result = {"sample": "https://a.example/", "prompt": "x" * 2**20, "seed": 7, "duration": 2.0}
    report = report_of(reply({"id": "a", "status": "Ready", "result": result}))
    body = shown(view(ViewState.SUCCEEDED, vendor_format="flux", raw=report.raw, facts=report.facts, assets=(ASSET,)))
    assert (body["status"], body["result"]["sample"]) == ("Ready", ASSET.url)
    assert (body["result"]["seed"], body["result"]["duration"]) == (7, 2.0)
    assert body["result"]["prompt"] == "x" * 16_384


def test_unknown_fields_of_a_result_are_forwarded():
    raw = READY_RAW | {"result": READY_RAW["result"] | {"palette": ["red"]}}
    assert shown(view(ViewState.SUCCEEDED, vendor_format="flux", raw=raw, assets=(ASSET,)))["result"]["palette"] == [
        "red"
    ]


def test_a_task_of_another_format_is_shown_in_this_one():
    task = view(
        ViewState.SUCCEEDED,
        dialect="replicate",
        vendor_format="replicate",
        raw={"output": ["https://x.example/"], "logs": "…"},
        body={"input": {"prompt": "a fox", "seed": 3}},
        facts={"seed": 5},
        assets=(ASSET, msgspec.structs.replace(ASSET, url="second")),
    )
    body = shown(task)
    assert set(body) == {"id", "status", "result", "progress", "details", "preview"}
    assert body["result"] == {
        "sample": ASSET.url,
        "prompt": "a fox",
        "seed": 5,
        "start_time": 1_790_000_001.0,
        "end_time": 1_790_000_003.5,
        "duration": 2.5,
        "samples": [ASSET.url, "second"],
    }


@pytest.mark.parametrize(
    ("code", "word", "details"),
    [
        (FailureCode.REQUEST_MODERATED, "Request Moderated", {"Moderation Reasons": ["no good"]}),
        (FailureCode.CONTENT_MODERATED, "Content Moderated", {"Moderation Reasons": ["no good"]}),
        (FailureCode.OUTPUT_LOST, "Error", {"error": "no good"}),
        (FailureCode.OUTCOME_UNKNOWN, "Error", {"error": "no good"}),
    ],
)
def test_a_failure_has_the_vendors_word_and_a_reason(code: FailureCode, word: str, details: dict[str, Any]):
    body = shown(view(ViewState.FAILED, failure=Failure(code=code, message="no good")))
    assert (body["status"], body["result"], body["details"]) == (word, None, details)


def test_reasons_of_moderation_are_the_vendors():
    failure = report_of(fixture("content_moderated")).failure
    body = shown(view(ViewState.FAILED, failure=failure))
    assert body["details"] == {"Moderation Reasons": ["Sexual Content"]}


def test_a_cancelled_task_and_one_whose_files_are_gone_are_errors_that_say_so():
    assert shown(view(ViewState.CANCELLED))["details"] == {"error": "The task was cancelled"}
    gone = shown(view(ViewState.SUCCEEDED, outputs_expired=True))
    assert (gone["status"], gone["result"]) == ("Error", None)
    assert "retention" in gone["details"]["error"]


def test_a_missing_task_is_said_with_a_200():
    answer = DIALECT.render_missing("any", "req_1")
    assert answer.status == 200
    assert answer.body == {
        "id": "any",
        "status": "Task not found",
        "result": None,
        "progress": None,
        "details": None,
        "preview": None,
    }


@pytest.mark.parametrize(
    ("fault", "status", "detail"),
    [
        (BadRequest("not JSON"), 400, "not JSON"),
        (BadRequest("no", param="width"), 422, [{"loc": ["body", "width"], "msg": "no", "type": "value_error"}]),
        (BadRequest("no", param="id"), 422, [{"loc": ["query", "id"], "msg": "no", "type": "value_error"}]),
        (NotConveyed("no", param="steps"), 400, [{"loc": ["body", "steps"], "msg": "no", "type": "value_error"}]),
        (OutOfFunds("no money"), 402, "no money"),
        (Unauthenticated("no key"), 401, "no key"),
        (Refused("no", param="width", detail=[{"msg": "theirs"}]), 422, [{"msg": "theirs"}]),
        (Refused("no"), 422, "no"),
    ],
)
def test_a_fault_has_the_vendors_detail_and_our_error(fault: Fault, status: int, detail: Any):
    answer = DIALECT.render_fault(fault, "req_1")
    assert (answer.status, answer.body["detail"]) == (status, detail)
    assert answer.body["error"] == {
        "type": fault.type,
        "code": fault.code,
        "message": fault.message,
        "param": fault.param,
        "request_id": "req_1",
    }


def test_a_fault_says_when_to_come_again():
    assert DIALECT.render_fault(VendorBusy("later", retry_after_s=3), "req_1").headers == {"retry-after": "3"}


def test_a_webhook_tells_of_a_success():
    task = view(ViewState.SUCCEEDED, assets=(ASSET,), facts={"seed": 1, "prompt": "a fox"})
    event = DIALECT.render_event(task, WebhookEvent.COMPLETED)
    assert event == {
        "id": TASK_UUID,
        "status": "Ready",
        "result": shown(task)["result"],
        "timestamp": "2026-09-21T14:13:23.500Z",
    }


def test_a_webhook_tells_of_a_failure():
    failure = Failure(code=FailureCode.VENDOR_FAILED, message="no good")
    event = DIALECT.render_event(view(ViewState.FAILED, failure=failure), WebhookEvent.COMPLETED)
    assert (event["id"], event["status"], event["error"], event["result"]) == (TASK_UUID, "Error", "no good", None)


def test_a_webhook_is_signed_as_the_vendor_signs():
    headers = DIALECT.sign_event("secret", "msg_1", 1_790_000_000, b"{}")
    digest = hmac.new(b"secret", b"{}", hashlib.sha256).hexdigest()
    assert headers == {
        "X-BFL-Signature": f"sha256={digest}",
        "webhook-id": "msg_1",
        "webhook-timestamp": "1790000000",
    }
