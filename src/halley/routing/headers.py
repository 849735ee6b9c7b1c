"""A channel's extra headers at rest: sealed whole, because their values may be credentials."""

from collections.abc import Sequence

import msgspec

from halley.kernel import codec
from halley.kernel.vault import Vault
from halley.routing.model import Channel

Header = tuple[str, str]

_headers = msgspec.json.Decoder(tuple[Header, ...])


def seal_headers(vault: Vault, channel_id: str, headers: Sequence[Header]) -> bytes | None:
    """Seal them for a channel; None for none."""
    return vault.seal(codec.encode(headers), context=_context(channel_id)) if headers else None


def open_headers(vault: Vault, channel: Channel) -> tuple[Header, ...]:
    """Give the headers to send to this channel's vendor. Not to be logged."""
    if channel.headers is None:
        return ()
    return _headers.decode(vault.open(channel.headers, context=_context(channel.id)))


def _context(channel_id: str) -> str:
    return f"channel:{channel_id}:headers"
