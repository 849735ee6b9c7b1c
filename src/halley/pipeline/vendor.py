"""One call to a vendor: where it goes, with whose credentials, within which time; network errors become faults here."""

from urllib.parse import urlsplit

import msgspec
import structlog

from halley.kernel import codec, faults
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import Fault
from halley.pipeline.trouble import (
    NOTHING_MORE,
    About,
    lost,
    read_refusal,
    tell_back,
    tell_failure,
    tell_rest,
)
from halley.routing import Channel
from halley.routing.headers import Header, credential_context, open_headers
from halley.upstream.address import parse_target
from halley.upstream.client import UpstreamRequest
from halley.upstream.errors import NotSent, Refused, UpstreamError
from halley.vendors.contract import Vendor, VendorCall, VendorReply, tasks_of
from halley.world import World
from halley.world.figures import Count, Time

_log = structlog.get_logger("halley.pipeline")
_SUCCESS, _NOT_FOUND = 2, 404
SUBMIT = "submit"
POLL = "poll"
REPLY_BYTES_MAX = 32 * 1024 * 1024
"""Replies of task vendors are small, but some carry a picture as base64."""


class _Way(msgspec.Struct, frozen=True):
    """What is the same in all calls of one kind to one channel. Not to be logged: it holds credentials."""

    vendor: Vendor
    headers: tuple[Header, ...]
    json_headers: tuple[Header, ...]
    """The same for a call that carries JSON."""
    answered: Count
    """Calls that ended well."""
    latency: Time


async def call_vendor(
    world: World,
    channel: Channel,
    call: VendorCall,
    *,
    operation: str,
    base_url: str | None = None,
    about: About = NOTHING_MORE,
) -> VendorReply:
    """Send, and give a 2xx reply (to a poll also a 404). `about` tells whose call it is, where it fails.

    Raises the fault of any other reply, `VendorUnreachable` when nothing was sent, and `OutcomeUnknown` when the
    vendor may have acted although no readable reply came.
    """
    try:
        way = _way(world, channel, operation)
    except faults.VendorRejectsUs as fault:
        _note(world, channel, operation, fault, about)
        raise
    request = _request(world, way, call, base_url or channel.base_url)
    if world.failpoints.active:
        world.failpoints.hit(f"vendor.before.{operation}")
    try:
        reply = await world.upstream.send(request)
    except UpstreamError as error:
        fault = _network_fault(error)
        _note(world, channel, operation, fault, about)
        raise fault from error
    if world.failpoints.active:
        world.failpoints.hit(f"vendor.after.{operation}")
    way.latency.observe(reply.elapsed_us / MICROSECONDS)
    answer = VendorReply(status=reply.status, headers=reply.headers, body=reply.body)
    if reply.status // 100 != _SUCCESS and not (operation == POLL and reply.status == _NOT_FOUND):
        fault = read_refusal(world, channel, tasks_of(way.vendor).read_refusal, answer)
        _note(world, channel, operation, fault, about)
        raise fault
    way.answered.inc()
    if operation != SUBMIT:
        # Of an order taken the reply is read first, see `send`.
        note_well(world, channel, operation)
    return answer


def may_try(world: World, channel: Channel, operation: str) -> bool:
    """Whether the channel's health lets this call through. A simulator is never ill: its failures were ordered."""
    return channel.simulated or world.health.may_try(channel.id, operation, world.clock.monotonic())


def note_well(world: World, channel: Channel, operation: str) -> None:
    """Tell the channel's health that a call went well."""
    if not channel.simulated and world.health.succeeded(channel.id, operation):
        tell_back(world, channel, operation)


def note_fault(world: World, channel: Channel, operation: str, fault: Fault, about: About = NOTHING_MORE) -> None:
    """Tell the operator and the channel's health of a fault.

    A caller's shows the channel to be well, a model that it does not have nothing. A success that cannot be read is
    none.
    """
    if channel.simulated:
        return
    tell_failure(world, channel, operation, fault, about)
    now_s = world.clock.monotonic()
    if isinstance(fault, faults.ModelNotOffered):
        world.health.not_told(channel.id, operation, now_s)
    elif isinstance(fault, faults.VendorFault):
        tell_rest(world, channel, operation, world.health.failed(channel.id, operation, now_s), fault)
    else:
        note_well(world, channel, operation)


def note_rest(world: World, channel: Channel, operation: str, fault: Fault) -> None:
    """Leave a channel alone for as long as its vendor asked."""
    if fault.retry_after_s and not channel.simulated:
        rest_s = world.health.rest(channel.id, operation, world.clock.monotonic(), fault.retry_after_s)
        tell_rest(world, channel, operation, rest_s, fault)


