"""The ways out of the house: `client` calls vendors, `guard` fetches what others name.

`guard` is imported by its own name, since aiohttp costs memory that an idle gateway does not need.
"""

from halley.upstream.client import (
    FastClient,
    Prepared,
    UpstreamClient,
    UpstreamReply,
    UpstreamRequest,
    UpstreamStream,
    WholeReply,
)
from halley.upstream.errors import NotSent, OutcomeUnknown, Refused, ReplyTooLarge, Stalled, UpstreamError

__all__ = [
    "FastClient",
    "NotSent",
    "OutcomeUnknown",
    "Prepared",
    "Refused",
    "ReplyTooLarge",
    "Stalled",
    "UpstreamClient",
    "UpstreamError",
    "UpstreamReply",
    "UpstreamRequest",
    "UpstreamStream",
    "WholeReply",
]
