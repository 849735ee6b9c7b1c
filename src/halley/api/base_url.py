"""Which address our links begin with, and whether the peer may see what is for the operator only. Pure."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import msgspec

Network = IPv4Network | IPv6Network

_HOST = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII
)
_FORWARDING = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip", "via")


HOSTS_REMEMBERED_MAX = 1_024
HOST_CHARACTERS_REMEMBERED_MAX = 64


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator said of where the gateway is reached."""

    public_url: str | None
    bound_url: str
    trusted_proxies: Sequence[Network]
    by_host: dict[str, str] = {}
    """What is known of the base URL where nothing but `Host` decides it."""


def base_url(address: Address, peer: str | None, headers: Mapping[str, str]) -> str:
    """Give the base URL for links in an answer, without a slash at its end.

    A `Host` that a caller made up must not end up in links that others open: it counts when it is loopback, or when
    a trusted proxy passes it on.
    """
    if address.public_url:
        return address.public_url.rstrip("/")
    forwarded = _forwarded(address, peer, headers)
    if forwarded is not None:
        return forwarded
    host = headers.get("host", "")
    known = address.by_host.get(host)
    if known is None:
        if len(address.by_host) >= HOSTS_REMEMBERED_MAX:
            address.by_host.clear()
        known = f"http://{host}" if _is_loopback_host(host) else address.bound_url.rstrip("/")
        if len(host) <= HOST_CHARACTERS_REMEMBERED_MAX:
            # Whoever has no key may send a long one, and many.
            address.by_host[host] = known
    return known


def is_operator(address: Address, peer: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a request comes from this machine or a trusted address itself, passed on for nobody else."""
    if any(name in headers for name in _FORWARDING):
        return False
    parsed = _parsed(peer)
    return parsed is not None and (parsed.is_loopback or _is_in(parsed, address.trusted_proxies))


def _forwarded(address: Address, peer: str | None, headers: Mapping[str, str]) -> str | None:
    if not address.trusted_proxies:
        return None
    parsed = _parsed(peer)
    if parsed is None or not _is_in(parsed, address.trusted_proxies):
        return None
    # The nearest proxy writes last.
    scheme = headers.get("x-forwarded-proto", "http").rpartition(",")[2].strip().lower()
    host = headers.get("x-forwarded-host", headers.get("host", "")).rpartition(",")[2].strip()
    return f"{scheme}://{host}" if scheme in ("http", "https") and _HOST.fullmatch(host) else None


def _is_loopback_host(host: str) -> bool:
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match["name"].lower()
    parsed = _parsed(name.strip("[]"))
    return name == "localhost" or (parsed is not None and parsed.is_loopback)


def _parsed(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text or "")
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