def origin_of(url: str) -> str:
    """Give scheme, host and port of a URL in the guard's one spelling, in which `http://A` is `http://a:80`.

    A URL that the guard would refuse is left as it is spelled.
    """
    try:
        return parse_target(url).origin
    except Refused:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}"


def _request(world: World, way: _Way, call: VendorCall, base_url: str) -> UpstreamRequest:
    settings, body, headers = world.settings, call.body, way.headers
    if call.json is not None:
        body, headers = codec.encode(call.json), way.json_headers
    return UpstreamRequest(
        method=call.method,
        # Below our own address for it no other site is ever asked.
        url=base_url + call.url if call.url.startswith("/") else _checked(base_url, call.url),
        headers=(*call.headers, *headers) if call.headers else headers,
        body=body,
        connect_timeout_s=settings.connect_timeout_s,
        answer_timeout_s=settings.answer_timeout_s,
        reply_bytes_max=REPLY_BYTES_MAX,
    )


def _checked(base_url: str, address: str) -> str:
    url = address if "://" in address else base_url + address
    if not same_site(base_url, url):
        message = "The vendor named an address outside its own site; our credentials are not sent there"
        raise faults.VendorBroken(message)
    return url


def _way(world: World, channel: Channel, operation: str) -> _Way:
    case = ("vendor", channel.id, operation)
    way: _Way | None = world.config.routes.get(case)
    if way is not None and world.config.by_id.get(channel.id) is channel:
        return way
    vendor, metrics = world.vendors[channel.vendor], world.metrics
    headers = (*own_headers(world, channel), *credentials(world, channel, vendor))
    way = _Way(
        vendor,
        headers,
        (*headers, ("content-type", "application/json")),
        metrics.vendor_calls.labels(channel.name, channel.vendor, operation, "ok"),
        metrics.vendor_latency.labels(channel.name, channel.vendor, operation),
    )
    if world.config.by_id.get(channel.id) is channel:
        # A task may still be on its way with a channel of before the last reload.
        world.config.remember(case, way)
    return way


def credentials(world: World, channel: Channel, vendor: Vendor) -> tuple[tuple[str, str], ...]:
    """Give the header that holds the operator's key for this channel."""
    opened = world.config.opened
    known = opened.get(channel.id)
    if known is None:
        known = _credentials(world, channel, vendor)
        if world.config.by_id.get(channel.id) is channel:
            # A task may still be on its way with a channel of before the last reload.
            opened[channel.id] = known
    return known


def own_headers(world: World, channel: Channel) -> tuple[Header, ...]:
    """Give the operator's further headers for this channel. Not to be logged."""
    try:
        return open_headers(world.vault, channel)
    except ValueError as error:
        raise _locked(channel, error) from error


def _credentials(world: World, channel: Channel, vendor: Vendor) -> tuple[tuple[str, str], ...]:
    if channel.credential is not None:
        try:
            secret = world.vault.open(channel.credential, context=credential_context(channel.id)).decode()
        except ValueError as error:
            raise _locked(channel, error) from error
        return ((vendor.auth_header, vendor.auth_prefix + secret),)
    return ((vendor.auth_header, vendor.auth_prefix + "simulated"),) if channel.simulated else ()


def _locked(channel: Channel, error: ValueError) -> Fault:
    """Say that what another process sealed does not open here: a fault of this channel, others may be asked."""
    remedy = "give all processes the same `HALLEY_SECRET`, then `halley reload`"
    _log.error("credentials_locked", channel=channel.name, error=str(error), remedy=remedy)
    return faults.VendorRejectsUs("The gateway cannot open its own credentials for the vendor; its log says what to do")


def same_site(base_url: str, url: str) -> bool:
    """Whether a URL that a vendor gave may receive the operator's credentials.

    The same origin may, and hosts beside the channel's own: `api.us1.example.com` for `api.example.com`.
    """
    if url.startswith(f"{base_url.rstrip('/')}/"):
        # What nearly all are, told without taking them apart.
        return True
    if origin_of(base_url) == origin_of(url):
        return True
    base, target = urlsplit(base_url), urlsplit(url)
    parent = (base.hostname or "").partition(".")[2]
    named = "." in parent and not parent.rpartition(".")[2].isdecimal()
    return named and target.scheme == base.scheme and (target.hostname or "").endswith(f".{parent}")


def _network_fault(error: UpstreamError) -> Fault:
    if isinstance(error, NotSent):
        return lost(faults.VendorUnreachable("The vendor could not be reached; nothing was sent"), error)
    message = "The vendor gave no readable answer; whether it took the order is not known"
    return lost(faults.OutcomeUnknown(message), error)


def _note(world: World, channel: Channel, operation: str, fault: Fault, about: About) -> None:
    world.metrics.vendor_calls.labels(channel.name, channel.vendor, operation, fault.code).inc()
    note_fault(world, channel, operation, fault, about)
