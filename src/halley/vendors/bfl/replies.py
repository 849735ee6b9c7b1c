"""Reads what the vendor answers: an accepted order, a refused one, a task's state. Pure."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from halley.kernel.clock import MICROSECONDS
from halley.kernel.codec import JSON_MARKS_MAX, decode, too_deep
from halley.kernel.faults import (
    Fault,
    ModelNotOffered,
    OutcomeUnknown,
    Refused,
    VendorBroken,
    VendorBusy,
    VendorRejectsUs,
)
from halley.kernel.loose import REPLY_BYTES_MAX, TEXT_BYTES_MAX, as_list, as_object, as_text, fitted, head
from halley.kernel.money import Nanos, charge
from halley.kernel.order import Failure, FailureCode, Output, Report, ReportState
from halley.vendors.bfl.scrub import message_of, scrubbed_object
from halley.vendors.contract import Accepted, TaskRef, VendorReply

# https://docs.bfl.ml/api-reference/utility/get-result; the second and third are not in the specification of
# 2026-05 but were seen with FLUX.2 in 2026-09.
STATES: Mapping[str, ReportState] = {
    "Pending": ReportState.RUNNING,
    "Reasoning": ReportState.RUNNING,
    "Generating": ReportState.RUNNING,
    "Ready": ReportState.SUCCEEDED,
    "Request Moderated": ReportState.FAILED,
    "Content Moderated": ReportState.FAILED,
    "Error": ReportState.FAILED,
    "Task not found": ReportState.NOT_FOUND,
}
MODERATION_REASONS = "Moderation Reasons"

NANOS_PER_CREDIT = 10_000_000
"""One credit is a US cent."""
PIXELS_PER_MP = 1_000_000
"""The vendor counts 1024 x 1024 as 1.05 MP."""
MEGAPIXELS_MAX = 10_000
"""A reply that counts more, or costs more than the next, is not believed in that."""
CREDITS_MAX = 1_000_000
RETRY_AFTER_S_MAX = 86_400
SECONDS_MAX = 2**40
WORD_CHARACTERS_MAX = 100
ID_CHARACTERS_MAX = 200
URL_CHARACTERS_MAX = 4_096
OUTPUTS_MAX = 64
COMPLAINT_BYTES_MAX = 4_096

FIRST_OUTPUT, FURTHER_OUTPUT, INPUT = "first_output_megapixel", "further_output_megapixel", "input_megapixel"

_FAILURES: Mapping[str, tuple[FailureCode, str]] = {
    "Request Moderated": (FailureCode.REQUEST_MODERATED, "The request was moderated"),
    "Content Moderated": (FailureCode.CONTENT_MODERATED, "The generated content was moderated"),
    "Error": (FailureCode.VENDOR_FAILED, "The generation failed"),
}
_DETAIL_KEYS = ("loc", "msg", "type", "ctx")
_DETAILS_MAX = 20
_SHOWN = ("id", "status", "result", "progress")
"""What of a reply is kept longest."""


def _exactly(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        return None


_exact = msgspec.json.Decoder(dict[str, Any], float_hook=_exactly)
_FIGURES = ("cost", "input_mp", "output_mp")
"""The numbers in a reply that money hangs on: read without a binary fraction in between."""


def read_accepted(reply: VendorReply) -> Accepted:
    """Read the reply to a placed order. Raises `ValueError`."""
    body = reply.body
    if len(body) > JSON_MARKS_MAX or too_deep(body):
        decode(body)  # says what is wrong with it, or nothing
    value = _exact.decode(body)
    task_id, poll_url = value.get("id"), value.get("polling_url")
    if not isinstance(task_id, str) or not 0 < len(task_id) <= ID_CHARACTERS_MAX:
        raise _unreadable("the reply to an order has no `id`")
    if poll_url is not None and not _is_web_url(poll_url):
        raise _unreadable("the reply to an order has a `polling_url` that is no URL")
    return Accepted(vendor_task_id=task_id, poll_url=poll_url, measured=_measured(value), vendor_cost=_cost(value))


def read_report(reply: VendorReply, task: TaskRef) -> Report:
    """Read a task's state. Raises `ValueError`, also for the state of another task."""
    if reply.status == 404:  # noqa: PLR2004  (what another cluster's task, or a forgotten one, is answered with)
        return Report(state=ReportState.NOT_FOUND, word="Task not found")
    value = _object(reply)
    if value.get("id") not in (None, "", task.vendor_task_id):
        raise _unreadable("the reply to a poll is about another task")
    word = value.get("status")
    if not isinstance(word, str):
        raise _unreadable("the reply to a poll has no `status`")
    state = STATES.get(word, ReportState.UNKNOWN)
    result = as_object(value.get("result"))
    exact = _exactly_read(value, reply.body)
    return Report(
        state=state,
        word=word[:WORD_CHARACTERS_MAX],
        progress=_progress(value.get("progress")),
        outputs=_outputs(result) if state is ReportState.SUCCEEDED else (),
        measured=_measured(exact),
        vendor_cost=_cost(exact),
        failure=_failure(word, as_object(value.get("details"))) if state is ReportState.FAILED else None,
        facts=_facts(result),
        started_at=_microseconds(result.get("start_time")),
        ended_at=_microseconds(result.get("end_time")),
        raw=_kept(value, len(reply.body)),
    )


