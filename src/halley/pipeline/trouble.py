"""What the log tells of vendors that fail: each failure, in the vendor's own words, and channels that rest.

Of the like one line a second. No credential, no query and no text of a caller's is in it.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import structlog

from halley.kernel.faults import Fault, Heard, VendorFault, VendorRejectsUs
from halley.routing import Channel
from halley.routing.headers import open_headers
from halley.upstream.errors import OutcomeUnknown, UpstreamError
from halley.vendors.contract import VendorReply
from halley.wire.refusals import words_of
from halley.wire.words import REMOVED
from halley.world import World

About = Mapping[str, str]
"""Which call it was: `request_id`, `model`, `task`."""
NOTHING_MORE: About = {}
SECRET_LENGTH_MIN = 6
"""A shorter value of a header is a word like another."""
_REDIRECT = 3
_log = structlog.get_logger("halley.vendors")


def read_refusal(world: World, channel: Channel, read: Callable[[VendorReply], Fault], reply: VendorReply) -> Fault:
    """Say what a reply of a status other than 2xx means. `read` is the vendor's; it sees no redirects."""
    if reply.status // 100 == _REDIRECT:
        message = "Nobody answers there: the channel's base URL redirects to another; the operator must mend it"
        fault: Fault = VendorRejectsUs(message)
    else:
        fault = read(reply)
    if isinstance(fault, VendorFault):
        fault.heard = Heard(
            status=reply.status,
            words=words_of(_without_secrets(world, channel, reply.body)),
            redirects_to=_place(reply.headers.get("location")) if reply.status // 100 == _REDIRECT else None,
        )
    return fault


def lost(fault: VendorFault, error: UpstreamError) -> Fault:
    """Keep with a fault what befell the way to the vendor."""
    fault.heard = Heard(status=error.status if isinstance(error, OutcomeUnknown) else None, words=error.message)
    return fault


def tell_failure(world: World, channel: Channel, operation: str, fault: Fault, about: About) -> None:
    """Tell of a vendor that failed. A caller's own mistake he is told himself; a simulator's failure was ordered."""
    if channel.simulated or not isinstance(fault, VendorFault):
        return
    heard = fault.heard or Heard()
    said = {"status": heard.status, "words": heard.words or None, "redirects_to": heard.redirects_to}
    facts = {"code": fault.code, "reason": fault.message, **said}
    _tell(world, "vendor_call_failed", channel, operation, {**about, **facts})


def tell_rest(
    world: World, channel: Channel, operation: str, seconds: float, fault: Fault, model: str | None = None
) -> None:
    """Tell that a channel, or one model of it, begins to rest for so long; nothing if it does not."""
    if seconds:
        facts = {"model": model, "seconds": round(seconds, 1), "code": fault.code}
        _tell(world, "channel_rests", channel, operation, facts)


def tell_back(world: World, channel: Channel, operation: str) -> None:
    """Tell that a channel that was ill, or a model of it, answers again."""
    _tell(world, "channel_back", channel, operation, {})


def _tell(world: World, event: str, channel: Channel, operation: str, facts: Mapping[str, object]) -> None:
    kind = (event, channel.id, operation, str(facts.get("code")))
    left_out = world.told.turn(kind, world.clock.monotonic())
    if left_out is None:
        return
    every = {"channel": channel.name, "vendor": channel.vendor, "operation": str(operation), **facts}
    told = {name: fact for name, fact in every.items() if fact is not None}
    _log.warning(event, **told, **({"left_out": left_out} if left_out else {}))


def _without_secrets(world: World, channel: Channel, body: bytes) -> bytes:
    """What was sent with the call and nobody else may read: vendors say it again."""
    sent = (*world.config.opened.get(channel.id, ()), *open_headers(world.vault, channel))
    for _, value in sent:
        secret = value.rpartition(" ")[2].encode()
        if len(secret) >= SECRET_LENGTH_MIN:
            body = body.replace(secret, REMOVED.encode())
    return body


def _place(location: str | None) -> str:
    """Where a redirect leads, without its path and query, which may be secret."""
    if not location:
        return "nowhere"
    try:
        parts = urlsplit(location)
        host = parts.hostname
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme or 'https'}://{host}" if host else "another path of the same host"
