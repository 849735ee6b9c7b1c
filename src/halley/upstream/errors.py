"""What can go wrong on the way to another server, as one small tree.

UpstreamError
├── NotSent            no byte of the request was written: another channel may be tried
├── OutcomeUnknown     some of it may have been read over there: never send it again by yourself
│   ├── ReplyTooLarge  an answer came, larger than asked for
│   ├── ReplyPacked     an answer came, compressed though that was not asked for
│   └── Stalled        an answer began, then nothing came for too long
└── Refused            we do not go there (see `guard`); nothing was written either

Whoever is in doubt says `OutcomeUnknown`: a job paid twice is worse than a hold that waits for an operator.
"""

from halley.upstream.headers import Pairs


class UpstreamError(Exception):
    """A request that got no usable reply. `message` holds no path, query, header or body: they may be secret."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotSent(UpstreamError):
    """No name, no connection, no TLS: the other side cannot have seen the request."""


class OutcomeUnknown(UpstreamError):
    """A time-out, a reset, an end or a broken reply after a part of the request may have been written.

    `status` is there if the head of the reply had come.
    """

    headers: Pairs = ()
    """Those of the head, where a whole reply was awaited."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ReplyTooLarge(OutcomeUnknown):
    """The reply is larger than the request allows, also after decompression."""


class ReplyPacked(OutcomeUnknown):
    """The reply is compressed though the request asked for none of it."""


class Stalled(OutcomeUnknown):
    """The head of the reply had come, then no piece of its body for longer than the request allows."""


class Refused(UpstreamError):
    """The URL is malformed or leads to a private or local address."""
