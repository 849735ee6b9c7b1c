"""What a wire format of chat is: to and from our own words, whole and as a stream; no format knows another."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from halley.kernel.chat import ChatOrder, ChatReply, ChatUsage, Delta
from halley.kernel.faults import Fault
from halley.kernel.sse import Frame


class AnswerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a writer of replies needs beside the reply."""

    id: str
    """Our id of the answer, 26 characters of base32 without a prefix; each format adds its own (`chatcmpl-`)."""
    model: str
    """The model as the caller named it."""
    created_s: int
    body: dict[str, Any]
    """What the caller sent: some formats repeat parts of it."""
    include_usage: bool = True
    """Whether the caller wants the usage at the end of a stream."""


class ReadStream(Protocol):
    """Reads a vendor's stream; made anew for each."""

    def feed(self, frame: Frame) -> Iterable[Delta]:
        """Read one frame. Raises `StreamFault` for an error frame, `ValueError` for what cannot be read.

        `Unusable` comes once all else of the frame was given.
        """
        ...

    @property
    def complete(self) -> bool:
        """Whether the proper end was seen (`[DONE]`, `message_stop`, a finish reason, …): an end without is a cut."""
        ...


class WriteStream(Protocol):
    """Writes a stream to a caller; made anew for each."""

    def write(self, delta: Delta) -> bytes:
        """Give the frames for one piece, possibly none."""
        ...

    def end(self) -> bytes:
        """Give what closes a complete stream."""
        ...

    def fault(self, fault: Fault, request_id: str) -> bytes:
        """Give the frame that says honestly that the stream broke; nothing follows it."""
        ...


class StreamFault(Exception):
    """The vendor said inside its stream that it failed; `fault` is what its words mean."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class UnknownPart(ValueError):
    """An answer holds a part that no word of ours stands for; in its own format it is an answer all the same."""


class Unusable(ValueError):
    """The model ended its answer in a way that no word of ours stands for; in its own format that is an end as any."""


class ChatFormat(msgspec.Struct, frozen=True, kw_only=True):
    """One wire format of chat."""

    name: str
    """`openai.chat`, `openai.responses`, `anthropic.messages`, `gemini.content`."""
    read_order: Callable[[dict[str, Any]], ChatOrder]
    """A caller's body. Raises `BadRequest` with the field named."""
    write_order: Callable[[ChatOrder], dict[str, Any]]
    """A body for a vendor. Raises `NotConveyed` naming what this format has no word for."""
    read_reply: Callable[[dict[str, Any]], ChatReply]
    """A vendor's whole 2xx reply. Raises `Unusable`, or another `ValueError` for what cannot be read."""
    write_reply: Callable[[ChatReply, AnswerFacts], dict[str, Any]]
    read_stream: Callable[[], ReadStream]
    write_stream: Callable[[AnswerFacts], WriteStream]
    write_behind: Callable[[AnswerFacts, Iterable[Frame]], WriteStream] | None = None
    """The same for a caller who has got these frames of this format already, where frames tell of those before them."""
    read_usage: Callable[[bytes], ChatUsage | None]
    """The usage in a whole reply or in the data of one frame of a stream, alone; None if there is none."""
