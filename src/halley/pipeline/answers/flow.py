"""relay: the vendor's reply on its way to the caller, whole or piece by piece, its usage read on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

import msgspec

from halley.db import DatabaseUnavailable
from halley.kernel import codec, faults
from halley.kernel.chat import ChatUsage
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import Fault
from halley.kernel.loose import as_object
from halley.kernel.operation import Kind, Operation
from halley.pipeline.admit import confirm
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.contents import contents
from halley.pipeline.answers.meter import choices
from halley.pipeline.answers.pipe import (
    Binary,
    Drawn,
    Pipe,
    Spoken,
    Translated,
    Unchanged,
    texts_of_completion,
    writer_of,
)
from halley.pipeline.answers.translate import read_reply, texts, translate_embeddings, write_reply
from halley.pipeline.trouble import lost
from halley.upstream.client import UpstreamStream
from halley.upstream.errors import NotSent, ReplyTooLarge, UpstreamError
from halley.wire.contract import AnswerFacts, StreamFault, UnknownPart, Unusable
from halley.wire.formats import CHAT_FORMATS, USAGE_READERS
from halley.wire.halves import without
from halley.wire.openai.errors import read_error
from halley.wire.openai.usage import NO_OUTLINE, Outline, counts_in, read_outline
from halley.world import World

Sink = Callable[[bytes], bool]
"""Takes a piece for the caller; False if that is more than the caller takes just now."""
LARGE_BYTES = 256 * 1024
"""A reply above this is read in a thread, so that nobody waits for it."""
_STOPPED = "The gateway stopped before this answer had ended; what was received is charged"
_JSON = "application/json"
_EVENTS = "text/event-stream"
_UNFRAMED = frozenset((Kind.SPEECH, Kind.TRANSCRIPTION))
"""Kinds whose answers may be neither JSON nor events. All others are read as such, however they are labelled."""
_UNWRITTEN = frozenset((Kind.EMBEDDING, Kind.RERANK))
"""Kinds that only take tokens in: a total is that of their input."""
_WRITTEN = frozenset((*CHAT_FORMATS, Operation.COMPLETION))
"""Operations whose answers are texts that are billed."""
_GENERATED = ("choices", "output", "content", "candidates")
"""Where the formats of chat have what was generated."""
_TEXTS = frozenset(("text", "srt", "vtt"))
"""Formats of a transcript that are no JSON."""
_VECTORS: Mapping[Operation, str] = {
    Operation.EMBEDDINGS: "data",
    Operation.EMBED_CONTENT: "embedding",
    Operation.EMBED_CONTENTS: "embeddings",
}
"""Where a reply has what was asked for, of the calls that ask for nothing else."""

_ANSWERS = ("choices", "data", "content", "candidates", "results", "text")
"""Where a reply has what was asked for."""
_EMPTY = frozenset((b"null", b"[]", b"{}", b'""'))
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, in the caller's format."""

    body: bytes
    content_type: str
    usage: ChatUsage | None
    texts: tuple[str, ...] = ()
    """What was generated, where it is known and the vendor did not count it."""
    raw: bytes = b""
    """The vendor's own reply, where meters are read from more of it."""
    outline: Outline = NO_OUTLINE
    fault: Fault | None = None
    """Why the caller gets none of it, although it was soundly read."""


async def whole_answer(ask: Ask, attempt: Attempt, stream: UpstreamStream, facts: AnswerFacts) -> Whole:
    """Read a whole reply and put it into the caller's format. Raises `OutcomeUnknown` for what cannot be read."""
    async with stream:
        try:
            data = await stream.read_all()
        except UpstreamError as error:
            raise network_fault(error) from error
    content_type = stream.headers.get("content-type", _JSON)
    try:
        if len(data) <= LARGE_BYTES:
            return _whole(ask, attempt, data, content_type, facts)
        return await asyncio.to_thread(_whole, ask, attempt, data, content_type, facts)
    except ValueError as error:
        raise faults.OutcomeUnknown("The vendor's answer cannot be read") from error


def network_fault(error: UpstreamError) -> Fault:
    """Say what a failure on the way means for an answer."""
    if isinstance(error, NotSent):
        return lost(faults.VendorUnreachable("The vendor could not be reached; nothing was sent"), error)
    if isinstance(error, ReplyTooLarge):
        return lost(faults.VendorBroken("The vendor's answer is larger than an answer can be"), error)
    return lost(faults.OutcomeUnknown("The vendor's answer was lost on the way or did not come in time"), error)


