"""Any other gateway with these paths, so that Halley may stand behind or before another one."""

from collections.abc import Callable

import msgspec

from halley.kernel.faults import Fault
from halley.kernel.operation import Operation
from halley.kernel.order import ImageOrder
from halley.vendors.anthropic import FORWARD, VERSION
from halley.vendors.anthropic import PATHS as ANTHROPIC
from halley.vendors.bfl import TASKS as FLUX_TASKS
from halley.vendors.bfl import VENDOR as FLUX
from halley.vendors.contract import CONTRACT, Answers, TaskRef, Tasks, Upload, Vendor, VendorCall, VendorReply
from halley.vendors.gemini import PATHS as GEMINI
from halley.vendors.openai import PATHS as OPENAI
from halley.vendors.openai import read_refusal as read_openai
from halley.vendors.replicate import TASKS as REPLICATE_TASKS
from halley.vendors.replicate import VENDOR as REPLICATE
from halley.wire.anthropic import errors as anthropic_errors
from halley.wire.gemini import errors as gemini_errors


def read_refusal(reply: VendorReply) -> Fault:
    """Say what an error reply means, in whichever of the three shapes it is written."""
    if b'"type":"error"' in reply.body.replace(b" ", b""):
        return anthropic_errors.read_refusal(reply.status, reply.headers, reply.body)
    if b'"status"' in reply.body and b'"code"' in reply.body and b'"error"' in reply.body:
        return gemini_errors.read_refusal(reply.status, reply.headers, reply.body)
    return read_openai(reply)


PATHS = {
    **{operation: f"/v1{path}" for operation, path in OPENAI.items()},
    Operation.RERANK: "/v1/rerank",
    **ANTHROPIC,
    **GEMINI,
}


def _below(prefix: str, tasks: Tasks) -> Tasks:
    """Take a format's routes where gateways have them. Callbacks are left out: what they are signed with is unknown."""

    def write_order(order: ImageOrder, model: str) -> VendorCall:
        return _moved(prefix, tasks.write_order(order, model))

    def write_poll(task: TaskRef) -> VendorCall:
        return _moved(prefix, tasks.write_poll(task))

    return msgspec.structs.replace(
        tasks,
        write_order=write_order,
        write_poll=write_poll,
        write_cancel=tasks.write_cancel and _cancel(prefix, tasks.write_cancel),
        upload=tasks.upload and _upload(prefix, tasks.upload),
        find=None,
        callbacks=None,
    )


def _upload(prefix: str, upload: Upload) -> Upload:
    def write(name: str, content_type: str, data: bytes) -> VendorCall:
        return _moved(prefix, upload.write(name, content_type, data))

    return Upload(write=write, read=upload.read)


def _cancel(prefix: str, write: Callable[[TaskRef], VendorCall]) -> Callable[[TaskRef], VendorCall]:
    return lambda task: _moved(prefix, write(task))


def _moved(prefix: str, call: VendorCall) -> VendorCall:
    return call if "://" in call.url else msgspec.structs.replace(call, url=prefix + call.url)


_DOCS = "https://apidoc.cometapi.com"

VENDOR = Vendor(
    name="gateway",
    title="Another gateway",
    contract=CONTRACT,
    docs=_DOCS,
    checked="2026-11-22",
    # Its own origin, without `/v1`.
    base_url="",
    environment=(),
    auth_header="authorization",
    auth_prefix="Bearer ",
    format=FLUX.format,
    any_model=True,
    tasks=_below("/flux", FLUX_TASKS),
    answers=Answers(
        paths=PATHS,
        read_refusal=read_refusal,
        headers=VERSION,
        forward_headers=FORWARD | {"openai-beta"},
    ),
)
REPLICATE_ROUTES = Vendor(
    name="gateway_replicate",
    title="Another gateway's Replicate routes",
    contract=CONTRACT,
    docs=_DOCS,
    checked="2026-11-22",
    base_url="",
    environment=(),
    auth_header="authorization",
    auth_prefix="Bearer ",
    format=REPLICATE.format,
    models_of=REPLICATE.name,
    tasks=_below("/replicate", REPLICATE_TASKS),
)
VENDORS = (VENDOR, REPLICATE_ROUTES)
