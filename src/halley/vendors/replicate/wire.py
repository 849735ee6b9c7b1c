"""The vendor's side of the wire, pure: orders and polls written, its replies, refusals, lists and files read."""

import hashlib
import math
import re
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from halley.kernel.clock import parse_time, rfc3339
from halley.kernel.codec import decode
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
from halley.kernel.loose import as_list, as_object, as_text, fitted, head, tail
from halley.kernel.order import Failure, FailureCode, ImageOrder, Output, Report, ReportState
from halley.vendors.contract import Accepted, Found, TaskRef, VendorCall, VendorReply
from halley.vendors.replicate.encode import encode_input
from halley.vendors.replicate.reading import DIALECT_NAME
from halley.vendors.replicate.rendering import without_links

STATES: dict[str, ReportState] = {
    "starting": ReportState.RUNNING,
    "processing": ReportState.RUNNING,
    "succeeded": ReportState.SUCCEEDED,
    "failed": ReportState.FAILED,
    "canceled": ReportState.CANCELLED,
    # Ended before it began to run, e.g. by a deadline while queued.
    "aborted": ReportState.FAILED,
}
CALLBACK_EVENTS = ("start", "completed")
MESSAGE_CHARACTERS_MAX = 500
OUTPUTS_MAX = 64
"""A reply that names or counts more images than this is not believed in that."""
URL_CHARACTERS_MAX = 4_096
ID_CHARACTERS_MAX = 200
WORD_CHARACTERS_MAX = 100
COMPLAINTS_MAX = 20
RETRY_AFTER_S_MAX = 3_600
FILENAME_BYTES_MAX = 255

_NOT_SENT_ON = ("webhook", "webhook_events_filter", "webhook_completed", "version", "model")
_MODERATED = re.compile(r"\bE005\b|nsfw|flagged|sensitive|moderat|safety (?:filter|checker|system)", re.IGNORECASE)
_SEED = re.compile(r"\b(?:using )?seed:? *(\d{1,18})\b", re.IGNORECASE)
_PERCENT = re.compile(r"^\s*(\d{1,3})%\s*\|", re.MULTILINE)
_SECONDS = re.compile(r"(?:in|after) ~?(\d{1,5}) ?s", re.IGNORECASE)
# Twenty-six letters and digits; a word has no digits.
_ID = re.compile(r"\b(?=[a-z]*[0-9])[0-9a-z]{26}\b")
_SHOWN = ("id", "status", "logs", "metrics", "output")
"""What of a reply is kept longest."""
_UNKNOWN_FAILURE = "The vendor ended the prediction without a reason"


# --- orders ---------------------------------------------------------------------------------------------------


def write_order(order: ImageOrder, vendor_model: str) -> VendorCall:
    """The same format goes through as it came but for webhook and model; others are encoded. Raises `NotConveyed`."""
    if order.dialect == DIALECT_NAME:
        body = {name: value for name, value in order.body.items() if name not in _NOT_SENT_ON}
    else:
        body = {"input": encode_input(order, vendor_model)}
    return VendorCall(method="POST", url=f"/v1/models/{quote(vendor_model)}/predictions", json=body)


def read_accepted(reply: VendorReply) -> Accepted:
    """A prediction just made. Raises `ValueError`."""
    return _accepted(_object(reply.body))


def write_poll(ref: TaskRef) -> VendorCall:
    """Ask for a prediction."""
    return VendorCall(method="GET", url=_prediction_path(ref))


def write_cancel(ref: TaskRef) -> VendorCall:
    """Cancel a prediction."""
    return VendorCall(method="POST", url=f"{_prediction_path(ref)}/cancel")


def read_report(reply: VendorReply, ref: TaskRef) -> Report:
    """A prediction's state. Raises `ValueError`, also for the state of another prediction."""
    if reply.status == 404:  # noqa: PLR2004  (not found)
        return Report(state=ReportState.NOT_FOUND, word="not found")
    body = _object(reply.body)
    if body.get("id") not in (None, "", ref.vendor_task_id):
        message = "The prediction is another one"
        raise ValueError(message)
    return _report(body)


def _accepted(body: dict[str, Any]) -> Accepted:
    identity = body.get("id")
    if not isinstance(identity, str) or not 0 < len(identity) <= ID_CHARACTERS_MAX:
        message = "The prediction has no id"
        raise ValueError(message)
    report = _report(body)
    return Accepted(vendor_task_id=identity, report=report, measured=report.measured)


def _report(body: dict[str, Any]) -> Report:
    word = body.get("status")
    if not isinstance(word, str) or not word:
        message = "The prediction has no status"
        raise ValueError(message)
    state = STATES.get(word, ReportState.UNKNOWN)
    logs = as_text(body.get("logs"))
    return Report(
        state=state,
        word=word[:WORD_CHARACTERS_MAX],
        progress=1.0 if state is ReportState.SUCCEEDED else _progress(logs),
        outputs=_outputs(body.get("output")) if state is ReportState.SUCCEEDED else (),
        measured=_measured(body.get("metrics")),
        failure=_failure(body) if state is ReportState.FAILED else None,
        facts=_facts(body, logs),
        started_at=_time(body.get("started_at")),
        ended_at=_time(body.get("completed_at")),
        raw=_kept(body),
    )


