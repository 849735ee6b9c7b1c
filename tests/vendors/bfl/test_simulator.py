"""The simulated vendor over a real socket: what it takes, refuses, makes and tells."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.vendors.bfl import shapes_of_replies as shapes
from tests.vendors.bfl.support import (
    OpenSandbox,
    Sandbox,
    StillClock,
    body_of,
    picture64,
    read,
    report_of,
    size_and_format,
)

from halley.kernel.order import FailureCode, ReportState
from halley.vendors.bfl import TASKS
from halley.vendors.bfl.fields import MODELS
from halley.vendors.bfl.simulator import LIMITS_VARIABLE
from halley.vendors.contract import VendorCall
from halley.vendors.simulate import Outcome

_SMALL: dict[str, Any] = {"width": 256, "height": 256}


def checked(body: Any, schema: dict[str, Any]) -> Any:
    jsonschema.validate(body, schema)
    return body


async def test_an_order_goes_from_pending_to_ready(sandbox: Sandbox):
    reply = await sandbox.send(TASKS.write_order(read({"prompt": "a fox", "seed": 7} | _SMALL), "flux-pro-1.1"))
    accepted = TASKS.read_accepted(reply)
    checked(body_of(reply), shapes.ACCEPTED)
    assert (reply.status, accepted.vendor_cost) == (200, 40_000_000)
    progresses: list[float | None] = []
    for _ in range(3):
        progresses.append(report_of(await sandbox.get(accepted.poll_url or "")).progress)
        sandbox.clock.tick(0.5)
    assert progresses == [0.0, 0.333, 0.667]
    ready = body_of(await sandbox.get(accepted.poll_url or ""))
    checked(checked(ready, shapes.RESULT)["result"], shapes.READY)
    assert (ready["status"], ready["cost"], ready["result"]["seed"]) == ("Ready", 4.0, 7)
    assert ready["result"]["duration"] == 1.2


async def test_every_model_makes_an_image(sandbox: Sandbox):
    for model, fields in MODELS.items():
        needed = {name: picture64(128, 96) for name, field in fields.items() if field.required and "image" in name}
        if "finetune_id" in fields:
            needed["finetune_id"] = "f"
        reply = await sandbox.order(model, **needed)
        assert reply.status == 200, (model, reply.body)
        assert body_of(reply)["cost"] > 0


@pytest.mark.parametrize(
    ("model", "body", "size", "image_format"),
    [
        ("flux-pro-1.1", {"width": 288, "height": 416}, (288, 416), "JPEG"),
        ("flux-dev", {"output_format": "png"}, (1024, 768), "PNG"),
        ("flux-2-pro", {"width": 100, "height": 130, "output_format": "webp"}, (100, 130), "WEBP"),
        ("flux-2-klein-4b", {}, (1024, 1024), "JPEG"),
        ("flux-2-max", {"input_image": picture64(300, 200)}, (300, 200), "JPEG"),
        ("flux-pro-1.1-ultra", {}, (2688, 1512), "JPEG"),
        ("flux-kontext-pro", {"aspect_ratio": "3:4"}, (888, 1184), "PNG"),
        ("flux-kontext-pro", {"input_image": picture64(400, 200)}, (1448, 728), "PNG"),
        ("flux-pro-1.0-expand", {"image": picture64(128, 96), "left": 10, "bottom": 20}, (138, 116), "JPEG"),
        ("flux-pro-1.0-fill", {"image": picture64(130, 97), "mask": picture64(130, 97)}, (130, 97), "JPEG"),
        ("flux-pro-1.0-canny", {"control_image": picture64(200, 120)}, (200, 120), "JPEG"),
    ],
)
async def test_an_image_has_the_asked_size_and_format(
    sandbox: Sandbox, model: str, body: dict[str, Any], size: tuple[int, int], image_format: str
):
    reply = await sandbox.image(model, **body)
    assert size_and_format(reply.body) == (size, image_format)
    assert reply.headers["content-type"] == f"image/{image_format.lower()}"


async def test_the_same_seed_makes_the_same_image_and_another_a_different_one(sandbox: Sandbox):
    first, again, other = [(await sandbox.image(seed=seed, **_SMALL)).body for seed in (1, 1, 2)]
    assert first == again
    assert first != other


async def test_an_input_image_is_seen_in_the_output(sandbox: Sandbox):
    body: dict[str, Any] = {**_SMALL, "seed": 1}
    assert (await sandbox.image(**body)).body != (await sandbox.image(**body, image_prompt=picture64(64, 64))).body


async def test_an_input_image_is_fetched_from_its_url(sandbox: Sandbox):
    reply = await sandbox.image("flux-2-pro", input_image="http://files.example/fox.png")
    assert size_and_format(reply.body)[0] == (320, 256)


async def test_flux_2_is_billed_by_the_megapixel(sandbox: Sandbox):
    reply = await sandbox.order("flux-2-pro", width=2048, height=1024, input_image=picture64(1000, 1000))
    body = body_of(reply)
    assert (body["output_mp"], body["input_mp"]) == (2.1, 1.0)
    assert body["cost"] == 3 + 1.1 * 1.5 + 1.5


@pytest.mark.parametrize(
    ("model", "body", "kind", "field"),
    [
        ("flux-pro-1.1", {"width": 255}, "greater_than_equal", "width"),
        ("flux-pro-1.1", {"height": 1472}, "less_than_equal", "height"),
        ("flux-pro-1.1", {"width": 300}, "multiple_of", "width"),
        ("flux-pro-1.1", {"width": "512"}, "int_type", "width"),
        ("flux-pro-1.1", {"width": None}, "int_type", "width"),
        ("flux-pro-1.1", {"prompt_upsampling": "yes"}, "bool_type", "prompt_upsampling"),
        ("flux-dev", {"guidance": "x"}, "float_type", "guidance"),
        ("flux-pro-1.1", {"output_format": "gif"}, "enum", "output_format"),
        ("flux-pro", {"output_format": "webp"}, "enum", "output_format"),
        ("flux-2-pro", {"safety_tolerance": 6}, "less_than_equal", "safety_tolerance"),
        ("flux-2-pro", {"width": 5000}, "value_error", "width"),
        ("flux-kontext-pro", {"prompt": None}, "string_type", "prompt"),
        ("flux-kontext-pro", {"aspect_ratio": "wide"}, "value_error", "aspect_ratio"),
        ("flux-kontext-pro", {"aspect_ratio": "3:1"}, "value_error", "aspect_ratio"),
        ("flux-kontext-pro", {"input_image": "bm8gaW1hZ2U="}, "value_error", "input_image"),
        ("flux-kontext-pro", {"input_image": "http://files.example/none"}, "value_error", "input_image"),
        ("flux-pro-1.0-fill", {}, "missing", "image"),
        ("flux-pro-1.0-fill", {"image": ""}, "value_error", "image"),
        ("flux-pro-1.0-fill", {"image": picture64(64, 64), "mask": picture64(32, 64)}, "value_error", "mask"),
        ("flux-pro-1.0-expand", {"image": picture64(2100, 64), "left": 2048}, "value_error", "image"),
        ("flux-pro-1.1", {"webhook_url": ""}, "url_parsing", "webhook_url"),
        ("flux-pro-1.1", {"webhook_url": "hook"}, "url_parsing", "webhook_url"),
        ("flux-pro-1.1", {"webhook_url": "https://a.example/" + "x" * 2083}, "url_too_long", "webhook_url"),
        ("flux-pro-1.1", {"prompt": "[[halley outcome=none]]"}, "value_error", "prompt"),
        ("flux-pro-1.1", {"prompt": "[[halley outcome=cut_stream]]"}, "value_error", "prompt"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_a_wrong_order_is_refused_as_the_vendor_does(
    sandbox: Sandbox, model: str, body: dict[str, Any], kind: str, field: str
):
    reply = await sandbox.order(model, **body)
    detail = checked(body_of(reply), shapes.INVALID)["detail"]
    assert (reply.status, detail[0]["type"], detail[0]["loc"]) == (422, kind, ["body", field])
    assert TASKS.read_refusal(reply).param == field


@pytest.mark.parametrize(("body", "kind"), [(b"{", "json_invalid"), (b"[]", "model_attributes_type")])
async def test_a_body_that_is_no_object_is_refused(sandbox: Sandbox, body: bytes, kind: str):
    reply = await sandbox.send(VendorCall(method="POST", url="/v1/flux-dev", body=body))
    assert (reply.status, checked(body_of(reply), shapes.INVALID)["detail"][0]["type"]) == (422, kind)


@pytest.mark.parametrize("key", [None, "", "bad-key"])
async def test_a_missing_or_bad_key_is_refused(sandbox: Sandbox, key: str | None):
    reply = await sandbox.order(key=key)
    assert (reply.status, body_of(reply)) == (403, {"detail": "Not authenticated"})


async def test_what_is_not_there_is_not_found(sandbox: Sandbox):
    assert (await sandbox.order("flux-of-tomorrow")).status == 404
    assert (await sandbox.get("/v2/any")).status == 404
    unknown = await sandbox.get("/v1/get_result?id=none")
    assert (unknown.status, body_of(unknown)["status"]) == (200, "Task not found")
    checked(body_of(unknown), shapes.RESULT)
    assert (await sandbox.get("/v1/get_result")).status == 422
    assert (await sandbox.get("/results/none/sample.png", key=None)).status == 403


async def test_credits_are_told(sandbox: Sandbox):
    assert body_of(await sandbox.get("/v1/credits"))["credits"] > 0


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Outcome.INVALID, 422), (Outcome.UNAUTHORIZED, 403), (Outcome.OUT_OF_CREDIT, 402), (Outcome.RATE_LIMITED, 429)],
)
async def test_a_refusal_can_be_ordered_by_header(sandbox: Sandbox, outcome: Outcome, status: int):
    call = TASKS.write_order(read({"prompt": "a fox"}), "flux-pro-1.1")
    reply = await sandbox.send(call, halley_test=f"outcome={outcome}")
    assert reply.status == status
    assert TASKS.read_refusal(reply).retry_after_s == (1 if outcome is Outcome.RATE_LIMITED else None)


@pytest.mark.parametrize(
    ("outcome", "state", "code"),
    [
        (Outcome.SUCCESS, ReportState.SUCCEEDED, None),
        (Outcome.REQUEST_MODERATED, ReportState.FAILED, FailureCode.REQUEST_MODERATED),
        (Outcome.CONTENT_MODERATED, ReportState.FAILED, FailureCode.CONTENT_MODERATED),
        (Outcome.VENDOR_ERROR, ReportState.FAILED, FailureCode.VENDOR_FAILED),
        (Outcome.UNKNOWN_STATE, ReportState.UNKNOWN, None),
        (Outcome.NOT_FOUND_LATER, ReportState.NOT_FOUND, None),
        (Outcome.NEVER_FINISHES, ReportState.RUNNING, None),
        (Outcome.EXPIRED_LINK, ReportState.SUCCEEDED, None),
    ],
)
async def test_an_ending_can_be_ordered_in_the_prompt(
    sandbox: Sandbox, outcome: Outcome, state: ReportState, code: FailureCode | None
):
    report = report_of(await sandbox.ended(prompt=f"a fox [[halley outcome={outcome}]]"))
    assert report.state is state
    assert (report.failure.code if report.failure else None) == code


async def test_a_marker_is_no_part_of_the_prompt(sandbox: Sandbox):
    report = report_of(await sandbox.ended(prompt="a fox [[halley outcome=success delay=3]]"))
    assert report.facts["prompt"] == "a fox"


async def test_a_link_ends_after_ten_minutes_or_at_once_by_order(sandbox: Sandbox):
    link = report_of(await sandbox.ended(**_SMALL)).outputs[0].url
    assert (await sandbox.get(link, key=None)).status == 200
    sandbox.clock.tick(600)
    assert (await sandbox.get(link, key=None)).status == 403
    assert (await sandbox.image(prompt="[[halley outcome=expired_link]]")).status == 403


async def test_garbage_is_answered_after_the_job_was_taken(sandbox: Sandbox):
    reply = await sandbox.order(prompt="a fox [[halley outcome=garbage]]")
    assert reply.status == 200
    with pytest.raises(ValueError):
        TASKS.read_accepted(reply)
    assert len(sandbox.server.host.journal.all()) == 1


async def test_jobs_outlive_the_simulator(open_sandbox: OpenSandbox, tmp_path: Path):
    clock = StillClock()
    first = await open_sandbox(journal_path=tmp_path / "simulators.db", clock=clock)
    accepted = TASKS.read_accepted(await first.order(**_SMALL))
    second = await open_sandbox(journal_path=tmp_path / "simulators.db", clock=clock)
    clock.tick(10)
    report = report_of(await second.get(f"/v1/get_result?id={accepted.vendor_task_id}"))
    assert (await second.get(report.outputs[0].url)).status == 200


async def test_an_order_with_a_webhook_is_told_once_with_a_signature(sandbox: Sandbox):
    reply = await sandbox.order(webhook_url="https://a.example/hook", webhook_secret="s", **_SMALL)
    checked(body_of(reply), shapes.ACCEPTED_WITH_WEBHOOK)
    await sandbox.deliver()
    assert sandbox.posted == []
    sandbox.clock.tick(10)
    await sandbox.deliver()
    (posted,) = sandbox.posted
    assert posted.url == "https://a.example/hook"
    assert posted.headers["X-BFL-Signature"] == f"sha256={hmac.new(b's', posted.body, hashlib.sha256).hexdigest()}"
    assert b'"status":"Ready"' in posted.body


@pytest.mark.parametrize(("model", "most"), [("flux-pro-1.1", 24), ("flux-kontext-max", 6)])
async def test_active_tasks_are_limited_on_demand(
    open_sandbox: OpenSandbox, monkeypatch: pytest.MonkeyPatch, model: str, most: int
):
    monkeypatch.setenv(LIMITS_VARIABLE, "1")
    sandbox = await open_sandbox()
    for _ in range(most):
        assert (await sandbox.order(model)).status == 200
    assert (await sandbox.order(model)).status == 429
    assert (await sandbox.order(model, key="another")).status == 200
    sandbox.clock.tick(10)
    assert (await sandbox.order(model)).status == 200
