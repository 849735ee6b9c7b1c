"""Responses that are kept: written before their caller sees them, read, gone on from, deleted, and expired."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from halley.accounts.model import Caller
from halley.assets.objects import ObjectMissing, put_bytes, read_bytes
from halley.db import Tx
from halley.kernel import codec, faults
from halley.kernel.body import JsonBody
from halley.kernel.faults import NotConveyed, NotFound
from halley.kernel.loose import as_text
from halley.kernel.operation import Operation
from halley.kernel.sse import Frame, Splitter, frame, parse
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.history import PREVIOUS
from halley.pipeline.persist import write_surely
from halley.pipeline.vendor import credentials, own_headers
from halley.responses import KEPT_US, Stored, Turn, rules, store
from halley.responses.model import HISTORY_BYTES_MAX, INLINE_BYTES_MAX, TURNS_MAX, Expired
from halley.routing import Channel
from halley.upstream.client import UpstreamRequest
from halley.upstream.errors import UpstreamError
from halley.wire.halves import without
from halley.world import World

ID_CHARACTERS_MAX = 512
"""Of a vendor's id; a response with a longer one is not kept, for nobody could ask for it."""
SHOWN_CHARACTERS_MAX = 100
BODY_BYTES_MAX = 256 * 1024 * 1024
"""Of one body that is read back: no answer and no request is larger."""
REPLY_BYTES_MAX = 64 * 1024
DECODED_IN_THREAD_BYTES = 256 * 1024
BATCHES_MAX = 25
"""Of responses that are dropped in one round of the sweep."""
_LAST = (b"response.completed", b"response.incomplete")
_ENDS = frozenset(("response.completed", "response.incomplete"))
_SUCCESS, _NOT_FOUND = 2, 404
_log = structlog.get_logger("halley.responses")


class _Head(msgspec.Struct):
    """What must be known of a response; a vendor may say it in any type."""

    id: Any = None
    store: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    response: msgspec.Raw = msgspec.Raw(b"{}")


_head = msgspec.json.Decoder(_Head)
_event = msgspec.json.Decoder(_Event)


class Unreachable(NotConveyed):
    """What was said before a response cannot be told to another vendor."""

    code = "previous_response_not_found"


# --- kept ---------------------------------------------------------------------------------------------------


async def keep(world: World, ask: Ask, attempt: Attempt, response: bytes) -> None:
    """Keep a response, as it will be shown, unless the caller wants none kept."""
    if not _wanted(ask):
        return
    response = without(response)  # halves of characters could not be read again
    head = _head_of(response)
    if head is None:
        return
    row = _row(world, ask, attempt, head, response)
    try:
        for key, data in ((row.response_object, response), (row.input_object, _input(ask))):
            if key is not None:
                await put_bytes(world.objects, key, data)
    except BaseException:
        # No row names them, so nothing else would ever delete them.
        await world.objects.delete(_objects(row))
        raise
    await write_surely(world, "keep_response", lambda tx: store.insert(tx, row))


