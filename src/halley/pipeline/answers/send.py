"""send: one channel after another until one answers; network errors and error replies become faults here."""

import math
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from halley.kernel import faults
from halley.kernel.body import FormBody
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import Fault
from halley.kernel.money import Nanos
from halley.kernel.operation import Operation
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.flow import Flow, Whole, network_fault, open_flow, whole_answer
from halley.pipeline.answers.translate import JSON_TYPE, write_body
from halley.pipeline.request import CREDENTIALS
from halley.pipeline.send import all_rest
from halley.pipeline.trouble import read_refusal, tell_back, tell_failure, tell_rest
from halley.pipeline.vendor import credentials, own_headers
from halley.routing import Rest
from halley.upstream.client import UpstreamRequest, UpstreamStream
from halley.upstream.errors import UpstreamError
from halley.vendors.contract import VendorReply
from halley.vendors.simulate.directive import Outcome, find_in_prompt, parse_header
from halley.wire.contract import AnswerFacts
from halley.world import World
from halley.world.figures import Count, Time

REPLY_BYTES_MAX = 128 * 1024 * 1024
"""Ten pictures as base64, or an hour of speech."""
ERROR_BYTES_MAX = 1024 * 1024
SMALL_BYTES_MAX = 64 * 1024
_SUCCESS = 2
_NEVER_FORWARDED = CREDENTIALS | {"content-type", "content-length", "accept-encoding", "host"}


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A channel answers: with a whole reply, or with a stream whose first piece has come."""

    attempt: Attempt
    answer: Whole | Flow
    tries: int
    exposure: Nanos
    """What vendors whose replies were lost may bill for."""
    first_byte_us: int


class NoAnswer(Exception):
    """No channel answered; `fault` is for the caller."""

    def __init__(self, fault: Fault, *, last: Attempt | None, tries: int, lost: int) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.last = last
        self.tries = tries
        self.lost = lost
        """How many replies were lost: these vendors may have worked for it."""


class Tries(msgspec.Struct, kw_only=True):
    """How far the asking has come, for whoever must book it when it is broken off."""

    made: int = 0
    lost: int = 0
    last: Attempt | None = None
    asking: bool = False
    """Whether one was let in, and may work for it whoever leaves."""
    fault: Fault | None = None
    """Why the last one did not answer, or had no room, as a caller is told."""
    rests: tuple[Rest, ...] = ()
    """Of those that were passed over for it."""

    def begin(self, attempt: Attempt) -> None:
        """One is asked now."""
        self.made, self.last, self.asking = self.made + 1, attempt, True

    def fail(self, fault: Fault) -> None:
        """It did not answer. What was lost everywhere is safe to ask again: nothing was charged."""
        lost = isinstance(fault, faults.OutcomeUnknown)
        self.asking = False
        self.lost += lost
        self.fault = faults.VendorBroken(fault.message) if lost else fault

    def no_answer(self, named: str) -> NoAnswer:
        """Nobody else is asked for the model of this name."""
        return NoAnswer(self.fault or all_rest(named, self.rests), last=self.last, tries=self.made, lost=self.lost)


async def send(
    world: World, ask: Ask, attempts: list[Attempt], facts: AnswerFacts, price: Nanos, tries: Tries
) -> Answered:
    """Ask the channels in turn; the first may have been let in already. Raises `NoAnswer`.

    `price` is what a lost reply may have cost.

    An answer may be asked for again elsewhere when a reply was lost: nobody has seen it, and nothing is left behind.
    """
    for attempt in attempts:
        if not tries.asking:
            if tries.made >= world.settings.attempts_max or not isinstance(tries.fault, faults.VendorFault | None):
                break
            if not let_in(world, ask, attempt, tries):
                continue
        try:
            answer, first_byte_us = await _try(world, ask, attempt, facts)
        except Fault as error:
            tries.fail(error)
        else:
            exposure = Nanos(tries.lost * price)
            return Answered(
                attempt=attempt, answer=answer, tries=tries.made, exposure=exposure, first_byte_us=first_byte_us
            )
    raise tries.no_answer(ask.named)


def let_in(world: World, ask: Ask, attempt: Attempt, tries: Tries) -> bool:
    """Begin to ask a channel, if it has room and does not rest. Whoever is let in has to leave its bounds."""
    channel, now = attempt.channel, world.clock.monotonic()
    if not world.bounds.enter(channel, now):
        wait_s = max(1, math.ceil(world.bounds.wait_s(channel, now)))
        busy = f"All channels for `{ask.named}` are busy; try again soon"
        tries.fault = faults.VendorBusy(busy, retry_after_s=wait_s)
        return False
    case = channel.id, attempt.operation, now, attempt.vendor_model
    # A simulator is never ill: its failures were ordered.
    if channel.simulated or world.health.may_try(*case):
        tries.begin(attempt)
        return True
    world.bounds.give_back(channel, now)
    tries.rests += tuple(filter(None, (world.health.left(*case),)))
    return False


async def _try(world: World, ask: Ask, attempt: Attempt, facts: AnswerFacts) -> tuple[Whole | Flow, int]:
    """Ask one channel. Its place among those in flight is given back, or belongs to the flow that is returned."""
    channel = attempt.channel
    began_s = world.clock.monotonic()
    kept = False
    try:
        stream = await _open(world, ask, attempt)
        flows = ask.stream or ask.operation is Operation.SPEECH
        if flows and not stream.headers.get("content-type", "").lower().startswith(JSON_TYPE):
            flow = open_flow(world, ask, attempt, stream, facts)
            await flow.begin(began_s)
            kept, answer, first_byte_us = True, flow, flow.first_byte_us
        else:
            first_byte_us = stream.head_us
            answer = await whole_answer(ask, attempt, stream, facts)
    except Fault as fault:
        note_failure(world, ask, attempt, fault, began_s)
        raise
    finally:
        if not kept:
            world.bounds.leave(channel.id)
    note_success(world, attempt, answer, first_byte_us)
    return answer, first_byte_us


async def fetch(world: World, ask: Ask, attempt: Attempt) -> bytes:
    """Ask one channel for something small and free; the reply as it is. Raises its fault."""
    if not world.bounds.enter(attempt.channel, world.clock.monotonic()):
        raise faults.VendorBusy("The channel is busy")
    try:
        stream = await _open(world, ask, attempt)
        async with stream:
            data = await stream.read_all()
    except UpstreamError as error:
        raise network_fault(error) from error
    finally:
        world.bounds.leave(attempt.channel.id)
    if len(data) > SMALL_BYTES_MAX:
        raise faults.OutcomeUnknown("The vendor's answer is too large")
    return data


async def _open(world: World, ask: Ask, attempt: Attempt) -> UpstreamStream:
    """Send, and give a reply of status 2xx whose head has come. Raises the fault of any other."""
    request = _request(world, ask, attempt)
    world.failpoints.hit("vendor.before.answer")
    try:
        stream = await world.upstream.open(request)
    except UpstreamError as error:
        raise network_fault(error) from error
    world.failpoints.hit("vendor.after.answer")
    if stream.status // 100 == _SUCCESS:
        return await _no_page(stream)
    async with stream:
        try:
            body = await stream.read_all()
        except UpstreamError:
            body = b""  # the status says enough
    raise refusal(world, attempt, stream.status, stream.headers, body)


async def _no_page(stream: UpstreamStream) -> UpstreamStream:
    """Refuse a web page with status 200, as proxies and expired sites give it: no vendor answers with one."""
    if is_page(stream.headers.get("content-type", "")):
        await stream.aclose()
        raise web_page()
    return stream


def refusal(world: World, attempt: Attempt, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Read a reply of a status other than 2xx."""
    reply = VendorReply(status=status, headers=dict(headers), body=body[:ERROR_BYTES_MAX])
    return read_refusal(world, attempt.channel, attempt.answers.read_refusal, reply)


