"""Black Forest Labs: the vendor `bfl` and its format, the dialect `flux`."""

from urllib.parse import quote

from halley.vendors.bfl.dialect import DIALECT, DOCS
from halley.vendors.bfl.encode import write_order
from halley.vendors.bfl.replies import STATES, read_accepted, read_refusal, read_report
from halley.vendors.bfl.wire import ROLES, WORDS
from halley.vendors.contract import CONTRACT, TaskRef, Tasks, Vendor, VendorCall

__all__ = ["DIALECT", "TASKS", "VENDOR", "write_poll"]

# FLUX.2 was seen to take 100 s (2026-09); ten minutes is also how long a finished image's link holds.
_DEADLINE_S = 600
_NO_CANCEL = "the vendor has no way to cancel a task"
_NO_FIND = "the vendor lists no tasks"
_NO_CALLBACK = "with a webhook the vendor names no polling URL, so it is polled only"
_NO_UPLOAD = "the vendor keeps no files; images go into the order as base64"


def write_poll(task: TaskRef) -> VendorCall:
    """Ask for a task's state, at the URL that came with it: any other may reach a cluster that does not know it."""
    return VendorCall(method="GET", url=task.poll_url or f"/v1/get_result?id={quote(task.vendor_task_id, safe='')}")


TASKS = Tasks(
    states=STATES,
    write_order=write_order,
    read_accepted=read_accepted,
    read_refusal=read_refusal,
    written_from={"prompt": "prompt", **WORDS, **ROLES},
    write_poll=write_poll,
    read_report=read_report,
    deadline_s=_DEADLINE_S,
)

VENDOR = Vendor(
    name="bfl",
    title="Black Forest Labs",
    contract=CONTRACT,
    docs=DOCS,
    checked="2026-11-22",
    base_url="https://api.bfl.ai",
    environment=("BFL_API_KEY",),
    auth_header="x-key",
    format=DIALECT.name,
    dialect=DIALECT,
    tasks=TASKS,
    simulator="halley.vendors.bfl.simulator:create_app",
    exempt={
        "cancel/*": _NO_CANCEL,
        "find/*": _NO_FIND,
        "callback/*": _NO_CALLBACK,
        "upload/*": _NO_UPLOAD,
        "*/callback_lost": _NO_CALLBACK,
        "*/callback_twice": _NO_CALLBACK,
    },
)