def _kept(body: dict[str, Any]) -> dict[str, Any]:
    """What is kept for rendering: without `input`, which we have ourselves and which may hold whole images."""
    kept = {name: value for name, value in body.items() if name != "input"}
    if isinstance(kept.get("logs"), str):
        kept["logs"] = tail(kept["logs"])
    return fitted(kept, known=_SHOWN)


def _outputs(output: Any) -> tuple[Output, ...]:
    """One URI or a list of them; anything else is not a file and is left to `raw`."""
    listed = as_list(output) or [output]
    links = [url for url in listed if isinstance(url, str) and 0 < len(url) <= URL_CHARACTERS_MAX]
    return tuple(Output(url=url) for url in links[:OUTPUTS_MAX])


def _measured(metrics: Any) -> dict[str, int]:
    count = as_object(metrics).get("image_count")
    if not isinstance(count, int) or isinstance(count, bool):
        return {}
    return {"image": count} if 0 <= count <= OUTPUTS_MAX else {}


def _failure(body: dict[str, Any]) -> Failure:
    error = body.get("error")
    text = error if isinstance(error, str) and error.strip() else _UNKNOWN_FAILURE
    code = FailureCode.CONTENT_MODERATED if _MODERATED.search(text) else FailureCode.VENDOR_FAILED
    return Failure(code=code, message=_clean(text, str(body.get("id") or "")))


def _facts(body: dict[str, Any], logs: str) -> dict[str, Any]:
    asked = as_object(body.get("input"))
    facts: dict[str, Any] = {}
    if logs:
        facts["logs"] = tail(without_links(logs, as_text(body.get("id")), ""))
    told = _SEED.search(logs)
    seed = int(told[1]) if told else asked.get("seed")
    if isinstance(seed, int) and not isinstance(seed, bool):
        facts["seed"] = seed
    if isinstance(asked.get("prompt"), str):
        facts["prompt"] = head(asked["prompt"])
    return facts


def _progress(logs: str) -> float | None:
    """Of the last bar that the model printed."""
    bars = _PERCENT.findall(logs)
    return min(int(bars[-1]), 100) / 100 if bars else None


def _time(value: Any) -> int | None:
    """A time, or None for one that cannot be read: it is only shown."""
    if not isinstance(value, str):
        return None
    try:
        return parse_time(value)
    except ValueError:
        return None


def _clean(text: str, vendor_id: str) -> str:
    text = _ID.sub("…", without_links(" ".join(text.split()), vendor_id, "…"))
    return text if len(text) <= MESSAGE_CHARACTERS_MAX else f"{text[: MESSAGE_CHARACTERS_MAX - 1]}…"


def _prediction_path(ref: TaskRef) -> str:
    return f"/v1/predictions/{quote(ref.vendor_task_id, safe='')}"


# --- refusals -------------------------------------------------------------------------------------------------


_PLAIN_REFUSALS: dict[int, tuple[type[Fault], str]] = {
    401: (VendorRejectsUs, "The vendor refuses the operator's credentials"),
    402: (VendorRejectsUs, "The operator has no credit left with the vendor"),
    # A token that is wrong or missing is 401.
    403: (ModelNotOffered, "The vendor does not offer this model to the operator's account"),
    404: (ModelNotOffered, "The vendor does not know this model, or not for the operator's account"),
    408: (OutcomeUnknown, "The vendor gave up waiting for the order, which it may have read"),
    500: (VendorBroken, "The vendor answered that it failed"),
    503: (VendorBroken, "The vendor answered that it failed"),
}


def read_refusal(reply: VendorReply) -> Fault:
    """What a reply that is not a success means."""
    if reply.status in _PLAIN_REFUSALS:
        kind, message = _PLAIN_REFUSALS[reply.status]
        return kind(message)
    if reply.status == 429:  # noqa: PLR2004  (too many requests)
        return _busy(reply)
    match reply.status // 100:
        case 4:
            return _refused(reply)
        case _:
            return OutcomeUnknown("The vendor's answer does not tell whether it took the order")


def _busy(reply: VendorReply) -> Fault:
    told = _SECONDS.search(str(_lenient_object(reply.body).get("detail") or ""))
    given = reply.headers.get("retry-after", "").strip()
    seconds = _seconds(given) if given else int(told[1]) if told else None
    return VendorBusy(
        "The vendor's rate limit is reached",
        retry_after_s=None if seconds is None else max(1, min(seconds, RETRY_AFTER_S_MAX)),
    )


def _seconds(text: str) -> int | None:
    """Seconds of `Retry-After`; its form as a date is not read, the vendor does not send it."""
    return math.ceil(float(text)) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text) else None