def _exactly_read(value: dict[str, Any], body: bytes) -> dict[str, Any]:
    """The same with all its figures exact: read again where one was written with a fraction."""
    return _exact.decode(body) if any(isinstance(value.get(name), float) for name in _FIGURES) else value


def _kept(value: dict[str, Any], size: int) -> dict[str, Any]:
    # Nothing becomes eight times as long when we write it: `1e15`, which is then spelled in full, comes nearest.
    return value if size * 8 <= REPLY_BYTES_MAX else fitted(value, known=_SHOWN)


def read_refusal(reply: VendorReply) -> Fault:
    """Say what any other reply to an order means. Messages name no address and no id of the vendor."""
    match reply.status:
        case 400 | 413 | 422:
            return _refused(_object_or_empty(reply))
        case 401 | 402:
            return VendorRejectsUs(_REJECTIONS[reply.status])
        case 403 if _NO_KEY in as_text(_object_or_empty(reply).get("detail")).lower():
            return VendorRejectsUs(_REJECTIONS[401])
        case 403 | 404:
            return ModelNotOffered("The vendor does not offer this model to the operator")
        case 429:
            return VendorBusy("The vendor has as many tasks of ours as it takes at once", retry_after_s=_wait_s(reply))
        case 500 | 501 | 503:
            return VendorBroken(f"The vendor answered HTTP {reply.status}", retry_after_s=_wait_s(reply))
        case status if status >= 500:  # noqa: PLR2004  (a proxy gave up on the vendor, which may have taken the order)
            return OutcomeUnknown(f"The vendor's gateway answered HTTP {status}; the order may have been taken")
        case status:
            return VendorBroken(f"The vendor answered HTTP {status}, which is no answer to an order")


_REJECTIONS: Mapping[int, str] = {
    401: "The vendor does not accept the operator's credentials",
    402: "The operator's credit with the vendor is used up",
}
_NO_KEY = "not authenticated"
"""What the vendor answers to a wrong key, with status 403."""


def _object(reply: VendorReply) -> dict[str, Any]:
    value = decode(reply.body)
    if not isinstance(value, dict):
        raise _unreadable("the reply is not a JSON object")
    return as_object(value)


def _object_or_empty(reply: VendorReply) -> dict[str, Any]:
    try:
        return _object(reply)
    except ValueError:
        return {}


def _is_web_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://")) and len(value) <= URL_CHARACTERS_MAX


def _unreadable(message: str) -> ValueError:
    return ValueError(message)