class Flow:
    """A stream on its way; its first piece has come before anybody is answered."""

    def __init__(self, world: World, ask: Ask, stream: UpstreamStream, pipe: Pipe, content_type: str) -> None:
        self._world = world
        self._caller = ask.caller
        self._request_id = ask.request.id
        self._epoch = ask.admitted_at
        self._stream = stream
        self._first = b""
        self.pipe = pipe
        self.content_type = content_type
        self.broken: Fault | None = None
        """Why the stream ended before its end; None while it goes well."""
        self.complete = False
        self.first_byte_us = 0
        self._sink: Sink | None = None
        self._sink_is_full = False

    def pour(self, sink: Sink) -> None:
        """Let pieces go straight to `sink`, whenever nothing has to be waited for; `pieces` gives only the others."""
        self._sink = sink

    async def begin(self, began_s: float) -> None:
        """Wait for the first piece. Raises the fault of a stream that breaks before it: nobody has seen any of it."""
        try:
            while not self._first:
                self._first = self.pipe.take(await self._more())
        except BaseException as error:
            await self._stream.aclose()
            if isinstance(error, UpstreamError | StreamFault | ValueError):
                raise _fault_of(error) from error
            raise
        self.first_byte_us = int((self._world.clock.monotonic() - began_s) * MICROSECONDS)

    async def _more(self) -> bytes:
        data = await self._stream.read()
        if not data:
            raise faults.OutcomeUnknown("The vendor's stream ended before anything came")
        return data

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give all pieces; a stream that breaks, or whose caller's key is revoked, ends with the words for it."""
        try:
            yield self._first
            callers = self._world.callers
            try:
                while data := await self._next():
                    if callers.epoch != self._epoch:
                        await self._still_admitted()
                    out = self.pipe.take(data)
                    if out:
                        yield out
            except UpstreamError:
                if not self.pipe.ended:
                    raise
            last = self._end()
        except (UpstreamError, StreamFault, ValueError, Fault) as error:
            last = self._break(error)
        except asyncio.CancelledError:
            if not self._world.draining:
                raise
            # The server cuts what has not ended when its time to stop is over; it waits for this, and for the books.
            last = self._break(faults.Draining(_STOPPED))
        if last:
            yield last

    async def _next(self) -> bytes:
        if self._sink is not None:
            await self._stream.pour(self._pass_on)
        return await self._stream.read()

    def _pass_on(self, data: bytes) -> bool:
        """Do as `pieces` does, but not what has to wait: that is left to it."""
        if self._sink is None or self._sink_is_full or self._world.callers.epoch != self._epoch:
            self._sink_is_full = False
            return False
        out = self.pipe.take(data)
        if out:
            self._sink_is_full = not self._sink(out)
        return True

    async def _still_admitted(self) -> None:
        """Raises `Unauthenticated` when the key was revoked on the way."""
        epoch = self._world.callers.epoch
        with suppress(DatabaseUnavailable):  # nobody can say: asked again at the next piece
            await confirm(self._world, self._caller)
            self._epoch = epoch

    def _break(self, error: Exception) -> bytes:
        self.broken = _fault_of(error)
        return self.pipe.fault(self.broken, self._request_id)

    def _end(self) -> bytes:
        last = self.pipe.end()
        self.complete = True
        return last

    async def aclose(self) -> None:
        """Let the vendor see that nobody listens any more."""
        await self._stream.aclose()


def open_flow(world: World, ask: Ask, attempt: Attempt, stream: UpstreamStream, facts: AnswerFacts) -> Flow:
    """Give the flow of a stream; nothing of it has been read."""
    content_type = stream.headers.get("content-type", _EVENTS)
    kind = ask.kind
    if kind in _UNFRAMED and not content_type.lower().startswith(_EVENTS):
        return Flow(world, ask, stream, Binary(), content_type)
    pipe: Pipe
    if attempt.operation is ask.operation:
        unchanged = Spoken if kind is Kind.SPEECH else Drawn if kind is Kind.IMAGE else Unchanged
        pipe = unchanged(ask.operation, facts, as_array=ask.array, choices=choices(ask))
    else:
        reader = CHAT_FORMATS[attempt.operation].read_stream()
        pipe = Translated(reader, writer_of(ask.operation, facts, as_array=ask.array))
    return Flow(world, ask, stream, pipe, _JSON if ask.array else _EVENTS)


