"""A simulated job and the questions about it that are answered from its row and the time alone, never from a timer."""

from enum import StrEnum

import msgspec

from halley.vendors.simulate.directive import Directive

NEVER_US = 2**62
QUEUED_SHARE = 0.2


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted order, as journalled. Input images are beside it: `Journal.inputs`."""

    id: str
    created_us: int
    ready_us: int
    model: str
    directive: Directive
    request: msgspec.Raw
    """The body as it came (JSON)."""
    account: str = ""
    """Fingerprint of the credential that made it (`host.account_of`), never the credential."""
    callback_url: str | None = None
    callback_secret: str | None = None
    callbacks_sent: int = 0
    """How many callbacks were answered with a 2xx."""
    cancelled_us: int | None = None
    details: msgspec.Raw = msgspec.Raw(b"null")
    """Anything more that the vendor's simulator wants to keep (JSON)."""
    seq: int = 0
    """Place in the journal, set by it; also the paging cursor."""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that a job owes: which event of the vendor's, and when."""

    event: str
    due_us: int


class Phase(StrEnum):
    """Where a job stands; the vendor's simulator maps it to its own words."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file given to a vendor's files API; its bytes are fetched apart: `Journal.file_bytes`."""

    id: str
    name: str
    type: str
    size: int
    sha256: str
    created_us: int
    account: str = ""
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    seq: int = 0


def phase(job: Job, now_us: int) -> Phase:
    """Queued for a fifth of its time, then running, then finished, unless it was cancelled before."""
    if job.cancelled_us is not None:
        return Phase.CANCELLED
    if now_us >= job.ready_us:
        return Phase.FINISHED
    return Phase.QUEUED if now_us < started_us(job) else Phase.RUNNING


def started_us(job: Job) -> int:
    """When it leaves the queue. A job that never finishes starts a second after it came."""
    if job.ready_us == NEVER_US:
        return job.created_us + 1_000_000
    return job.created_us + int((job.ready_us - job.created_us) * QUEUED_SHARE)


def progress(job: Job, now_us: int) -> float:
    """From 0 to 1; a job that never finishes creeps towards 0.9."""
    if job.ready_us == NEVER_US:
        waited_s = max(0, now_us - job.created_us) / 1_000_000
        return round(0.9 * waited_s / (waited_s + 10), 3)
    span = max(1, job.ready_us - job.created_us)
    return round(min(1.0, max(0.0, (now_us - job.created_us) / span)), 3)
