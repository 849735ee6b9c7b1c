"""What a vendor and a dialect declare: facts as data, shapes as pure functions. I/O is neither's business."""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from halley.kernel.faults import Fault
from halley.kernel.ids import TaskId, as_uuid
from halley.kernel.money import Nanos
from halley.kernel.operation import Operation
from halley.kernel.order import Failure, ImageOrder, Report, ReportState, Webhook

CONTRACT = 1
"""Checked when a vendor is loaded: `Vendor(contract=…)` of a plugin must equal it."""


# --- the caller's side ---------------------------------------------------------------------------------------


class Action(StrEnum):
    """What the public API can do; routes name one of these."""

    SUBMIT = "submit"
    FETCH = "fetch"
    LIST = "list"
    CANCEL = "cancel"
    LOOKUP = "lookup"
    """Answered from the catalogue by a pure function."""
    FILE_CREATE = "file_create"
    FILE_FETCH = "file_fetch"
    FILE_LIST = "file_list"
    FILE_DELETE = "file_delete"
    FILE_DOWNLOAD = "file_download"
    WEBHOOK_SECRET = "webhook_secret"  # noqa: S105 - the name of an action
    ANSWER = "answer"
    """Answered at once by a vendor."""


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a dialect reads it. Header names are lower case; `body` is empty when there was none."""

    method: str
    path: str
    path_params: dict[str, str] = {}
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON answer in the caller's format."""

    status: int
    body: Any
    headers: dict[str, str] = {}


class AssetView(msgspec.Struct, frozen=True, kw_only=True):
    """A stored output, as its caller may see it."""

    url: str
    """Our signed link."""
    content_type: str
    bytes: int
    width: int | None = None
    height: int | None = None


class ViewState(StrEnum):
    """A task's state as its caller sees it: `unknown` is shown as running until it is resolved."""

    STARTING = "starting"
    """Taken, nothing heard from the vendor's machines yet."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """All that a dialect needs to show a task. No vendor id, vendor URL or vendor cost is in here but inside `raw`."""

    id: TaskId
    state: ViewState
    model: str
    kind: str = "image"
    livemode: bool = False
    dialect: str
    """The format it was ordered in."""
    vendor_format: str | None = None
    """The format of `raw`, the vendor's last reply; set only once there is one."""
    raw: dict[str, Any] = {}
    word: str = ""
    progress: float | None = None
    facts: dict[str, Any] = {}
    measured: dict[str, int] = {}
    body: dict[str, Any] | None = None
    """What the caller sent; None once it was deleted."""
    assets: tuple[AssetView, ...] = ()
    outputs_expired: bool = False
    failure: Failure | None = None
    cost: Nanos | None = None
    """What the caller paid; None until known."""
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    webhook: Webhook | None = None
    base_url: str
    """Our public base URL, without a slash at its end."""

    @property
    def uuid(self) -> str:
        """The id as a UUID with dashes."""
        return as_uuid(self.id)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in (ViewState.SUCCEEDED, ViewState.FAILED, ViewState.CANCELLED)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    tasks: tuple[TaskView, ...]
    next_cursor: str | None
    previous_cursor: str | None
    path: str
    """The route's own path, for links."""
    query: Mapping[str, str] = {}
    """The filters that were asked for, to be kept in links."""
    base_url: str


