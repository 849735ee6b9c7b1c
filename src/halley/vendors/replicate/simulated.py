"""A simulated job as the vendor would show it. Pure: from the job's row, the time and where we are."""

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from halley.kernel.clock import MICROSECONDS, rfc3339
from halley.kernel.codec import decode
from halley.kernel.loose import as_object
from halley.vendors.contract import WebhookEvent
from halley.vendors.replicate.models import BY_NAME, Size
from halley.vendors.replicate.rendering import HIDDEN
from halley.vendors.simulate import Due, Job, Outcome, Phase, Upload, phase, progress, started_us

RETENTION_US = 3_600 * MICROSECONDS
FILE_KEPT_US = 24 * 3_600 * MICROSECONDS
FAILURES = {
    Outcome.REQUEST_MODERATED: "The input or output was flagged as sensitive. "
    "Please try again with different inputs. (E005)",
    Outcome.CONTENT_MODERATED: "NSFW content detected. Try running it again, or try a different prompt.",
    Outcome.VENDOR_ERROR: "Prediction failed for an unknown reason. It might have run out of memory? (E1000)",
}
STRANGE_WORD = "contemplating"
_BAR_CELLS = 10


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What is journalled beside a job."""

    size: Size
    seed: int
    version: str = HIDDEN
    events: tuple[str, ...] = ()
    failure: str | None = None
    """Why it will fail, e.g. for an input image that could not be read."""


def details_of(job: Job) -> Details:
    """The job's own notes."""
    return msgspec.json.decode(job.details, type=Details)


def input_of(job: Job) -> dict[str, Any]:
    """What the job was ordered with."""
    return as_object(as_object(decode(bytes(job.request))).get("input"))


def status(job: Job, now_us: int) -> str:
    """The vendor's word for where the job stands."""
    now = phase(job, now_us)
    if job.directive.outcome is Outcome.UNKNOWN_STATE and now in (Phase.RUNNING, Phase.FINISHED):
        return STRANGE_WORD
    match now:
        case Phase.QUEUED:
            return "starting"
        case Phase.RUNNING:
            return "processing"
        case Phase.FINISHED:
            return "succeeded" if failure_of(job) is None else "failed"
        case Phase.CANCELLED:
            return "canceled"


def failure_of(job: Job) -> str | None:
    """Why the job fails; None if it does not."""
    return details_of(job).failure or FAILURES.get(job.directive.outcome)


def extension(job: Job) -> str:
    """Of its output files."""
    model = BY_NAME[job.model]
    return str(input_of(job).get("output_format") or model.inputs["output_format"].default)


def output_count(job: Job) -> int:
    """How many images it makes."""
    return int(input_of(job).get("num_outputs") or 1) if BY_NAME[job.model].is_array else 1


def output_path(job: Job, place: int) -> str:
    """Where one output is downloaded."""
    return f"/delivery/{job.id}/out-{place}.{extension(job)}"


def link_ends_us(job: Job) -> int:
    """When links to outputs end."""
    return job.ready_us - MICROSECONDS if job.directive.outcome is Outcome.EXPIRED_LINK else job.ready_us + RETENTION_US


def prediction(job: Job, now_us: int, *, base_url: str, links: list[str]) -> dict[str, Any]:
    """The prediction as fetched at that time; `links` are those to its outputs."""
    details, word = details_of(job), status(job, now_us)
    is_removed = word in ("succeeded", "failed", "canceled") and now_us >= job.created_us + RETENTION_US
    output: Any = None
    if word == "succeeded" and not is_removed:
        output = links if BY_NAME[job.model].is_array else links[0]
    at = f"{base_url}/v1/predictions/{job.id}"
    return {
        "id": job.id,
        "model": job.model,
        "version": details.version,
        "input": {} if is_removed else input_of(job),
        "logs": "" if is_removed else _logs(job, details, now_us),
        "output": output,
        "data_removed": is_removed,
        "error": failure_of(job) if word == "failed" else None,
        "source": "api",
        "status": word,
        "created_at": rfc3339(job.created_us),
        **_times(job, word, now_us),
        "urls": {"get": at, "cancel": f"{at}/cancel", "web": f"https://replicate.com/p/{job.id}"},
        **_webhook(job, details),
    }