def _refused(reply: VendorReply) -> Fault:
    body = _lenient_object(reply.body)
    complaints = _complaints(body)
    if any(one["loc"][1:] and one["loc"][1].startswith("webhook") for one in complaints):
        return VendorRejectsUs("The vendor refuses our callback address; the operator's public URL must be https")
    said = "; ".join(_spoken(one) for one in complaints) or as_text(body.get("detail")) or as_text(body.get("title"))
    message = _clean(said, "") or f"The vendor refused the order with status {reply.status}"
    if _MODERATED.search(message):
        return Moderated(message, detail=complaints or None)
    param = ".".join(complaints[0]["loc"][1:]) if complaints else ""
    return Refused(message, param=param or None, detail=complaints or None)


def _complaints(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The `invalid_fields` as a list of `loc`, `msg` and `type`, a shape that other formats know too."""
    listed = [as_object(one) for one in as_list(body.get("invalid_fields"))[:COMPLAINTS_MAX]]
    return [_complaint(one) for one in listed if one]


def _complaint(one: dict[str, Any]) -> dict[str, Any]:
    """The place is named without `input`, as other formats name it; this format's rendering puts it back."""
    field, said = _clean(as_text(one.get("field")), ""), _clean(as_text(one.get("description")), "")
    if one.get("type") == "required":
        field = f"{field}.{said.removesuffix(' is required')}"
    loc = [part for part in field.removeprefix("input").split(".") if part]
    return {"loc": ["body", *loc], "msg": said, "type": _clean(as_text(one.get("type")), "") or "invalid"}


def _spoken(one: dict[str, Any]) -> str:
    name = ".".join(one["loc"][1:])
    return f"`{name}`: {one['msg']}" if name else one["msg"]


# --- finding, files, callbacks ----------------------------------------------------------------------------------


def write_find(created_after: int) -> VendorCall:
    """The first page of predictions made since then."""
    return VendorCall(method="GET", url=f"/v1/predictions?{urlencode({'created_after': rfc3339(created_after)})}")


def read_find(reply: VendorReply, callback_url: str) -> Found:
    """The prediction that was sent with this callback URL, if it is on this page. Raises `ValueError`."""
    body = _object(reply.body)
    if not isinstance(body.get("results"), list):
        message = "The list of predictions has no results"
        raise ValueError(message)  # noqa: TRY004  (the contract's word for a reply that cannot be read)
    # The last part of the address is ours alone; what stands before it is another after the gateway has moved.
    token = callback_url.rpartition("/")[2]
    assert token
    for one in map(as_object, as_list(body["results"])):
        if as_text(one.get("webhook")).rpartition("/")[2] == token:
            return Found(accepted=_accepted(one), next_url=None)
    return Found(accepted=None, next_url=_next_path(body.get("next")))


def _next_path(link: Any) -> str | None:
    """The next page under the channel's own base URL: credentials never follow a link to another host."""
    if not isinstance(link, str) or not link:
        return None
    return f"/v1/predictions?{urlsplit(link).query}"


def write_upload(name: str, content_type: str, data: bytes) -> VendorCall:
    """A file as multipart form data; the boundary is made from the data, so that it cannot occur in it by chance."""
    boundary = f"halley-{hashlib.sha256(data).hexdigest()[:40]}"
    filename = re.sub(r'[\x00-\x1f"\\\x7f/]', "_", name).encode()[:FILENAME_BYTES_MAX].decode(errors="ignore") or "file"
    media = content_type if re.fullmatch(r"[\w.+-]+/[\w.+-]+", content_type) else "application/octet-stream"
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="content"; filename="{filename}"\r\n'
        f"Content-Type: {media}\r\n\r\n"
    )
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    return VendorCall(
        method="POST",
        url="/v1/files",
        body=body,
        headers=(("content-type", f"multipart/form-data; boundary={boundary}"),),
    )


def read_upload(reply: VendorReply) -> str:
    """Where the vendor keeps the file. Raises `ValueError`."""
    url = as_text(as_object(_object(reply.body).get("urls")).get("get"))
    if not url:
        message = "The uploaded file has no URL"
        raise ValueError(message)
    return url


def attach_callback(body: dict[str, Any], url: str) -> dict[str, Any]:
    """The order with our callback."""
    return {**body, "webhook": url, "webhook_events_filter": list(CALLBACK_EVENTS)}


def write_secret() -> VendorCall:
    """Ask for the secret that signs this account's webhooks."""
    return VendorCall(method="GET", url="/v1/webhooks/default/secret")


def read_secret(reply: VendorReply) -> str:
    """The secret. Raises `ValueError`."""
    key = as_text(_object(reply.body).get("key"))
    if not key:
        message = "The reply holds no webhook secret"
        raise ValueError(message)
    return key


def _object(data: bytes) -> dict[str, Any]:
    value = decode(data)
    if not isinstance(value, dict):
        message = "The reply is not a JSON object"
        raise ValueError(message)  # noqa: TRY004  (the contract's word for a reply that cannot be read)
    return as_object(value)


def _lenient_object(data: bytes) -> dict[str, Any]:
    """A refusal's body; whatever cannot be read says nothing."""
    try:
        return _object(data)
    except ValueError:
        return {}
