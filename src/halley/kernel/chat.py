"""A conversation in our own words: what is asked, what is answered, and the pieces of a streamed answer.

The meeting point of all chat formats: each reads into these and writes from these, none knows another.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

# --- what a message is made of ------------------------------------------------------------------------------


class Text(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """Plain text."""

    text: str


class Blob(msgspec.Struct, frozen=True, kw_only=True, tag="blob"):
    """An image, a sound or a file. Exactly one of `data`, `url` and `file_id` is set."""

    kind: "BlobKind"
    media_type: str | None = None
    """`image/png`; None where the format does not tell (a URL)."""
    data: str | None = None
    """Base64, without a prefix."""
    url: str | None = None
    file_id: str | None = None
    """A file kept by the vendor whose format this is: no other vendor knows it."""
    name: str | None = None
    detail: str | None = None
    """How closely to look at an image: `low`, `high`, `auto`."""


class BlobKind(StrEnum):
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    FILE = "file"


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, tag="tool_call"):
    """The model wants a function called. `arguments` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str
    signature: str | None = None
    """An opaque proof that belongs to this call (`thoughtSignature`), to be handed back unchanged."""


class ToolResult(msgspec.Struct, frozen=True, kw_only=True, tag="tool_result"):
    """What a called function gave."""

    call_id: str
    name: str | None = None
    """The function's name, where the format repeats it."""
    parts: tuple["Text | Blob", ...]
    is_error: bool = False


class Thinking(msgspec.Struct, frozen=True, kw_only=True, tag="thinking"):
    """What the model thought before it answered. `signature` and `redacted` are opaque and belong to the vendor."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag="refusal"):
    """The model's words for not answering."""

    text: str


Part = Text | Blob | ToolCall | ToolResult | Thinking | Refusal


class Role(StrEnum):
    SYSTEM = "system"
    """Also what OpenAI calls `developer`."""
    USER = "user"
    """Also carries tool results."""
    ASSISTANT = "assistant"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. Tool results stand in a USER message of their own or beside other parts."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


# --- what is asked ------------------------------------------------------------------------------------------


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    """JSON schema of the arguments."""
    strict: bool | None = None


class ToolMode(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    """Some tool; with `name` that one."""


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    mode: ToolMode
    name: str | None = None


class OutputKind(StrEnum):
    TEXT = "text"
    JSON = "json"
    SCHEMA = "schema"


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer's text must be."""

    kind: OutputKind
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """How much to think. At most one of `effort` and `budget_tokens` is set; `enabled=False` turns it off."""

    enabled: bool = True
    effort: str | None = None
    """`minimal`, `low`, `medium`, `high`, … as the caller's format spells it."""
    budget_tokens: int | None = None
    show: bool | None = None
    """Whether the thoughts (or a summary) shall be part of the answer."""


class ChatOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A chat as asked. None means: left to the vendor."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    output_tokens_max: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    count: int | None = None
    """How many answers (`n`, `candidateCount`)."""
    output: OutputFormat | None = None
    reasoning: Reasoning | None = None
    stream: bool = False
    extras: dict[str, Any] = {}
    """What no word above stands for, by the caller's own name: a writer of another format must refuse these by name
    (`NotConveyed`), but for hints, which change nothing in the answer and are not taken up here at all."""


# --- what is answered ---------------------------------------------------------------------------------------


class StopReason(StrEnum):
    END = "end"
    LENGTH = "length"
    TOOLS = "tools"
    STOP_SEQUENCE = "stop_sequence"
    FILTERED = "filtered"
    """By the vendor's moderation."""
    REFUSED = "refused"
    PAUSED = "paused"
    """The vendor's own tool loop was interrupted (`pause_turn`)."""


class ChatUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a call. `input` and `output` are totals: the details below are parts of them.

    A total of 0 is none that anybody counted: where there is something on that side, it is counted by us.
    """

    input: int
    output: int
    cached: int = 0
    cache_write: int = 0
    """All cache writes; of these `cache_write_1h` live an hour."""
    cache_write_1h: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0
    searches: int = 0
    """Of the web, made by the vendor for this call: billed beside the tokens."""
    tools: Mapping[str, int] | None = None
    """What else of tools that the vendor ran itself is billed beside them, by meter."""


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the web that an answer rests on."""

    url: str
    title: str | None = None
    start: int
    """The first of the characters that rest on it, counted over all texts of the answer in a row."""
    end: int
    """Behind the last of them."""
    quote: str = ""
    """The page's own words, where the vendor tells them."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One of the answers. Its parts stand in the order in which they came."""

    index: int = 0
    parts: tuple[Part, ...]
    citations: tuple[Citation, ...] = ()
    stop: StopReason
    stop_sequence: str | None = None


class ChatReply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer."""

    id: str
    model: str
    """The model's name as the vendor tells it."""
    created_s: int | None = None
    choices: tuple[Choice, ...]
    usage: ChatUsage | None = None


# --- a streamed answer, piece by piece ------------------------------------------------------------------------


class Began(msgspec.Struct, frozen=True, kw_only=True, tag="began"):
    """First of all, once."""

    id: str
    model: str
    created_s: int | None = None
    usage: ChatUsage | None = None
    """Of the input, where the vendor tells it at the beginning."""


class TextPiece(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    text: str
    choice: int = 0


class RefusalPiece(msgspec.Struct, frozen=True, kw_only=True, tag="refusal"):
    text: str
    choice: int = 0


class ThinkingPiece(msgspec.Struct, frozen=True, kw_only=True, tag="thinking"):
    """More of a thought; `signature` closes it, `redacted` is a whole thought that nobody may read."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    choice: int = 0


class CallBegan(msgspec.Struct, frozen=True, kw_only=True, tag="call_began"):
    """A tool call begins. `slot` numbers the calls of one choice from 0; calls may be interleaved."""

    slot: int
    id: str
    name: str
    signature: str | None = None
    choice: int = 0


class CallPiece(msgspec.Struct, frozen=True, kw_only=True, tag="call"):
    """More of the arguments' JSON text."""

    slot: int
    arguments: str
    choice: int = 0


class BlobPiece(msgspec.Struct, frozen=True, kw_only=True, tag="blob"):
    """A whole image or sound in the answer."""

    blob: Blob
    choice: int = 0


class Cited(msgspec.Struct, frozen=True, kw_only=True, tag="cited"):
    """What rests on a page; all of its words have come already."""

    citation: Citation
    choice: int = 0


class Stopped(msgspec.Struct, frozen=True, kw_only=True, tag="stopped"):
    """One choice is complete."""

    reason: StopReason
    stop_sequence: str | None = None
    choice: int = 0


class Counted(msgspec.Struct, frozen=True, kw_only=True, tag="counted"):
    """The usage of the whole call, so far; the last one counts."""

    usage: ChatUsage


Delta = Began | TextPiece | RefusalPiece | ThinkingPiece | CallBegan | CallPiece | BlobPiece | Cited | Stopped | Counted
