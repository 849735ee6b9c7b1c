"""A channel's credential and extra headers at rest: headers are sealed whole, their values may be credentials too."""

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


def credential_context(channel_id: str) -> str:
    """Give the context in which a channel's credential is sealed."""
    return f"channel:{channel_id}"


def opens(vault: Vault, channel: Channel) -> bool:
    """Whether the vault has the secret that a channel's credentials were sealed with."""
    try:
        if channel.credential is not None:
            vault.open(channel.credential, context=credential_context(channel.id))
        open_headers(vault, channel)
    except ValueError:
        return False
    return True


def _context(channel_id: str) -> str:
    return f"channel:{channel_id}:headers"
