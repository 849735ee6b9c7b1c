"""Orders in our own words: what a caller asked for, whichever format it came in, beside the untouched original body.

Each format reads *to* and writes *from* these; a mapper between two formats is forbidden.
"""

from enum import StrEnum
from typing import Any

import msgspec

from halley.kernel.money import Nanos

IMAGES_MAX = 32
"""Of one order: as many outputs as are stored."""


class ImageRole(StrEnum):
    """What an input image is for."""

    REFERENCE = "reference"
    """Steers the picture."""
    INPUT = "input"
    """Is edited or continued."""
    MASK = "mask"
    CONTROL = "control"
    """Gives structure: edges, depth."""
    PREPROCESSED = "preprocessed"


class ImageInput(msgspec.Struct, frozen=True, kw_only=True):
    """One picture that came with an order: an http(s) URL, a data URL, or bare base64."""

    role: ImageRole
    source: str
    pointer: str
    """Where it stands in the original body, as a JSON pointer."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where the caller wants to be told. `events` empty: whatever the dialect tells by default."""

    url: str
    secret: str | None = None
    events: tuple[str, ...] = ()


class ImageOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A picture ordered. None means that the caller did not say, so the vendor's own default holds."""

    dialect: str
    model: str
    """The public model id, aliases not yet resolved."""
    body: dict[str, Any]
    """The original body. What the format of the vendor shares with the caller's is forwarded from here."""
    prompt: str | None = None
    images: tuple[ImageInput, ...] = ()
    width: int | None = None
    height: int | None = None
    aspect_ratio: str | None = None
    """`16:9`, or `match_input_image`."""
    megapixels: str | None = None
    count: int | None = 1
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    image_strength: float | None = None
    """How much a reference image counts, 0 to 1."""
    output_format: str | None = None
    """`jpeg`, `png` or `webp`."""
    output_quality: int | None = None
    safety_tolerance: int | None = None
    """0 (strict) to 6 (permissive)."""
    prompt_upsampling: bool | None = None
    raw: bool | None = None
    finetune_id: str | None = None
    finetune_strength: float | None = None
    extras: dict[str, Any] = {}
    """Fields beyond this vocabulary, by their name in the caller's format: only a vendor of that format takes them."""
    extras_at: str = ""
    """The object that they stand in, as a JSON pointer into the original body."""
    webhook: Webhook | None = None
    wait_s: float | None = None
    """How long the caller wants the submit to be held open for the result (`Prefer: wait`)."""


def callers_name(order: ImageOrder, word: str) -> str:
    """Name a field of an order as its caller does: what the original body has, else what most formats call it."""
    return callers_field(order, word) or _CALLERS_WORDS.get(word, (word,))[0]


def callers_field(order: ImageOrder, word: str) -> str | None:
    """Find a field of an order in the original body, with the object that it stands in: `input.num_outputs`."""
    for name in _CALLERS_WORDS.get(word, (word,)):
        if name in order.body:
            return name
        for outer, inner in order.body.items():
            if isinstance(inner, dict) and name in inner:
                return f"{outer}.{name}"
    return None


_CALLERS_WORDS: dict[str, tuple[str, ...]] = {
    "steps": ("num_inference_steps", "steps"),
    "count": ("num_outputs", "n"),
    "image_strength": ("image_prompt_strength", "prompt_strength"),
    "output_quality": ("output_quality", "output_compression"),
    "aspect_ratio": ("aspect_ratio", "size"),
    "width": ("width", "size", "aspect_ratio", "megapixels"),
    "height": ("height", "size", "aspect_ratio", "megapixels"),
}
"""What callers' formats call a field of an order, or what they say it by."""

Order = ImageOrder
"""Every kind of order; further kinds join by union."""


class FailureCode(StrEnum):
    """Why a task ended without a result."""

    REQUEST_MODERATED = "request_moderated"
    CONTENT_MODERATED = "content_moderated"
    VENDOR_REFUSED = "vendor_refused"
    VENDOR_FAILED = "vendor_failed"
    VENDOR_UNAVAILABLE = "vendor_unavailable"
    OUTPUT_LOST = "output_lost"
    OUTCOME_UNKNOWN = "outcome_unknown"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a task failed, in words for the caller."""

    code: FailureCode
    message: str
    details: dict[str, Any] = {}
    """What the vendor said beside it, e.g. the reasons of a moderation."""


class ReportState(StrEnum):
    """What a vendor's state word means to us."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"
    """A word that we do not know: never success, never failure."""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One file that a vendor made, where the vendor keeps it."""

    url: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of a task's state from its vendor."""

    state: ReportState
    word: str
    """The vendor's own state word."""
    progress: float | None = None
    """0 to 1."""
    outputs: tuple[Output, ...] = ()
    measured: dict[str, int] = {}
    """What the reply itself counts, by meter in base units; it replaces the estimate of the same meter."""
    vendor_cost: Nanos | None = None
    failure: Failure | None = None
    facts: dict[str, Any] = {}
    """Neutral extras that other formats show too: `seed`, `prompt`, `logs`."""
    started_at: int | None = None
    ended_at: int | None = None
    raw: dict[str, Any] = {}
    """The vendor's reply, for rendering in the vendor's own format."""