def keeping(world: World, ask: Ask, attempt: Attempt, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give the pieces of a stream, each of whole frames; of a response the last event only once it is kept."""
    return _keeping(world, ask, attempt, pieces) if ask.operation is Operation.RESPONSES else pieces


async def _keeping(world: World, ask: Ask, attempt: Attempt, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        shown = as_asked_in_frames(ask, attempt, piece)
        for response in _whole_responses(shown):
            # Whole, also when the caller leaves: what is half kept would never be found.
            await asyncio.shield(keep(world, ask, attempt, response))
        yield shown


def as_asked(ask: Ask, attempt: Attempt, response: bytes) -> bytes:
    """Let a response say what it goes on from, where its vendor was told all instead."""
    if not _was_told(ask, attempt):
        return response
    assert ask.history is not None
    return JsonBody(without(response)).patched({PREVIOUS: ask.history.sent.text(PREVIOUS)})


def as_asked_in_frames(ask: Ask, attempt: Attempt, piece: bytes) -> bytes:
    """Do the same to every response in a piece of a stream."""
    if PREVIOUS.encode() not in piece or not _was_told(ask, attempt):
        return piece
    return b"".join(_patched(ask, attempt, raw, one) for raw, one in _frames(piece))


def _patched(ask: Ask, attempt: Attempt, raw: bytes, one: Frame | None) -> bytes:
    if one is None or PREVIOUS.encode() not in one.data:
        return raw
    body = JsonBody(without(one.data))
    if "response" not in body.fields:
        return raw
    response = as_asked(ask, attempt, bytes(body.fields["response"]))
    return frame(body.patched({"response": msgspec.Raw(response)}), one.event)


def _was_told(ask: Ask, attempt: Attempt) -> bool:
    """Whether a vendor of this format does not know that there was a response before."""
    same_format = attempt.operation is ask.operation
    return ask.history is not None and same_format and not ask.recalled_by(attempt.channel.id, attempt.operation)


def _whole_responses(piece: bytes) -> Iterator[bytes]:
    """Give the response in the last event of a stream."""
    if not any(mark in piece for mark in _LAST):
        return
    for _, one in _frames(piece):
        if one is not None and any(mark in one.data for mark in _LAST):
            event = _event.decode(without(one.data))
            if as_text(event.type) in _ENDS:
                yield bytes(event.response)


def _frames(piece: bytes) -> Iterator[tuple[bytes, Frame | None]]:
    splitter = Splitter(len(piece))
    yield from splitter.feed(piece)
    if splitter.rest:
        yield splitter.rest, parse(splitter.rest)


def _wanted(ask: Ask) -> bool:
    raw = ask.json.fields.get("store")
    return raw is None or bytes(raw) == b"null" or ask.json.flag("store")


def _head_of(response: bytes) -> _Head | None:
    """Read what must be known; None for what nobody could ask for."""
    try:
        head = _head.decode(response)
    except ValueError:
        return None
    return head if isinstance(head.id, str) and 0 < len(head.id) <= ID_CHARACTERS_MAX else None


def _input(ask: Ask) -> bytes:
    raw = ask.sent.fields.get("input")
    return b"[]" if raw is None else bytes(raw)


def _row(world: World, ask: Ask, attempt: Attempt, head: _Head, response: bytes) -> Stored:
    caller, now, given, identity = ask.caller, world.clock.now(), _input(ask), f"kept_{world.ids.new()}"
    response_inline, input_inline = len(response) <= INLINE_BYTES_MAX, len(given) <= INLINE_BYTES_MAX
    return Stored(
        id=identity,
        response_id=head.id,
        account_id=caller.account_id,
        project_id=caller.project_id,
        livemode=caller.livemode,
        model=ask.model,
        channel_id=attempt.channel.id,
        # Some vendors of this format keep nothing, and say so.
        at_vendor=attempt.operation is ask.operation and head.store is True,
        previous=ask.history.previous if ask.history else None,
        response=response if response_inline else None,
        response_object=None if response_inline else f"responses/{identity}/response",
        input=given if input_inline else None,
        input_object=None if input_inline else f"responses/{identity}/input",
        bytes=len(response) + len(given),
        created_at=now,
        expires_at=now + KEPT_US,
    )


# --- read ---------------------------------------------------------------------------------------------------


async def find(world: World, caller: Caller, response_id: str) -> Stored | None:
    """Find a response of this caller's project and mode."""
    now = world.clock.now()

    def query(tx: Tx) -> Stored | None:
        return store.find_own(tx, response_id, project_id=caller.project_id, livemode=caller.livemode, now=now)

    return await world.db.read(query)


async def own(world: World, caller: Caller, response_id: str) -> Stored:
    """Give a response of this caller. Raises `NotFound`."""
    found = await find(world, caller, response_id)
    if found is None:
        raise missing(response_id)
    return found


async def response_of(world: World, row: Stored) -> bytes:
    """Read the whole object. Raises `NotFound` when it was deleted meanwhile."""
    try:
        return await _read(world, row.response, row.response_object)
    except ObjectMissing as error:
        raise missing(row.response_id) from error


async def turns_to(world: World, row: Stored) -> tuple[Turn, ...]:
    """Read a conversation up to and with a response.

    Raises `Unreachable` when it is too long, or when a part of it is kept no longer.
    """
    now = world.clock.now()
    rows = await world.db.read(lambda tx: store.chain(tx, row.id, limit=TURNS_MAX + 1, now=now))
    if len(rows) > TURNS_MAX or sum(each.bytes for each in rows) > HISTORY_BYTES_MAX:
        message = (
            f"The conversation before `{row.response_id}` has more than {TURNS_MAX} turns or {HISTORY_BYTES_MAX:,}"
            " bytes; begin a new one with what matters of it in `input`"
        )
        raise Unreachable(message, param=PREVIOUS)
    if not rows or rows[0].previous is not None:
        raise _torn(row)
    try:
        return tuple([await _turn(world, each) for each in rows])
    except (ObjectMissing, ValueError) as error:
        raise _torn(row) from error


async def turns_before(world: World, row: Stored) -> tuple[Turn, ...]:
    """Read what a response was made from; of a conversation that is not whole any more its own input alone."""
    try:
        return await turns_to(world, row)
    except Unreachable:
        try:
            return (await _turn(world, row),)
        except (ObjectMissing, ValueError) as error:
            raise missing(row.response_id) from error


def missing(response_id: str) -> NotFound:
    """Say that there is no such response for this caller."""
    return NotFound(f"Response with id '{response_id[:SHOWN_CHARACTERS_MAX]}' not found.", param="response_id")


async def _turn(world: World, row: Stored) -> Turn:
    given = await _read(world, row.input, row.input_object)
    response = await _read(world, row.response, row.response_object)
    if row.bytes > DECODED_IN_THREAD_BYTES:
        return await asyncio.to_thread(_turn_of, row, given, response)
    return _turn_of(row, given, response)


def _turn_of(row: Stored, given: bytes, response: bytes) -> Turn:
    return Turn(
        id=row.id,
        channel_id=row.channel_id,
        input=rules.input_items(codec.decode(given)),
        output=rules.output_items(codec.decode(response)),
    )


async def _read(world: World, inline: bytes | None, key: str | None) -> bytes:
    if key is None:
        assert inline is not None
        return inline
    return await read_bytes(world.objects, key, bytes_max=BODY_BYTES_MAX)


def _torn(row: Stored) -> Unreachable:
    message = (
        f"A part of the conversation before `{row.response_id}` was deleted or is older than 30 days, so that it cannot"
        " be gone on from; begin a new one with what matters of it in `input`"
    )
    return Unreachable(message, param=PREVIOUS)


# --- deleted ------------------------------------------------------------------------------------------------


async def delete(world: World, caller: Caller, response_id: str) -> None:
    """Delete a response: it is seen no more from now on. Raises `NotFound`."""
    now = world.clock.now()

    def unit(tx: Tx) -> Stored | None:
        return store.delete(tx, response_id, project_id=caller.project_id, livemode=caller.livemode, now=now)

    row = await world.db.write("delete_response", unit)
    if row is None:
        raise missing(response_id)
    channel = world.config.by_id.get(row.channel_id)
    if row.at_vendor and channel is not None:
        await _delete_at_vendor(world, channel, response_id)


async def expire(world: World, now: int, limit: int) -> None:
    """Delete the bytes and then the rows of responses whose time is over, as many as a busy gateway makes meanwhile."""
    for _ in range(BATCHES_MAX):
        gone = await world.db.read(lambda tx: store.expired(tx, now, limit))
        if gone:
            await _drop(world, gone)
        if len(gone) < limit:
            break


async def _drop(world: World, gone: list[Expired]) -> None:
    await world.objects.delete([key for each in gone for key in each.objects])
    await world.db.write("expire_responses", lambda tx: store.drop(tx, gone))


async def _delete_at_vendor(world: World, channel: Channel, response_id: str) -> None:
    """Let the vendor delete its copy; when it does not, it will when its own time is over."""
    vendor = world.vendors.get(channel.vendor)
    path = None if vendor is None or vendor.answers is None else vendor.answers.paths.get(Operation.RESPONSES)
    if vendor is None or vendor.answers is None or path is None:
        return
    try:
        headers = (*vendor.answers.headers, *own_headers(world, channel), *credentials(world, channel, vendor))
    except faults.VendorRejectsUs as fault:
        _log.warning("response_left_at_vendor", channel=channel.name, response=response_id, error=fault.message)
        return
    request = UpstreamRequest(
        method="DELETE",
        url=f"{channel.base_url}{path}/{quote(response_id, safe='')}",
        headers=headers,
        body=None,
        connect_timeout_s=world.settings.connect_timeout_s,
        answer_timeout_s=world.settings.answer_timeout_s,
        reply_bytes_max=REPLY_BYTES_MAX,
    )
    try:
        status = (await world.upstream.send(request)).status
    except UpstreamError as error:
        _log.warning("response_left_at_vendor", channel=channel.name, response=response_id, error=str(error))
        return
    if status // 100 != _SUCCESS and status != _NOT_FOUND:
        _log.warning("response_left_at_vendor", channel=channel.name, response=response_id, status=status)


def _objects(row: Stored) -> list[str]:
    return [key for key in (row.response_object, row.input_object) if key is not None]
