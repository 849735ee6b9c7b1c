"""Where a URL that somebody else chose leads, and whether we may go there. Pure: no look-up, no connection."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from yarl import URL

from halley.upstream.errors import Refused

URL_LENGTH_MAX = 2_083
PORT_MAX = 65_535
_WELL_KNOWN_PORT_MAX = 1_023
_WEB_PORTS = frozenset({80, 443})
_DEFAULT_PORT = {"http": 80, "https": 443}
_HOST_LENGTH_MAX = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")

_CLOSED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; some clouds keep their metadata service here
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent: a public number that means the own machine's host
        "169.254.0.0/16",  # link-local, and most clouds' metadata service
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_OPEN_V6 = ipaddress.IPv6Network("2000::/3")
"""All of global unicast. Whatever lies outside (loopback, ULA, link-local, mapped and NAT64 IPv4, …) is closed."""
_CLOSED_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",  # documentation
    )
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class FetchPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What `HALLEY_FETCH_ALLOW` permits though private: `host`, `host:port`, `scheme://host[:port]`, IP or CIDR."""

    allow: tuple[str, ...] = ()


class Target(NamedTuple):
    """A URL that passed the syntax check. `url` is the very object that is connected to."""

    url: URL
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """Spell it as `scheme://host:port`, the port always there."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"


class _Permit(NamedTuple):
    host: str
    scheme: str | None
    port: int | None


class Policy:
    """A `FetchPolicy`, read once. Raises `ValueError` with the entry that is wrong."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._networks: list[Network] = []
        self._permits: list[_Permit] = []
        for entry in policy.allow:
            network = _network(entry.strip())
            if network is not None:
                self._networks.append(network)
            else:
                self._permits.append(_permit(entry.strip()))

    def permits(self, target: Target) -> bool:
        """Whether the operator named this host or origin, so that it may be anywhere and on any port."""
        return any(
            permit.host == target.host and permit.scheme in (None, target.scheme) and permit.port in (None, target.port)
            for permit in self._permits
        ) or self.permits_address(target.host)

    def reachable(self, target: Target, found: Sequence[str]) -> list[str]:
        """Keep those of a host's addresses that we may go to."""
        return list(found) if self.permits(target) else [text for text in found if self._may_reach(text)]

    def permits_address(self, address: str) -> bool:
        """Whether the address lies in a network that the operator named."""
        parsed = parse_address(address)
        return parsed is not None and any(
            parsed in network for network in self._networks if network.version == parsed.version
        )

    def _may_reach(self, text: str) -> bool:
        address = parse_address(text)
        return address is not None and (is_public(address) or self.permits_address(text))


def parse_address(text: str) -> Address | None:
    """Read an IP address in its one canonical spelling, or with a zone; None for everything else."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether the address belongs to the open internet. Unlike `is_global` this does not change with Python."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    if address.scope_id is not None:
        return False
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


def parse_target(text: str, base: URL | None = None) -> Target:
    """Check the syntax of a URL, or of a reference relative to `base`. Raises `Refused`."""
    _check_text(text)
    try:
        # An ASCII URL is taken to the letter, for re-quoting would break the signatures of presigned links.
        url = URL(text, encoded=text.isascii())
        url = (url if base is None else base.join(url)).with_fragment(None)
        port = url.port
    except ValueError as error:
        raise Refused("the URL is malformed") from error
    if url.scheme not in _DEFAULT_PORT:
        raise Refused("the URL must begin with `https://` or `http://`")
    if "@" in url.raw_authority:
        raise Refused("the URL must not hold a user name or password")
    if not port or url.raw_authority.endswith(":"):
        raise Refused("the URL's port must be between 1 and 65535")
    return Target(url, url.scheme, _checked_host(url), port)


def check_port(target: Target) -> None:
    """Refuse the ports of mail, databases' elder cousins and other services that are not the web's."""
    if target.port <= _WELL_KNOWN_PORT_MAX and target.port not in _WEB_PORTS:
        raise Refused(f"port {target.port} is not a web server's: use 80, 443 or one above {_WELL_KNOWN_PORT_MAX}")


def check_literal(target: Target) -> None:
    """Refuse a private address and the names of the own machine, as far as this shows without a look-up."""
    address = parse_address(target.host)
    local_name = target.host == "localhost" or target.host.endswith(".localhost")
    if local_name or (address is not None and not is_public(address)):
        raise private()


def private() -> Refused:
    """Say it without the address: what a name of the inner network resolves to is nobody's business."""
    return Refused(
        "the URL leads to a private, local or reserved address; the operator can permit it with `HALLEY_FETCH_ALLOW`"
    )


def _check_text(text: str) -> None:
    if len(text) > URL_LENGTH_MAX:
        raise Refused(f"the URL is longer than {URL_LENGTH_MAX} characters")
    # Browsers drop tabs and newlines and read `\` as `/`; others do not. Who sees which host must not be a question.
    if "\\" in text or not text.isprintable() or any(character.isspace() for character in text):
        raise Refused("the URL holds a space, a backslash or a control character: percent-encode it")


def _checked_host(url: URL) -> str:
    host = (url.raw_host or "").lower()
    if not host:
        raise Refused("the URL names no host")
    bracketed = "[" in url.raw_authority
    address = parse_address(host)
    if address is not None and (address.version == 6) == bracketed and "%" not in host:  # noqa: PLR2004  the version
        return host
    if bracketed or not _is_name(host):
        message = (
            "the URL's host is oddly spelled: use a plain name, or an IP address as `192.0.2.1` or `[2001:db8::1]`"
        )
        raise Refused(message)
    return host


def _is_name(host: str) -> bool:
    labels = host.split(".")
    # A name whose last label is a number is an IPv4 address to some resolvers: `127.1`, `0x7f.1`, `2130706433`.
    last_is_number = labels[-1].isdigit() or re.fullmatch(r"0x[0-9a-f]*", labels[-1]) is not None
    return len(host) <= _HOST_LENGTH_MAX and not last_is_number and all(map(_LABEL.fullmatch, labels))


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:
        return None


def _permit(entry: str) -> _Permit:
    scheme, has_scheme, _ = entry.partition("://")
    try:
        target = parse_target(entry if has_scheme else f"http://{entry}")
    except Refused as error:
        raise ValueError(
            f"`{entry}` in HALLEY_FETCH_ALLOW is no host, host:port, origin, IP or CIDR: {error.message}"
        ) from error
    if target.url.raw_path_qs != "/":
        raise ValueError(f"`{entry}` in HALLEY_FETCH_ALLOW must not hold a path")
    if has_scheme:
        return _Permit(target.host, scheme.lower(), target.port)
    return _Permit(target.host, None, target.url.explicit_port)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def origins(urls: Iterable[str]) -> frozenset[str]:
    """Spell the origins of URLs as `trusted_origins` wants them."""
    return frozenset(parse_target(url).origin for url in urls)
