"""Google's Gemini API (AI Studio)."""

from halley.kernel.faults import Fault
from halley.kernel.operation import Operation
from halley.vendors.contract import CONTRACT, Answers, Vendor, VendorReply
from halley.wire.gemini import errors


def read_refusal(reply: VendorReply) -> Fault:
    """Say what an error reply in Google's shape means."""
    return errors.read_refusal(reply.status, reply.headers, reply.body)


PATHS = {
    Operation.CONTENT: "/v1beta/models/{model}:{verb}",
    Operation.CONTENT_COUNT: "/v1beta/models/{model}:countTokens",
    Operation.EMBED_CONTENT: "/v1beta/models/{model}:embedContent",
    Operation.EMBED_CONTENTS: "/v1beta/models/{model}:batchEmbedContents",
}

VENDOR = Vendor(
    name="gemini",
    title="Google Gemini",
    contract=CONTRACT,
    docs="https://ai.google.dev/api",
    checked="2026-11-22",
    base_url="https://generativelanguage.googleapis.com",
    environment=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    auth_header="x-goog-api-key",
    format="gemini",
    answers=Answers(paths=PATHS, read_refusal=read_refusal),
    simulator="halley.vendors.gemini.simulator:create_app",
)
