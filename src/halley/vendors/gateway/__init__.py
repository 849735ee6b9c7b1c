"""Any other gateway with these paths, so that Halley may stand behind or before another one."""

from halley.kernel.faults import Fault
from halley.kernel.operation import Operation
from halley.vendors.anthropic import FORWARD, VERSION
from halley.vendors.anthropic import PATHS as ANTHROPIC
from halley.vendors.contract import CONTRACT, Answers, Vendor, VendorReply
from halley.vendors.gemini import PATHS as GEMINI
from halley.vendors.openai import PATHS as OPENAI
from halley.vendors.openai import read_refusal as read_openai
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

VENDOR = Vendor(
    name="gateway",
    title="Another gateway",
    contract=CONTRACT,
    docs="https://apidoc.cometapi.com",
    checked="2026-11-22",
    # Its own origin, without `/v1`.
    base_url="",
    environment=(),
    auth_header="authorization",
    auth_prefix="Bearer ",
    format="openai",
    answers=Answers(
        paths=PATHS,
        read_refusal=read_refusal,
        headers=VERSION,
        forward_headers=FORWARD | {"openai-beta"},
        any_model=True,
    ),
)
