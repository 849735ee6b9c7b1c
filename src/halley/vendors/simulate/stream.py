"""Sends the answer of a simulated vendor, whole or as server-sent events, with the ending that a test ordered.

Each frame is a message of its own, hence a chunk of its own on the wire. When the client leaves, sending stops and
the journal counts it, so that a test can see that a call was cancelled.
"""

import asyncio
from collections.abc import Coroutine, Sequence

import msgspec

from halley.vendors.simulate.asgi import (
    Headers,
    Reply,
    Request,
    apply_transport_ending,
    close_connection,
    send_reply,
    until_client_leaves,
)
from halley.vendors.simulate.directive import Directive, Outcome
from halley.vendors.simulate.host import SimulatorHost

SLOW_FIRST_BYTE_S = 5.0
LEFT = "client left"
"""Counted in the journal as a route, once for each answer that its client did not wait for."""
STREAM_TYPE = "text/event-stream; charset=utf-8"
BROKEN_FRAME = b'data: {"id":"broken","choices":[{"delta":{"content":"half a fra\n\n'

_SSE_HEADERS: Headers = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))


async def send_stream(
    request: Request,
    frames: Sequence[bytes],
    directive: Directive,
    host: SimulatorHost,
    *,
    error_frame: bytes,
    headers: Headers = (),
) -> None:
    """Send the frames as an event stream. The request's body must have been read.

    `delay` is spread over the frames, but for `slow_first_byte`, which waits that long (or 5 s) before the head.
    Cut, stall, the broken frame and the error frame come after half of the frames; an error frame is the last.
    The endings of a broken wire (`timeout_after_send`, …) come instead of the stream.
    """
    if await apply_transport_ending(directive, request.scope, request.receive, request.send):
        return
    await _unless_client_leaves(request, host, _stream(request, frames, directive, host, (error_frame, headers)))


async def send_whole(request: Request, reply: Reply, directive: Directive, host: SimulatorHost) -> None:
    """Send an answer that is not streamed. The request's body must have been read.

    `delay` passes before the head. `cut_stream` closes and `stall_stream` falls silent after half of the body, whose
    length was told in full; `malformed_frame` ends the body too early, as if that were all. `error_frame` has no
    meaning here: the vendor's simulator answers its own error.
    """
    if await apply_transport_ending(directive, request.scope, request.receive, request.send):
        return
    await _unless_client_leaves(request, host, _whole(request, reply, directive, host))


def first_byte_delay_s(directive: Directive) -> float:
    """How long an answer's head lets wait, streams apart from `slow_first_byte` aside."""
    if directive.delay_s is not None:
        return directive.delay_s
    return SLOW_FIRST_BYTE_S if directive.outcome is Outcome.SLOW_FIRST_BYTE else 0.0


async def _unless_client_leaves(request: Request, host: SimulatorHost, work: Coroutine[None, None, None]) -> None:
    """Do the work until it is done or the client has gone, and count the latter."""
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(until_client_leaves(request.receive))
        working = group.create_task(work)
        await asyncio.wait((leaving, working), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            host.journal.count_request(LEFT)
        leaving.cancel()


async def _whole(request: Request, reply: Reply, directive: Directive, host: SimulatorHost) -> None:
    await _pause(host, first_byte_delay_s(directive))
    half = reply.body[: max(1, len(reply.body) // 2)]
    match directive.outcome:
        case Outcome.CUT_STREAM:
            await _send_part(request, reply, half)
            await close_connection(request.scope, request.receive)
        case Outcome.STALL_STREAM:
            await _send_part(request, reply, half)
            await asyncio.Event().wait()
        case Outcome.MALFORMED_FRAME:
            await send_reply(msgspec.structs.replace(reply, body=half), request.send)
        case _:
            await send_reply(reply, request.send)


async def _send_part(request: Request, reply: Reply, part: bytes) -> None:
    headers = [("content-type", reply.type), ("content-length", str(len(reply.body))), *reply.headers]
    await _send_head(request, reply.status, tuple(headers))
    await request.send({"type": "http.response.body", "body": part, "more_body": True})


async def _stream(
    request: Request,
    frames: Sequence[bytes],
    directive: Directive,
    host: SimulatorHost,
    extras: tuple[bytes, Headers],
) -> None:
    error_frame, headers = extras
    is_slow = directive.outcome is Outcome.SLOW_FIRST_BYTE
    if is_slow:
        await _pause(host, first_byte_delay_s(directive))
    pause_s = 0.0 if is_slow else (directive.delay_s or 0.0) / max(1, len(frames))
    await _send_head(request, 200, (("content-type", STREAM_TYPE), *_SSE_HEADERS, *headers))
    middle = (len(frames) + 1) // 2
    for place, frame in enumerate(frames):
        if place == middle and await _break_off(request, directive, error_frame):
            return
        await _pause(host, pause_s)
        await request.send({"type": "http.response.body", "body": frame, "more_body": True})
    if middle >= len(frames) and await _break_off(request, directive, error_frame):
        return
    await request.send({"type": "http.response.body", "body": b""})


async def _pause(host: SimulatorHost, seconds: float) -> None:
    """Wait on the host's clock; a pause of nothing still lets what was written go out."""
    await (host.clock.sleep(seconds) if seconds > 0 else asyncio.sleep(0))


async def _break_off(request: Request, directive: Directive, error_frame: bytes) -> bool:
    """Do in the middle of a stream what was ordered; whether nothing more shall come."""
    match directive.outcome:
        case Outcome.CUT_STREAM:
            await close_connection(request.scope, request.receive)
        case Outcome.STALL_STREAM:
            await asyncio.Event().wait()
        case Outcome.ERROR_FRAME:
            await request.send({"type": "http.response.body", "body": error_frame})
        case Outcome.MALFORMED_FRAME:
            await request.send({"type": "http.response.body", "body": BROKEN_FRAME, "more_body": True})
            return False
        case _:
            return False
    return True


async def _send_head(request: Request, status: int, headers: Headers) -> None:
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await request.send({"type": "http.response.start", "status": status, "headers": encoded})