def is_page(content_type: str) -> bool:
    """Whether a reply is a web page."""
    return content_type != JSON_TYPE and content_type.lower().startswith("text/html")


def web_page() -> Fault:
    """Say that a reply is one."""
    return faults.OutcomeUnknown("The vendor's address answered with a web page")


def _request(world: World, ask: Ask, attempt: Attempt) -> UpstreamRequest:
    way = way_of(world, ask, attempt)
    if isinstance(ask.body, FormBody):
        sent = write_body(ask, attempt, boundary=f"halley-{world.ids.new()}")
    else:
        sent = write_body(ask, attempt)
    if not way.forwarded.isdisjoint(ask.headers) or attempt.channel.simulated or sent.content_type != JSON_TYPE:
        url = _base(ask, attempt) + _path(ask, attempt)
        way = Way(url, _headers(world, ask, attempt, sent.content_type), way.forwarded)
    return request_of(world, ask, way, sent.data)


def request_of(world: World, ask: Ask, way: "Way", body: bytes | None) -> UpstreamRequest:
    """Give the request that goes this way."""
    settings = world.settings
    return UpstreamRequest(
        method="POST",
        url=way.url,
        headers=way.headers,
        body=body,
        connect_timeout_s=settings.connect_timeout_s,
        answer_timeout_s=settings.total_timeout_s,
        head_timeout_s=settings.first_byte_timeout_s if ask.stream else settings.total_timeout_s,
        stall_timeout_s=settings.stall_timeout_s,
        reply_bytes_max=REPLY_BYTES_MAX,
    )


