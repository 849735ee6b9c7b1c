"""The simulated vendor over a real socket, called as the gateway calls the real one."""

import asyncio
import base64
import io
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from PIL import Image
from tests.vendors.replicate.conftest import START_US, TOKEN, OpenSandbox, Sandbox, body_of, is_valid, report_of

from halley.kernel.faults import (
    Fault,
    Refused,
    VendorBusy,
    VendorRejectsUs,
)
from halley.kernel.order import FailureCode, ReportState
from halley.vendors.contract import Accepted, TaskRef, VendorCall, VendorReply
from halley.vendors.replicate import wire
from halley.vendors.replicate.models import BY_NAME, MODELS
from halley.vendors.replicate.signature import verified

CALLBACK = "https://gateway.example/callbacks/replicate/token"
INPUT = {"prompt": "a red teapot", "seed": 7}


def picture(width: int = 300, height: int = 200, color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, "PNG")
    return file.getvalue()


def size_and_format(data: bytes) -> tuple[tuple[int, int], str | None]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.size, image.format


async def accepted(sandbox: Sandbox, body: dict[str, Any], model: str = "black-forest-labs/flux-schnell") -> Accepted:
    reply = await sandbox.order(body, model)
    assert reply.status == 201, reply.body
    is_valid(body_of(reply), "prediction_response")
    return wire.read_accepted(reply)


async def fetched(sandbox: Sandbox, job: Accepted) -> VendorReply:
    return await sandbox.send(wire.write_poll(TaskRef(vendor_task_id=job.vendor_task_id)))


async def output(sandbox: Sandbox, given: dict[str, Any], model: str) -> bytes:
    """Order, wait and download the first output."""
    job = await accepted(sandbox, {"input": given}, model)
    sandbox.clock.tick(2)
    report = report_of(await fetched(sandbox, job))
    assert report.state is ReportState.SUCCEEDED, report.raw
    return (await sandbox.get(report.outputs[0].url, token=None)).body


async def test_a_prediction_starts_runs_and_succeeds(sandbox: Sandbox):
    job = await accepted(sandbox, {"input": INPUT})
    words: list[str] = []
    for seconds in (0, 0.5, 1):
        sandbox.clock.tick(seconds)
        reply = await fetched(sandbox, job)
        is_valid(body_of(reply), "prediction_response")
        words.append(report_of(reply).word)
    assert words == ["starting", "processing", "succeeded"]
    report = report_of(await fetched(sandbox, job))
    assert (report.measured, report.facts["seed"], report.progress) == ({"image": 1}, 7, 1.0)
    assert report.raw["metrics"] == {"image_count": 1, "total_time": 1.5, "predict_time": 1.2}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
async def test_every_model_makes_an_image_of_its_default_size_and_format(sandbox: Sandbox, model: Any):
    given = {"prompt": "x", "finetune_id": "f"} if "finetune_id" in model.required else {"prompt": "x"}
    size, kind = size_and_format(await output(sandbox, given, model.name))
    assert size == model.sizes["1:1"]
    assert kind == {"webp": "WEBP", "jpg": "JPEG", "png": "PNG"}[str(model.inputs["output_format"].default)]


@pytest.mark.parametrize(
    ("model", "given", "size"),
    [
        ("flux-schnell", {"aspect_ratio": "16:9"}, (1344, 768)),
        ("flux-schnell", {"aspect_ratio": "9:21", "megapixels": "0.25"}, (320, 768)),
        ("flux-1.1-pro", {"aspect_ratio": "custom", "width": 512, "height": 288}, (512, 288)),
        ("flux-1.1-pro-ultra", {"aspect_ratio": "21:9"}, (3136, 1344)),
        ("flux-kontext-pro", {"aspect_ratio": "2:1"}, (1456, 720)),
    ],
)
async def test_images_have_the_asked_size(sandbox: Sandbox, model: str, given: dict[str, Any], size: tuple[int, int]):
    data = await output(sandbox, {"prompt": "x", **given}, f"black-forest-labs/{model}")
    assert size_and_format(data)[0] == size


async def test_the_same_seed_makes_the_same_image_and_another_another(sandbox: Sandbox):
    model = "black-forest-labs/flux-1.1-pro"
    given = {"prompt": "x", "aspect_ratio": "custom", "width": 256, "height": 256, "output_format": "png"}
    one = await output(sandbox, {**given, "seed": 1}, model)
    assert one == await output(sandbox, {**given, "seed": 1}, model)
    assert one != await output(sandbox, {**given, "seed": 2}, model)