def _whole(ask: Ask, attempt: Attempt, data: bytes, content_type: str, facts: AnswerFacts) -> Whole:
    if ask.kind in _UNFRAMED and not content_type.lower().startswith(_JSON):
        return Whole(body=data, content_type=content_type, usage=None, raw=data)
    if attempt.operation is ask.operation:
        try:
            return same_format(ask, attempt, data)
        except ValueError:
            if not _wants_text(ask):
                raise
            return Whole(body=data, content_type=content_type, usage=None, raw=data)
    try:
        outline = read_outline(data)
    except ValueError:
        data = without(data)
        outline = read_outline(data)
    if ask.kind is Kind.EMBEDDING:
        body, usage = translate_embeddings(ask, attempt, data)
        return Whole(body=body, content_type=_JSON, usage=usage, raw=data, outline=outline)
    try:
        reply = read_reply(attempt, data)
        body = write_reply(ask, reply, facts)
    except (Unusable, faults.NotConveyed) as error:
        usage = CHAT_FORMATS[attempt.operation].read_usage(data)
        return Whole(body=b"", content_type=_JSON, usage=usage, raw=data, outline=outline, fault=_fault_of(error))
    generated = () if reply.usage is not None and reply.usage.output else tuple(texts(reply))
    return Whole(body=body, content_type=_JSON, usage=reply.usage, texts=generated, raw=data, outline=outline)


def same_format(ask: Ask, attempt: Attempt, data: bytes) -> Whole:
    """Read a whole JSON reply that goes to the caller as it is.

    Raises `ValueError` for what is none, and the fault of an error with status 200.
    """
    readable = data
    try:
        outline = read_outline(data)
    except ValueError:
        readable = without(data)
        outline = read_outline(readable)
    read_usage = USAGE_READERS.get(ask.operation)
    usage = read_usage(readable) if read_usage else _told(ask, outline)
    if usage is None:
        _see_an_answer(ask, outline)
    elif outline.error != NO_OUTLINE.error:
        _see_more_than_an_error(outline, readable)
    generated: tuple[str, ...] = ()
    if (usage is None or not usage.output) and attempt.operation in _WRITTEN:
        generated = _texts(attempt, readable, is_counted=usage is not None)
    return Whole(body=data, content_type=_JSON, usage=usage, texts=generated, raw=data, outline=outline)


def _see_an_answer(ask: Ask, outline: Outline) -> None:
    """Look whether a reply that counts nothing is an error. Raises the fault of one, `ValueError` without vectors."""
    data = outline.value("data")
    error = None if data else outline.value("error")
    if error:
        raise read_error(error)
    vectors = _VECTORS.get(ask.operation)
    if vectors and not outline.value(vectors):
        raise ValueError(f"the reply has no `{vectors}`")


def _see_more_than_an_error(outline: Outline, data: bytes) -> None:
    """Look whether a reply that counts something has an error alone. Raises the fault of it.

    A response that failed has its items beside its error, be there none: it is given as it is.
    """
    fields = _fields.decode(data)
    error = None if "output" in fields else outline.value("error")
    if error and all(name not in fields or bytes(fields[name]) in _EMPTY for name in _ANSWERS):
        raise read_error(error)


def _wants_text(ask: Ask) -> bool:
    """Whether a recording is to be written down as plain text, which some vendors label as JSON."""
    return ask.kind is Kind.TRANSCRIPTION and ask.said["response_format"] in _TEXTS


def _told(ask: Ask, outline: Outline) -> ChatUsage | None:
    counts = counts_in(outline)
    if counts is None:
        return None
    if counts.total and ask.kind in _UNWRITTEN:
        return ChatUsage(input=counts.total, output=0)
    return counts.usage


def _texts(attempt: Attempt, data: bytes, *, is_counted: bool) -> tuple[str, ...]:
    """Give what was generated. Of a reply with a part that we have no word for all is counted but its files.

    Raises `ValueError` for what is no answer; of what its vendor counted a side of we take the vendor's word for that.
    """
    if attempt.operation is Operation.COMPLETION:
        return tuple(texts_of_completion(data))
    try:
        return tuple(texts(read_reply(attempt, data)))
    except ValueError as error:
        if not is_counted and not isinstance(error, UnknownPart | Unusable):
            raise
        reply = as_object(codec.decode_reply(data))
        return tuple(contents([reply.get(name) for name in _GENERATED]).texts)


def _fault_of(error: BaseException) -> Fault:
    match error:
        case StreamFault():
            return error.fault
        case Fault():
            return error
        case Unusable():
            return faults.AnswerUnusable(str(error))
        case UpstreamError():
            broken = faults.OutcomeUnknown("The vendor's stream broke off or stalled; what was received is charged")
            return lost(broken, error)
        case _:
            return faults.OutcomeUnknown("The vendor's stream cannot be read any further; what was received is charged")