class FileView(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a caller uploaded."""

    id: str
    name: str
    content_type: str
    bytes: int
    sha256: str
    metadata: dict[str, Any]
    created_at: int
    expires_at: int
    base_url: str


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the caller may order, for lookups."""

    id: str
    aliases: tuple[str, ...]
    kind: str
    description: str


class WebhookEvent(StrEnum):
    """What can be told to a caller's webhook."""

    START = "start"
    OUTPUT = "output"
    LOGS = "logs"
    COMPLETED = "completed"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One public route. `path` has `{name}` parts; a literal segment wins over a part of the same place."""

    method: str
    path: str
    action: Action
    summary: str
    request: type | None = None
    """Struct of the JSON body, for the API reference and for reading it."""
    reply: type | None = None
    status: int = 200
    query: Mapping[str, str] = {}
    """Query parameters and what they do."""
    example: Mapping[str, Any] | None = None
    """A body that works when sent."""
    example_path: str | None = None
    operation: Operation | None = None
    """For ANSWER: what is called."""
    model_pattern: str | None = None
    """A `{model}` part must match this glob for the route to apply, e.g. `flux-*`."""
    lookup: "Callable[[Incoming, tuple[ModelView, ...], str], Answer] | None" = None
    """For LOOKUP: (request, models, base URL) → answer. Raises `NotFound`."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """A client-facing wire format of tasks."""

    name: str
    title: str
    docs: str
    routes: tuple[Route, ...]
    key_headers: tuple[str, ...] = ()
    """Headers in which this format's clients also send their key, e.g. `x-key`."""
    read_order: Callable[[Incoming], ImageOrder]
    """Raises `BadRequest` with the field named. Unknown fields go to `extras`."""
    render_accepted: Callable[[TaskView], Answer]
    """Of an order with `wait_s` it is asked only when the wait is over. In a format that knows no tasks it raises the
    fault that a task without a result is."""
    render_task: Callable[[TaskView], Answer]
    render_missing: Callable[[str, str], Answer]
    """(id as asked, request id): the task is unknown or somebody else's."""
    render_page: Callable[[Page], Answer] | None = None
    render_file: Callable[[FileView], dict[str, Any]] | None = None
    render_fault: Callable[[Fault, str], Answer]
    """(fault, request id)."""
    shows_input: bool = False
    """Whether a task is shown with what the caller sent, so that large bodies are read back for it."""
    cancel_refused_shows_task: bool = False
    """Where the vendor cannot cancel: True answers the unchanged task, False raises `CancelNotSupported`."""
    default_events: tuple[WebhookEvent, ...] = (WebhookEvent.COMPLETED,)
    always_events: tuple[WebhookEvent, ...] = ()
    render_event: Callable[[TaskView, WebhookEvent], dict[str, Any]]
    sign_event: Callable[[str, str, int, bytes], dict[str, str]]
    """(secret, message id, unix seconds, body) → headers. Not called without a secret."""
    project_secret: bool = False
    """Whether events are signed with the project's own secret rather than one sent with the order."""


# --- the vendor's side ----------------------------------------------------------------------------------------


class VendorCall(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a vendor, credentials not included. `url` is absolute, or a path under the channel's base URL."""

    method: str
    url: str
    json: dict[str, Any] | None = None
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


class VendorReply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The vendor took the order."""

    vendor_task_id: str
    poll_url: str | None = None
    report: Report | None = None
    """Its first reading, when the reply carries one."""
    measured: dict[str, int] = {}
    vendor_cost: Nanos | None = None


class TaskRef(msgspec.Struct, frozen=True, kw_only=True):
    """How a vendor knows a task."""

    vendor_task_id: str
    poll_url: str | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search for an order whose reply was lost."""

    accepted: Accepted | None
    next_url: str | None


class Find(msgspec.Struct, frozen=True, kw_only=True):
    """Search the vendor's own list for an order by the callback URL that it was sent with."""

    write: Callable[[int], VendorCall]
    """(created at or after, µs UTC) → first page."""
    read: Callable[[VendorReply, str], Found]
    """(reply, our callback URL)."""


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """Hand a file to the vendor, to be named in an order."""

    write: Callable[[str, str, bytes], VendorCall]
    """(file name, content type, data)."""
    read: Callable[[VendorReply], str]
    """The URL to put into the order."""


class Callbacks(msgspec.Struct, frozen=True, kw_only=True):
    """How the vendor tells us that a task moved. Always a hint: the state is taken from a poll."""

    attach: Callable[[dict[str, Any], str], dict[str, Any]]
    """(body, our URL) → body."""
    write_secret: Callable[[], VendorCall] | None
    """Asks the vendor for the signing secret of this account."""
    read_secret: Callable[[VendorReply], str] | None
    verify: Callable[[Mapping[str, str], bytes, str, int], bool]
    """(headers, body, secret, now in unix seconds). An empty secret never verifies."""


class Tasks(msgspec.Struct, frozen=True, kw_only=True):
    """How a vendor takes orders that finish later."""

    states: Mapping[str, ReportState]
    """Its state words and what they mean."""
    write_order: Callable[[ImageOrder, str], VendorCall]
    """(order, the vendor's model name). Raises `NotConveyed`. Same format: the body passes through, but the webhook."""
    read_accepted: Callable[[VendorReply], Accepted]
    """Of a 2xx reply. Raises `ValueError` for one that cannot be read."""
    read_refusal: Callable[[VendorReply], Fault]
    """Of any other reply to an order, a cancel or an upload, but redirects."""
    written_from: Mapping[str, str] = {}
    """What of an `ImageOrder` a field of the vendor's was written from: a word of it, or the role of an image."""
    write_poll: Callable[[TaskRef], VendorCall]
    read_report: Callable[[VendorReply, TaskRef], Report]
    """Of a 2xx or 404 reply. Raises `ValueError` for one that cannot be read or is about another task."""
    write_cancel: Callable[[TaskRef], VendorCall] | None = None
    find: Find | None = None
    upload: Upload | None = None
    callbacks: Callbacks | None = None
    deadline_s: int = 600
    """After this long without an end a task's outcome counts as unknown."""
    poll_after_s: tuple[float, ...] = (0.5, 0.5, 1.0, 1.0, 2.0, 2.0, 3.0, 5.0)
    """Waits before the first polls; the last one repeats."""
    polls_at_once_max: int = 32
    """Per channel."""


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """How a vendor answers calls at once."""

    paths: Mapping[Operation, str]
    """Operation → path under the channel's base URL; `{model}` stands for the vendor's model name, `{verb}` for what a
    stream changes in it. An operation that is not in here is not served."""
    read_refusal: Callable[[VendorReply], Fault]
    """Of any reply but 2xx and redirects."""
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with every call, unless the caller's own client sent that header."""
    forward_headers: frozenset[str] = frozenset()
    """Headers of the caller that this vendor understands and that change its answer, in lower case."""
    stream_usage: bool = True
    """Whether `stream_options.include_usage` is understood in chats."""
    rename: Mapping[str, str] = {}
    """Top-level fields of a chat that this vendor spells otherwise, e.g. `max_completion_tokens` → `max_tokens`."""
    call_id: re.Pattern[str] | None = None
    """What it takes for the id of a tool call in chats; None for whatever it is."""


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs models behind us, and its wire format."""

    name: str
    title: str
    contract: int
    docs: str
    checked: str
    """ISO date on which the facts were last compared with the vendor's pages."""
    base_url: str
    environment: tuple[str, ...]
    """Usual environment names of its key."""
    auth_header: str
    auth_prefix: str = ""
    format: str
    """The dialect that is this vendor's own format."""
    dialect: Dialect | None = None
    tasks: Tasks | None = None
    answers: Answers | None = None
    any_model: bool = False
    """Whether models outside the catalogue may be asked for by their own names, e.g. of a local server."""
    models_of: str = ""
    """Another vendor, by whose names this one knows models that it has no catalogue of its own for."""
    catalogue: str = ""
    """`package:file` of its models; empty: `catalogue.toml` beside its simulator."""
    simulator: str = ""
    """`module:function` of (SimulatorHost) → ASGI application; imported when needed. Vendors may share one; a vendor
    without one cannot be tried out."""
    simulator_path: str = ""
    """What the simulator's origin must be followed by to make a base URL."""
    exempt: Mapping[str, str] = {}
    """Conformance cells `operation/ending` that this vendor cannot have, and why."""


def tasks_of(vendor: Vendor) -> Tasks:
    """Give how a vendor takes tasks; only of one that does."""
    assert vendor.tasks is not None, f"{vendor.name} takes no tasks"
    return vendor.tasks