async def test_an_input_image_is_matched_in_size_and_seen_in_the_output(sandbox: Sandbox):
    model, given = "black-forest-labs/flux-kontext-pro", {"prompt": "x", "seed": 1}
    urls = [f"data:image/png;base64,{base64.b64encode(picture(color=color)).decode()}" for color in ("red", "blue")]
    red, blue = [await output(sandbox, {**given, "input_image": url}, model) for url in urls]
    assert size_and_format(red)[0] == (1248, 832)
    assert red != blue


async def test_several_outputs_differ(sandbox: Sandbox):
    job = await accepted(sandbox, {"input": {**INPUT, "num_outputs": 2}})
    sandbox.clock.tick(2)
    report = report_of(await fetched(sandbox, job))
    first, second = [(await sandbox.get(one.url, token=None)).body for one in report.outputs]
    assert first != second
    assert report.measured == {"image": 2}


async def test_an_uploaded_file_can_be_an_input(sandbox: Sandbox):
    reply = await sandbox.send(wire.write_upload("a.png", "image/png", picture()))
    is_valid(body_of(reply), "file_response")
    url = wire.read_upload(reply)
    assert (await sandbox.get(f"{url}/download")).body == picture()
    data = await output(sandbox, {"prompt": "x", "input_image": url}, "black-forest-labs/flux-kontext-pro")
    assert size_and_format(data)[0] == (1248, 832)


@pytest.mark.parametrize(
    "source",
    ["data:image/png;base64,AAAA", "https://10.0.0.1/a.png", "data:text/plain,hello"],
    ids=["broken", "unreachable", "no base64"],
)
async def test_an_input_image_that_cannot_be_read_fails_the_prediction(sandbox: Sandbox, source: str):
    body = {"input": {"prompt": "x", "input_image": source}}
    job = await accepted(sandbox, body, "black-forest-labs/flux-kontext-pro")
    sandbox.clock.tick(2)
    report = report_of(await fetched(sandbox, job))
    assert report.failure is not None
    assert "input_image" in report.failure.message


async def test_files_are_listed_looked_up_and_deleted_by_their_owner_only(sandbox: Sandbox):
    made = body_of(await sandbox.send(wire.write_upload("a.bin", "application/zip", b"\r\n\x00--")))
    path = f"/v1/files/{made['id']}"
    assert body_of(await sandbox.get("/v1/files"))["results"] == [made] == [body_of(await sandbox.get(path))]
    assert (await sandbox.get(path, token="r8_other")).status == 404
    delete = VendorCall(method="DELETE", url=path)
    assert (await sandbox.send(delete)).status == 204
    assert (await sandbox.send(delete)).status == 404


async def test_wait_holds_the_submit_until_the_end(sandbox: Sandbox):
    async with asyncio.TaskGroup() as group:
        order = group.create_task(sandbox.order({"input": INPUT}, prefer="wait=5"))
        await sandbox.clock.tick_once_slept(1.5)
    reply = order.result()
    assert (reply.status, report_of(reply).word) == (201, "succeeded")


async def test_waiting_in_vain_ends_with_starting(sandbox: Sandbox):
    async with asyncio.TaskGroup() as group:
        body = {"input": {"prompt": "x [[halley outcome=never_finishes]]"}}
        order = group.create_task(sandbox.order(body, prefer="wait=1"))
        await sandbox.clock.tick_once_slept(1)
    reply = order.result()
    assert (reply.status, report_of(reply).word) == (202, "starting")


async def test_a_running_prediction_is_cancelled_and_a_finished_one_left(sandbox: Sandbox):
    running = await accepted(sandbox, {"input": INPUT})
    cancel = wire.write_cancel(TaskRef(vendor_task_id=running.vendor_task_id))
    sandbox.clock.tick(1)
    reply = await sandbox.send(cancel)
    is_valid(body_of(reply), "prediction_response")
    assert report_of(reply).state is ReportState.CANCELLED
    finished = await accepted(sandbox, {"input": INPUT})
    sandbox.clock.tick(2)
    cancel = wire.write_cancel(TaskRef(vendor_task_id=finished.vendor_task_id))
    assert report_of(await sandbox.send(cancel)).state is ReportState.SUCCEEDED