class Way(msgspec.Struct, frozen=True):
    """What is the same in all calls of one kind to one channel whose callers' clients say nothing special."""

    url: str
    headers: tuple[tuple[str, str], ...]
    forwarded: frozenset[str]
    """Headers of a caller that are passed on."""


def way_of(world: World, ask: Ask, attempt: Attempt) -> Way:
    """Give the way of a plain JSON call, worked out once."""
    case = (attempt.channel.id, attempt.operation, attempt.vendor_model, ask.operation, ask.stream)
    way: Way | None = world.config.routes.get(case)
    if way is None:
        plain = msgspec.structs.replace(ask, headers={})
        way = Way(
            attempt.channel.base_url + _path(ask, attempt),
            _headers(world, plain, attempt, JSON_TYPE),
            _forwarded(ask, attempt),
        )
        world.config.remember(case, way)
    return way


def _path(ask: Ask, attempt: Attempt) -> str:
    path = attempt.answers.paths[attempt.operation]
    if "{" not in path:
        return path
    verb = "streamGenerateContent?alt=sse" if ask.stream else "generateContent"
    return path.replace("{model}", quote(attempt.vendor_model, safe="")).replace("{verb}", verb)


def _headers(world: World, ask: Ask, attempt: Attempt, content_type: str) -> tuple[tuple[str, str], ...]:
    """Those of the vendor, those of the caller that it understands, the operator's own, and a test's order."""
    known = _forwarded(ask, attempt)
    headers = dict(attempt.answers.headers)
    headers |= {name: value for name, value in ask.headers.items() if name in known}
    headers.update(own_headers(world, attempt.channel))
    if attempt.channel.simulated and ask.request.directive is not None:
        headers["halley-test"] = ask.request.directive
    headers["accept"] = "text/event-stream" if ask.stream else "*/*"
    headers["content-type"] = content_type
    return (*headers.items(), *credentials(world, attempt.channel, attempt.vendor))


def _forwarded(ask: Ask, attempt: Attempt) -> frozenset[str]:
    same = attempt.operation is ask.operation
    return attempt.answers.forward_headers - _NEVER_FORWARDED if same else frozenset()


