"""A realtime session's way to a vendor: one channel after another until one opens its websocket."""

import math
from urllib.parse import urlencode

import msgspec

from halley.kernel import faults
from halley.kernel.faults import Fault
from halley.kernel.operation import Operation
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.send import NoAnswer, ordered
from halley.pipeline.send import RESTING_RETRY_AFTER_S
from halley.pipeline.vendor import credentials, may_try, note_fault, note_health
from halley.routing.headers import open_headers
from halley.upstream.errors import UpstreamError
from halley.upstream.websocket import Denied, SocketRequest, UpstreamSocket, open_socket
from halley.vendors.contract import VendorReply
from halley.vendors.simulate.directive import Outcome
from halley.world import World

OPERATION = Operation.REALTIME


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that has opened its websocket. It counts as a call in flight until the session ends."""

    attempt: Attempt
    socket: UpstreamSocket
    tries: int


async def connect(world: World, ask: Ask, attempts: list[Attempt], intent: str | None) -> Connected:
    """Try the channels in turn. Raises `NoAnswer`; nothing was used then."""
    message = f"All channels for `{ask.named}` are resting or full; try again soon"
    fault: Fault = faults.VendorUnreachable(message, retry_after_s=RESTING_RETRY_AFTER_S)
    tries, last = 0, None
    for attempt in attempts:
        if tries >= world.settings.attempts_max:
            break
        now = world.clock.monotonic()
        if not world.bounds.enter(attempt.channel, now):
            wait_s = max(1, math.ceil(world.bounds.wait_s(attempt.channel, now)))
            fault = faults.VendorBusy(f"All channels for `{ask.named}` are busy; try again soon", retry_after_s=wait_s)
            continue
        if not may_try(world, attempt.channel, OPERATION):
            world.bounds.give_back(attempt.channel, now)
            continue
        tries, last = tries + 1, attempt
        try:
            socket = await _try(world, ask, attempt, intent)
        except faults.VendorFault as error:
            fault = error
        except Fault as error:
            raise NoAnswer(error, last=attempt, tries=tries, lost=0) from error
        else:
            return Connected(attempt=attempt, socket=socket, tries=tries)
    raise NoAnswer(fault, last=last, tries=tries, lost=0)


async def _try(world: World, ask: Ask, attempt: Attempt, intent: str | None) -> UpstreamSocket:
    began_s = world.clock.monotonic()
    opened = False
    try:
        socket = await _open(world, ask, attempt, intent)
        opened = True
    except Fault as fault:
        _note(world, attempt, fault, began_s)
        raise
    finally:
        if not opened:
            world.bounds.leave(attempt.channel.id)
    _note(world, attempt, None, began_s)
    return socket


async def _open(world: World, ask: Ask, attempt: Attempt, intent: str | None) -> UpstreamSocket:
    request = _request(world, ask, attempt, intent)
    try:
        opened = await open_socket(request)
    except UpstreamError as error:
        # Nothing is generated before the session has begun, so another channel may be tried in any case.
        raise faults.VendorUnreachable("The vendor's realtime endpoint could not be reached") from error
    if isinstance(opened, Denied):
        raise attempt.answers.read_refusal(VendorReply(status=opened.status, headers=opened.headers, body=opened.body))
    return opened


def _request(world: World, ask: Ask, attempt: Attempt, intent: str | None) -> SocketRequest:
    channel = attempt.channel
    query = {"model": attempt.vendor_model} | ({"intent": intent} if intent else {})
    refused = channel.simulated and ordered(ask) is Outcome.CONNECT_REFUSED
    base_url = channel.refused_url if refused else channel.base_url
    return SocketRequest(
        url=f"{base_url}{attempt.answers.paths[OPERATION]}?{urlencode(query)}",
        headers=(*_headers(world, ask, attempt).items(), *credentials(world, channel, attempt.vendor)),
        connect_timeout_s=world.settings.connect_timeout_s,
        upgrade_timeout_s=world.settings.first_byte_timeout_s,
    )


def _headers(world: World, ask: Ask, attempt: Attempt) -> dict[str, str]:
    # Which events are spoken depends on the caller's, whatever the vendor.
    headers = {**dict(attempt.answers.headers), **ask.headers}
    headers.update(open_headers(world.vault, attempt.channel))
    if attempt.channel.simulated and ask.request.directive is not None:
        headers["halley-test"] = ask.request.directive
    return headers


def _note(world: World, attempt: Attempt, fault: Fault | None, began_s: float) -> None:
    channel, now_s = attempt.channel, world.clock.monotonic()
    world.metrics.vendor_calls.labels(channel.vendor, OPERATION, "ok" if fault is None else fault.code).inc()
    world.metrics.vendor_latency.labels(channel.vendor, OPERATION).observe(now_s - began_s)
    if fault is None:
        note_health(world, channel, OPERATION, well=True)
    else:
        note_fault(world, channel, OPERATION, fault)
    if isinstance(fault, faults.VendorBusy) and fault.retry_after_s and not channel.simulated:
        world.health.rest(channel.id, OPERATION, now_s, fault.retry_after_s)