async def test_a_lost_order_is_found_over_pages(sandbox: Sandbox):
    body = wire.attach_callback({"input": INPUT}, CALLBACK)
    lost = await accepted(sandbox, body)
    for _ in range(100):
        await sandbox.order({"input": {"prompt": "x"}})
    first_reply = await sandbox.send(wire.write_find(START_US))
    is_valid(body_of(first_reply), "paginated_prediction_response")
    first = wire.read_find(first_reply, CALLBACK)
    assert first.accepted is None
    assert first.next_url is not None
    second = wire.read_find(await sandbox.get(first.next_url), CALLBACK)
    assert second.accepted is not None
    assert second.accepted.vendor_task_id == lost.vendor_task_id
    later = wire.read_find(await sandbox.send(wire.write_find(START_US + 1)), CALLBACK)
    assert (later.accepted, later.next_url) == (None, None)


async def test_callbacks_are_signed_and_say_what_a_fetch_says(sandbox: Sandbox):
    job = await accepted(sandbox, wire.attach_callback({"input": INPUT}, CALLBACK))
    sandbox.clock.tick(2)
    await sandbox.deliver()
    secret = wire.read_secret(await sandbox.send(wire.write_secret()))
    assert [posted.url for posted in sandbox.posted] == [CALLBACK, CALLBACK]
    assert all(verified(one.headers, one.body, secret, START_US // 1_000_000 + 2) for one in sandbox.posted)
    assert msgspec.json.decode(sandbox.posted[-1].body) == body_of(await fetched(sandbox, job))
    assert len({one.headers["webhook-id"] for one in sandbox.posted}) == 2


async def test_without_a_filter_all_events_are_told(sandbox: Sandbox):
    await accepted(sandbox, {"input": INPUT, "webhook": CALLBACK})
    sandbox.clock.tick(2)
    await sandbox.deliver()
    events = [one.headers["webhook-id"].rpartition("_")[2] for one in sandbox.posted]
    assert events == ["start", "logs", "output", "completed"]


@pytest.mark.parametrize(
    ("outcome", "callbacks"), [("success", 2), ("callback_lost", 0), ("callback_twice", 4), ("unknown_state", 1)]
)
async def test_callbacks_come_as_ordered(sandbox: Sandbox, outcome: str, callbacks: int):
    body = {"input": {"prompt": f"x [[halley outcome={outcome}]]"}}
    await accepted(sandbox, wire.attach_callback(body, CALLBACK))
    sandbox.clock.tick(2)
    await sandbox.deliver()
    assert len(sandbox.posted) == callbacks


async def test_a_cancelled_prediction_tells_its_end_at_once(sandbox: Sandbox):
    job = await accepted(sandbox, wire.attach_callback({"input": INPUT}, CALLBACK))
    await sandbox.send(wire.write_cancel(TaskRef(vendor_task_id=job.vendor_task_id)))
    await sandbox.deliver()
    words = [msgspec.json.decode(one.body, type=dict[str, Any])["status"] for one in sandbox.posted]
    assert words == ["canceled"]


@pytest.mark.parametrize(
    ("outcome", "status", "fault"),
    [
        ("invalid", 422, Refused),
        ("unauthorized", 401, VendorRejectsUs),
        ("out_of_credit", 402, VendorRejectsUs),
        ("rate_limited", 429, VendorBusy),
    ],
)
async def test_refusals_come_as_ordered(sandbox: Sandbox, outcome: str, status: int, fault: type[Fault]):
    reply = await sandbox.order({"input": INPUT}, **{"Halley-Test": f"outcome={outcome}"})
    assert reply.status == status
    assert type(wire.read_refusal(reply)) is fault
    assert sandbox.server.host.journal.all() == []


@pytest.mark.parametrize(
    ("outcome", "state", "code"),
    [
        ("success", ReportState.SUCCEEDED, None),
        ("request_moderated", ReportState.FAILED, FailureCode.CONTENT_MODERATED),
        ("content_moderated", ReportState.FAILED, FailureCode.CONTENT_MODERATED),
        ("vendor_error", ReportState.FAILED, FailureCode.VENDOR_FAILED),
        ("unknown_state", ReportState.UNKNOWN, None),
        ("not_found_later", ReportState.NOT_FOUND, None),
        ("never_finishes", ReportState.RUNNING, None),
        ("expired_link", ReportState.SUCCEEDED, None),
    ],
)
async def test_predictions_end_as_ordered(sandbox: Sandbox, outcome: str, state: ReportState, code: FailureCode | None):
    reply = await sandbox.order({"input": INPUT}, **{"Halley-Test": f"outcome={outcome}; delay=0.2"})
    job = wire.read_accepted(reply)
    sandbox.clock.tick(3)
    report = report_of(await fetched(sandbox, job))
    assert report.state is state
    assert (report.failure.code if report.failure else None) is code
    links = [await sandbox.get(one.url, token=None) for one in report.outputs]
    assert [link.status for link in links] == ([404] if outcome == "expired_link" else [200] * len(report.outputs))


async def test_garbage_is_no_json_though_the_job_is_made(sandbox: Sandbox):
    reply = await sandbox.order({"input": INPUT}, **{"Halley-Test": "outcome=garbage"})
    with pytest.raises(ValueError):
        wire.read_accepted(reply)
    assert len(sandbox.server.host.journal.all()) == 1


async def test_a_reset_comes_after_the_job_is_made(sandbox: Sandbox):
    with pytest.raises(aiohttp.ClientError):
        await sandbox.order({"input": INPUT}, **{"Halley-Test": "outcome=reset_after_send"})
    assert len(sandbox.server.host.journal.all()) == 1


async def test_silence_comes_after_the_job_is_made(sandbox: Sandbox):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(
            sandbox.order({"input": INPUT}, **{"Halley-Test": "outcome=timeout_after_send"}), timeout=0.3
        )
    assert len(sandbox.server.host.journal.all()) == 1


@pytest.mark.parametrize(
    ("body", "complaints"),
    [
        ({}, [("required", "", "input is required")]),
        (
            {"input": {}, "model": "x"},
            [("additional_property_not_allowed", "", "Additional property model is not allowed")],
        ),
        ({"input": {}}, [("required", "input", "prompt is required")]),
        (
            {"input": {"num_inference_steps": 9}},
            [
                ("required", "input", "prompt is required"),
                ("number_lte", "input.num_inference_steps", "Must be less than or equal to 4"),
            ],
        ),
        (
            {"input": {"prompt": "x", "output_format": "gif"}},
            [("enum", "input.output_format", 'output_format must be one of the following: "webp", "jpg", "png"')],
        ),
        (
            {"input": {"prompt": "x", "seed": "1"}},
            [("invalid_type", "input.seed", "Invalid type. Expected: integer, given: string")],
        ),
        ({"input": 1}, [("invalid_type", "input", "Invalid type. Expected: object, given: integer")]),
        (
            {"input": {"prompt": "x"}, "webhook_events_filter": ["end"]},
            [
                (
                    "enum",
                    "webhook_events_filter.0",
                    '0 must be one of the following: "start", "output", "logs", "completed"',
                )
            ],
        ),
    ],
)
async def test_bad_orders_are_refused_in_the_vendors_words(
    sandbox: Sandbox, body: dict[str, Any], complaints: list[tuple[str, str, str]]
):
    reply = await sandbox.order(body)
    assert reply.status == 422
    found = [(one["type"], one["field"], one["description"]) for one in body_of(reply)["invalid_fields"]]
    assert found == complaints
    lines = [f"- {field}: {said}\n" if field else f"- {said}\n" for _, field, said in complaints]
    assert body_of(reply)["detail"] == "".join(lines)


@pytest.mark.parametrize(
    ("token", "detail"),
    [
        (None, "You did not pass an authentication token"),
        ("bad_token", "You did not pass a valid authentication token"),
    ],
)
async def test_tokens_are_checked_on_every_path(sandbox: Sandbox, token: str | None, detail: str):
    for path in ("/v1/predictions", "/v1/predictions/x", "/v1/files", "/v1/models", "/v1/account"):
        reply = await sandbox.get(path, token=token)
        assert (reply.status, body_of(reply)["detail"]) == (401, detail)


@pytest.mark.parametrize(
    "path", ["/v1/predictions/nope", "/v1/models/a/b", "/v1/files/nope", "/v1/nope", "/delivery/x/out-0.webp", "/"]
)
async def test_what_is_not_there_is_404(sandbox: Sandbox, path: str):
    reply = await sandbox.get(path)
    assert (reply.status, body_of(reply)["status"]) == (404, 404)


async def test_another_accounts_prediction_is_not_there(sandbox: Sandbox):
    job = await accepted(sandbox, {"input": INPUT})
    assert (await sandbox.get(f"/v1/predictions/{job.vendor_task_id}", token="r8_other")).status == 404


async def test_a_version_names_the_model(sandbox: Sandbox):
    model = BY_NAME["black-forest-labs/flux-dev"]
    for version in (model.version, model.name, f"{model.name}:{model.version}"):
        call = VendorCall(method="POST", url="/v1/predictions", json={"version": version, "input": INPUT})
        assert body_of(await sandbox.send(call))["model"] == model.name
    call = VendorCall(method="POST", url="/v1/predictions", json={"version": "0" * 64, "input": INPUT})
    assert body_of(await sandbox.send(call))["title"] == "Invalid version or not permitted"


async def test_models_are_looked_up(sandbox: Sandbox):
    page = body_of(await sandbox.get("/v1/models"))
    assert len(page["results"]) == len(MODELS)
    is_valid(page, "paginated_model_response")
    versions = body_of(await sandbox.get("/v1/models/black-forest-labs/flux-dev/versions"))
    is_valid(versions, "paginated_version_response")


async def test_after_an_hour_the_data_is_removed(sandbox: Sandbox):
    job = await accepted(sandbox, {"input": INPUT})
    sandbox.clock.tick(3_601)
    reply = await fetched(sandbox, job)
    is_valid(body_of(reply), "prediction_response")
    body = body_of(reply)
    assert (body["data_removed"], body["output"], body["input"]) == (True, None, {})


async def test_jobs_outlive_the_simulator(open_sandbox: OpenSandbox, tmp_path: Path):
    before = await open_sandbox(journal_path=tmp_path / "simulators.db")
    job = await accepted(before, {"input": INPUT})
    await asyncio.to_thread(before.server.stop)
    after = await open_sandbox(journal_path=tmp_path / "simulators.db")
    after.clock.tick(2)
    assert report_of(await fetched(after, job)).state is ReportState.SUCCEEDED
    assert TOKEN not in (tmp_path / "simulators.db").read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    ("call", "headers", "status"),
    [
        (VendorCall(method="POST", url="/v1/predictions", body=b"{"), {}, 400),
        (VendorCall(method="POST", url="/v1/predictions", body=b"[]"), {}, 422),
        (VendorCall(method="POST", url="/v1/files", body=b"x"), {}, 400),
        (
            VendorCall(method="POST", url="/v1/files", body=b"--b\r\n"),
            {"content-type": "multipart/form-data; boundary=b"},
            400,
        ),
        (
            VendorCall(method="POST", url="/v1/files", body=b"--b\r\nX: y\r\n\r\nz\r\n--b--"),
            {"content-type": "multipart/form-data; boundary=b"},
            400,
        ),
        (
            VendorCall(method="POST", url="/v1/files", body=b"--b--"),
            {"content-type": "multipart/form-data; boundary=b"},
            422,
        ),
        (VendorCall(method="GET", url="/v1/predictions?cursor=x"), {}, 400),
        (VendorCall(method="GET", url="/v1/predictions?created_before=yesterday"), {}, 400),
        (VendorCall(method="PUT", url="/v1/predictions"), {}, 405),
    ],
    ids=[
        "no JSON",
        "no object",
        "no form",
        "cut form",
        "nameless part",
        "no content",
        "bad cursor",
        "bad time",
        "bad method",
    ],
)
async def test_what_cannot_be_read_is_refused(sandbox: Sandbox, call: VendorCall, headers: dict[str, str], status: int):
    assert (await sandbox.send(call, headers=headers)).status == status


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"aspect_ratio": "custom", "width": 100}, "Must be greater than or equal to 256"),
        ({"aspect_ratio": "custom", "width": 300}, "Must be a multiple of 32"),
        ({"image_prompt": "iVBORw0KGgo="}, "Does not match format 'uri'"),
        ({"prompt_upsampling": 1}, "Invalid type. Expected: boolean, given: integer"),
        ({"prompt": "x [[halley outcome=boom]]"}, "unknown test outcome"),
        ({"prompt": "x [[halley outcome=tool_call]]"}, "has no meaning for this call"),
    ],
)
async def test_bad_input_is_named(sandbox: Sandbox, given: dict[str, Any], complaint: str):
    reply = await sandbox.order({"input": {"prompt": "x", **given}}, "black-forest-labs/flux-1.1-pro")
    assert reply.status == 422
    assert complaint in body_of(reply)["detail"]


async def test_a_malformed_prefer_is_refused(sandbox: Sandbox):
    assert (await sandbox.order({"input": INPUT}, prefer="wait=soon")).status == 400
