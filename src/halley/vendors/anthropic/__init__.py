"""Anthropic: Claude behind the Messages API."""

from halley.kernel.faults import Fault
from halley.kernel.operation import Operation
from halley.vendors.contract import CONTRACT, Answers, Vendor, VendorReply
from halley.wire.anthropic import errors


def read_refusal(reply: VendorReply) -> Fault:
    """Say what an error reply in Anthropic's shape means."""
    return errors.read_refusal(reply.status, reply.headers, reply.body)


PATHS = {Operation.MESSAGES: "/v1/messages", Operation.MESSAGES_COUNT: "/v1/messages/count_tokens"}
VERSION = (("anthropic-version", "2023-06-01"),)
FORWARD = frozenset(("anthropic-version", "anthropic-beta"))

VENDOR = Vendor(
    name="anthropic",
    title="Anthropic",
    contract=CONTRACT,
    docs="https://docs.claude.com/en/api/messages",
    checked="2026-11-22",
    base_url="https://api.anthropic.com",
    environment=("ANTHROPIC_API_KEY",),
    auth_header="x-api-key",
    format="anthropic",
    answers=Answers(paths=PATHS, read_refusal=read_refusal, headers=VERSION, forward_headers=FORWARD),
    simulator="halley.vendors.anthropic.simulator:create_app",
)