def _refused(value: dict[str, Any]) -> Refused:
    detail = value.get("detail", value.get("message"))
    if not isinstance(detail, list):
        text = detail if isinstance(detail, str) and detail.strip() else "The vendor refused the order as it stands"
        return Refused(message_of(text), detail=message_of(text))
    items = [_validation_item(as_object(item)) for item in as_list(detail)[:_DETAILS_MAX]]
    first = items[0] if items else {}
    param = _param(first.get("loc"))
    said = message_of(str(first.get("msg") or "The vendor refused the order as it stands"))
    return Refused(f"`{param}`: {said}" if param else said, param=param, detail=items)


def _validation_item(item: dict[str, Any]) -> dict[str, Any]:
    """One complaint; what was complained about is left out, for it may be megabytes of an image."""
    kept = {name: item[name] for name in _DETAIL_KEYS if name in item}
    if isinstance(kept.get("msg"), str):
        kept["msg"] = message_of(kept["msg"])
    # Cut first: looking for addresses in megabytes would hold everything else up.
    return scrubbed_object(fitted(kept, COMPLAINT_BYTES_MAX, known=("loc", "msg", "type")))


def _param(place: object) -> str | None:
    parts = [str(part) for part in as_list(place)[:10] if part != "body"]
    return message_of(".".join(parts)) or None


def _wait_s(reply: VendorReply) -> int | None:
    for asked in (reply.headers.get("retry-after"), _object_or_empty(reply).get("retry_after")):
        text = str(asked).strip()
        if text.isascii() and text.isdecimal():
            return min(int(text), RETRY_AFTER_S_MAX)
    return None


def _outputs(result: dict[str, Any]) -> tuple[Output, ...]:
    links = dict.fromkeys(
        link
        for link in (result.get("sample"), *as_list(result.get("samples")))
        if isinstance(link, str) and 0 < len(link) <= URL_CHARACTERS_MAX
    )
    return tuple(Output(url=link) for link in links)[:OUTPUTS_MAX]


def _facts(result: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in ("seed", "duration"):
        value = result.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            facts[name] = value
    if isinstance(result.get("prompt"), str):
        facts["prompt"] = head(result["prompt"])
    return facts


def _failure(word: str, details: dict[str, Any]) -> Failure:
    code, said = _FAILURES[word]
    why = _why(details)
    kept = fitted(scrubbed_object(details), TEXT_BYTES_MAX, known=(MODERATION_REASONS,))
    return Failure(code=code, message=f"{said}: {why}" if why else said, details=kept)


def _why(details: dict[str, Any]) -> str:
    if reasons := as_list(details.get(MODERATION_REASONS)):
        return message_of(", ".join(str(reason) for reason in reasons[:_DETAILS_MAX]))
    texts = (details.get(name) for name in ("error", "message", "reason", "detail"))
    return next((message_of(text) for text in texts if isinstance(text, str) and text.strip()), "")


def _measured(exact: dict[str, Any]) -> dict[str, int]:
    measured: dict[str, int] = {}
    output, source = _pixels(exact.get("output_mp")), _pixels(exact.get("input_mp"))
    if output is not None:
        measured |= {FIRST_OUTPUT: 1, FURTHER_OUTPUT: max(0, output - PIXELS_PER_MP)}
    if source is not None:
        measured[INPUT] = source
    return measured


def _pixels(megapixels: object) -> int | None:
    count = _decimal(megapixels)
    if count is None or not 0 <= count <= MEGAPIXELS_MAX:
        return None
    return int((count * PIXELS_PER_MP).to_integral_value())


def _cost(exact: dict[str, Any]) -> Nanos | None:
    credits_spent = _decimal(exact.get("cost"))
    if credits_spent is None or not 0 <= credits_spent <= CREDITS_MAX:
        return None
    # In millionths of a credit: the vendor prints floats, so 3.4999999999999996 stands for 3.5.
    return charge(int((credits_spent * 1_000_000).to_integral_value()), NANOS_PER_CREDIT)


def _decimal(value: object) -> Decimal | None:
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _progress(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return min(1.0, max(0.0, float(value)))


def _microseconds(seconds: object) -> int | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < SECONDS_MAX:
        return None
    return round(seconds * MICROSECONDS)
