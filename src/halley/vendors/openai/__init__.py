"""OpenAI: the vendor whose format most others conform to."""

from halley.kernel.faults import Fault
from halley.kernel.operation import Operation
from halley.vendors.contract import CONTRACT, Answers, Vendor, VendorReply
from halley.vendors.openai.images import DIALECT
from halley.wire.openai import errors

PATHS = {
    Operation.CHAT: "/chat/completions",
    Operation.RESPONSES: "/responses",
    Operation.COMPLETION: "/completions",
    Operation.EMBEDDINGS: "/embeddings",
    Operation.IMAGES: "/images/generations",
    Operation.IMAGE_EDITS: "/images/edits",
    Operation.IMAGE_VARIATIONS: "/images/variations",
    Operation.SPEECH: "/audio/speech",
    Operation.TRANSCRIPTION: "/audio/transcriptions",
    Operation.TRANSLATION: "/audio/translations",
    Operation.MODERATION: "/moderations",
    Operation.REALTIME: "/realtime",
}
"""Paths under a base URL that ends with `/v1`."""


def read_refusal(reply: VendorReply) -> Fault:
    """Say what an error reply in OpenAI's shape means."""
    return errors.read_refusal(reply.status, reply.headers, reply.body)


VENDOR = Vendor(
    name="openai",
    title="OpenAI",
    contract=CONTRACT,
    docs="https://platform.openai.com/docs/api-reference",
    checked="2026-11-22",
    base_url="https://api.openai.com/v1",
    environment=("OPENAI_API_KEY",),
    auth_header="authorization",
    auth_prefix="Bearer ",
    format="openai",
    dialect=DIALECT,
    answers=Answers(
        paths=PATHS,
        read_refusal=read_refusal,
        forward_headers=frozenset(("openai-beta",)),
    ),
    simulator="halley.vendors.openai.simulator:create_app",
    simulator_path="/v1",
)