def _base(ask: Ask, attempt: Attempt) -> str:
    """The address to call: of a simulator, one that refuses connects when the test ordered that."""
    channel = attempt.channel
    if channel.simulated and ordered(ask) is Outcome.CONNECT_REFUSED:
        return channel.refused_url
    return channel.base_url


def ordered(ask: Ask) -> Outcome | None:
    """What ending a test ordered, by header or in the text. Raises `BadRequest`."""
    try:
        if ask.request.directive is not None:
            return parse_header(ask.request.directive).outcome
        marker = _marker(ask)
        found = find_in_prompt(marker) if marker else None
    except ValueError as error:
        raise faults.BadRequest(str(error), param="Halley-Test") from error
    return found.outcome if found else None


def _marker(ask: Ask) -> str:
    if isinstance(ask.body, FormBody):
        return ask.body.text("prompt") or ""
    data = ask.sent.data
    at = data.rfind(b"[[halley")
    return data[at : at + 300].decode("utf-8", "replace") if at >= 0 else ""


def note_success(world: World, attempt: Attempt, answer: Whole | Flow, first_byte_us: int) -> None:
    """Remember that a channel answered; whether a stream goes well is known at its end."""
    calls, latency = successes_of(world, attempt)
    calls.inc()
    latency.observe(first_byte_us / MICROSECONDS)
    if isinstance(answer, Flow):
        world.health.began(attempt.channel.id, attempt.operation, attempt.vendor_model)
    else:
        note_well(world, attempt)


def note_well(world: World, attempt: Attempt) -> None:
    """Remember that a channel is well."""
    if world.health.succeeded(attempt.channel.id, attempt.operation, attempt.vendor_model):
        tell_back(world, attempt.channel, attempt.operation)


def successes_of(world: World, attempt: Attempt) -> tuple[Count, Time]:
    """Give where good answers of a channel are counted."""
    channel, operation, metrics = attempt.channel, attempt.operation, world.metrics
    return (
        metrics.vendor_calls.labels(channel.name, channel.vendor, operation, "ok"),
        metrics.vendor_latency.labels(channel.name, channel.vendor, operation),
    )


def note_failure(world: World, ask: Ask, attempt: Attempt, fault: Fault, began_s: float) -> None:
    """Remember that a channel did not answer, and how long it is to rest."""
    channel, operation = attempt.channel, attempt.operation
    world.metrics.vendor_calls.labels(channel.name, channel.vendor, operation, fault.code).inc()
    elapsed_s = world.clock.monotonic() - began_s
    world.metrics.vendor_latency.labels(channel.name, channel.vendor, operation).observe(elapsed_s)
    note_fault(world, ask, attempt, fault)


def note_fault(world: World, ask: Ask, attempt: Attempt, fault: Fault) -> None:
    """Tell of a fault; remember what it says of the channel's health, and how long its vendor is to be left alone.

    Limits are those of the model that was asked for, and so is a rest that the vendor asks for.
    """
    channel, operation, model = attempt.channel, attempt.operation, attempt.vendor_model
    health, now_s = world.health, world.clock.monotonic()
    if channel.simulated:
        return
    tell_failure(world, channel, operation, fault, {"request_id": ask.request.id, "model": model})
    match fault:
        case faults.ModelNotOffered():
            health.not_told(channel.id, operation, now_s)
        case faults.VendorBusy():
            health.not_told(channel.id, operation, now_s)
            tell_rest(world, channel, operation, health.failed(channel.id, operation, now_s, model), fault, model)
        case faults.VendorFault():
            tell_rest(world, channel, operation, health.failed(channel.id, operation, now_s), fault)
        case _:
            note_well(world, attempt)
    if isinstance(fault, faults.VendorFault) and fault.retry_after_s:
        rest_s = health.rest(channel.id, operation, now_s, fault.retry_after_s, model)
        tell_rest(world, channel, operation, rest_s, fault, model)