def as_at_first(body: dict[str, Any]) -> dict[str, Any]:
    """A running prediction as it was when it was made."""
    return {**{name: value for name, value in body.items() if name != "started_at"}, "status": "starting", "logs": ""}


def due_callbacks(job: Job, events: tuple[str, ...]) -> list[Due]:
    """Which callbacks the job will owe, and when."""
    if job.callback_url is None:
        return []
    times = {
        WebhookEvent.START: started_us(job),
        WebhookEvent.LOGS: (started_us(job) + job.ready_us) // 2,
        WebhookEvent.OUTPUT: job.ready_us,
        WebhookEvent.COMPLETED: job.ready_us,
    }
    return [Due(event=event.value, due_us=at) for event, at in times.items() if not events or event in events]


def is_told(job: Job, event: str, now_us: int) -> bool:
    """Whether the event did happen after all: a job cancelled while queued never started, a failed one made nothing."""
    match event:
        case WebhookEvent.COMPLETED:
            return status(job, now_us) in ("succeeded", "failed", "canceled")
        case WebhookEvent.OUTPUT:
            return status(job, now_us) == "succeeded"
        case _:
            return job.cancelled_us is None or job.cancelled_us >= started_us(job)


def file_body(upload: Upload, *, base_url: str) -> dict[str, Any]:
    """An uploaded file as the vendor shows it."""
    return {
        "id": upload.id,
        "name": upload.name,
        "content_type": upload.type,
        "size": upload.size,
        "etag": upload.sha256[:32],
        "checksums": {"sha256": upload.sha256},
        "metadata": as_object(decode(bytes(upload.metadata))),
        "created_at": rfc3339(upload.created_us),
        "expires_at": rfc3339(upload.created_us + FILE_KEPT_US),
        "urls": {"get": f"{base_url}/v1/files/{upload.id}"},
    }


def webhook_secret(secret: bytes, account: str) -> str:
    """The secret that signs an account's webhooks."""
    return f"whsec_{base64.b64encode(hmac.new(secret, account.encode(), hashlib.sha256).digest()).decode()}"


def _times(job: Job, word: str, now_us: int) -> dict[str, Any]:
    ended_us = job.cancelled_us if word == "canceled" else job.ready_us
    has_started = word != "starting" and (word != "canceled" or (ended_us or 0) >= started_us(job))
    times: dict[str, Any] = {"started_at": rfc3339(started_us(job))} if has_started else {}
    if word not in ("succeeded", "failed", "canceled") or ended_us is None or now_us < ended_us:
        return times
    metrics: dict[str, Any] = {"total_time": (ended_us - job.created_us) / MICROSECONDS}
    if has_started:
        metrics["predict_time"] = (ended_us - started_us(job)) / MICROSECONDS
    if word == "succeeded":
        metrics["image_count"] = output_count(job)
    return {**times, "completed_at": rfc3339(ended_us), "metrics": metrics}


def _logs(job: Job, details: Details, now_us: int) -> str:
    if phase(job, now_us) is Phase.QUEUED:
        return ""
    done = progress(job, now_us)
    cells = round(done * _BAR_CELLS)
    bar = "█" * cells + " " * (_BAR_CELLS - cells)
    return f"Using seed: {details.seed}\n{round(done * 100):3d}%|{bar}| {cells}/{_BAR_CELLS}\n"


def _webhook(job: Job, details: Details) -> dict[str, Any]:
    if job.callback_url is None:
        return {}
    return {"webhook": job.callback_url, **({"webhook_events_filter": list(details.events)} if details.events else {})}
