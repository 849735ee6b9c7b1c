"""A realtime session's way to a vendor: one channel after another until one opens its websocket."""

from urllib.parse import urlencode

import msgspec

from halley.accounts import Caller
from halley.kernel import faults
from halley.kernel.faults import Fault
from halley.kernel.operation import Kind, Operation
from halley.pipeline.admit import allow_model
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.send import NoAnswer, Tries, let_in, note_failure, ordered, refusal, successes_of
from halley.pipeline.trouble import lost
from halley.pipeline.vendor import credentials, own_headers
from halley.upstream.errors import UpstreamError
from halley.upstream.websocket import Denied, SocketRequest, UpstreamSocket, open_socket
from halley.vendors.simulate.directive import Outcome
from halley.world import World

OPERATION = Operation.REALTIME
TRANSCRIPTION = "transcription"
"""The intent of a session that only writes down what it hears."""


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that has opened its websocket. It counts as a call in flight until the session ends."""

    attempt: Attempt
    socket: UpstreamSocket
    tries: int


def first_transcriber(world: World, caller: Caller) -> str | None:
    """Give the model of a transcription session that names none.

    It is the first that the catalogue lists for realtime and that the key may use; where it may use none, the first.
    """
    listed = [
        model
        for model, rows in world.catalogue.models.items()
        if any(row.kind is Kind.TRANSCRIPTION and OPERATION in row.operations for row in rows.values())
    ]
    return next((model for model in listed if _may_use(caller, model)), listed[0] if listed else None)


async def connect(world: World, ask: Ask, attempts: list[Attempt], intent: str | None) -> Connected:
    """Try the channels in turn. Raises `NoAnswer`; nothing was used then."""
    tries = Tries()
    for attempt in attempts:
        if tries.made >= world.settings.attempts_max:
            break
        if not let_in(world, ask, attempt, tries):
            continue
        try:
            socket = await _try(world, ask, attempt, intent)
        except faults.VendorFault as error:
            tries.fail(error)
        except Fault as error:
            raise NoAnswer(error, last=attempt, tries=tries.made, lost=0) from error
        else:
            return Connected(attempt=attempt, socket=socket, tries=tries.made)
    raise tries.no_answer(ask.named)


def _may_use(caller: Caller, model: str) -> bool:
    try:
        allow_model(caller, model)
    except faults.Forbidden:
        return False
    return True


async def _try(world: World, ask: Ask, attempt: Attempt, intent: str | None) -> UpstreamSocket:
    began_s = world.clock.monotonic()
    opened = False
    try:
        socket = await _open(world, ask, attempt, intent)
        opened = True
    except Fault as fault:
        note_failure(world, ask, attempt, fault, began_s)
        raise
    finally:
        if not opened:
            world.bounds.leave(attempt.channel.id)
    # Whether the upgrade is worth anything its session shows.
    calls, latency = successes_of(world, attempt)
    calls.inc()
    latency.observe(world.clock.monotonic() - began_s)
    return socket


async def _open(world: World, ask: Ask, attempt: Attempt, intent: str | None) -> UpstreamSocket:
    request = _request(world, ask, attempt, intent)
    try:
        opened = await open_socket(request)
    except UpstreamError as error:
        # Nothing is generated before the session has begun, so another channel may be tried in any case.
        raise lost(faults.VendorUnreachable("The vendor's realtime endpoint could not be reached"), error) from error
    if isinstance(opened, Denied):
        raise refusal(world, attempt, opened.status, opened.headers, opened.body)
    return opened


def _request(world: World, ask: Ask, attempt: Attempt, intent: str | None) -> SocketRequest:
    channel = attempt.channel
    # A vendor refuses a model beside this intent: what writes down the sound is named in the session's settings.
    query = {} if intent == TRANSCRIPTION else {"model": attempt.vendor_model}
    query |= {"intent": intent} if intent else {}
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
    headers.update(own_headers(world, attempt.channel))
    if attempt.channel.simulated and ask.request.directive is not None:
        headers["halley-test"] = ask.request.directive
    return headers
