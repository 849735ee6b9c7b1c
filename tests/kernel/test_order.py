"""Orders and reports are kept as JSON in a task's row, and must come back as they were."""

import msgspec

from halley.kernel.money import Nanos
from halley.kernel.order import (
    Failure,
    FailureCode,
    ImageInput,
    ImageOrder,
    ImageRole,
    Output,
    Report,
    ReportState,
    Webhook,
)


def test_report_comes_back_from_its_row():
    report = Report(
        state=ReportState.FAILED,
        word="Content Moderated",
        progress=0.5,
        outputs=(Output(url="https://vendor.example/1.png"),),
        measured={"output_megapixel": 2_000_000},
        vendor_cost=Nanos(40_000_000),
        failure=Failure(code=FailureCode.CONTENT_MODERATED, message="No", details={"reasons": ["x"]}),
        raw={"status": "Content Moderated"},
    )
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_order_comes_back_with_its_original_body():
    order = ImageOrder(
        dialect="flux",
        model="flux-dev",
        body={"prompt": "a cat", "unknown_field": [1, None]},
        images=(ImageInput(role=ImageRole.MASK, source="https://caller.example/m.png", pointer="/mask"),),
        webhook=Webhook(url="https://caller.example/hook", events=("completed",)),
    )
    assert msgspec.json.decode(msgspec.json.encode(order), type=ImageOrder) == order


def test_what_the_caller_did_not_say_stays_unsaid():
    order = ImageOrder(dialect="flux", model="flux-dev", body={})
    assert {order.seed, order.width, order.safety_tolerance, order.output_format, order.prompt_upsampling} == {None}
