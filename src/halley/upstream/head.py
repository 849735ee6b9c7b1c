"""The head of a request: where its URL leads, and the bytes to write. Pure: no look-up, no connection.

Nothing that a caller or an operator gave can end a line early: whatever could is refused as `NotSent`, in words that
quote neither URL nor value, since both may be secret.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from halley.upstream.errors import NotSent
from halley.upstream.messages import UpstreamRequest

_T = TypeVar("_T")

WITH_LENGTH = b"%bcontent-length: %d\r\n\r\n"
"""Ends a head that a body follows."""
MEMO_ENTRIES_MAX = 1_024
PORT_MAX = 65_535
_DEFAULT_PORT = {"http": 80, "https": 443}
_URL = re.compile(
    r"(https?)://([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?(/[^?#]*)?(\?[^#]*)?(?:#.*)?",
    # Without ASCII the Kelvin sign would pass for a `k`, and a name would change under our hands.
    re.ASCII | re.IGNORECASE,
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_URL_CHARACTERS = "".join(map(chr, range(0x21, 0x7F)))
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_WITH_BODY = frozenset({"PATCH", "POST", "PUT"})
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of the connection, not of the message: they are written here, and a given one is left out."""


class Origin(NamedTuple):
    """What a connection is made to; two requests of one origin may share it."""

    scheme: str
    host: str
    port: int


class Place(NamedTuple):
    """A URL in the parts that a request needs."""

    origin: Origin
    authority: str
    target: str


class HeadWriter:
    """Writes heads, and remembers URLs and header names that it has checked before."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._names: dict[str, str] = {}

    def place(self, url: str) -> Place:
        """Read a URL. Raises `NotSent`."""
        return self._places.get(url) or _learn(self._places, url, read_url)

    def spell(self, request: UpstreamRequest, place: Place) -> bytes:
        """Spell all of a head but the length of the body and the end. Raises `NotSent`."""
        if request.method not in _METHODS:
            raise NotSent("the request's method is none of HTTP's")
        lines = [f"{request.method} {place.target} HTTP/1.1\r\nhost: {place.authority}\r\n"]
        seen: set[str] = set()
        for name, value in request.headers:
            key = self._names.get(name)
            if key is None:
                key = _learn(self._names, name, _checked_name)
            # A value without any oddity is the rule, and `isprintable` is the quickest way to know.
            if not value.isprintable() and _CONTROL_IN_VALUE.search(value):
                raise NotSent(f"the header `{key or name}` holds a line break or another control character")
            if key:
                seen.add(key)
                lines.append(f"{name}: {value}\r\n")
        accept = "" if "accept" in seen else "accept: */*\r\n"
        agent = "" if "user-agent" in seen else "user-agent: halley\r\n"
        lines.append(f"{accept}accept-encoding: identity\r\n{agent}")
        try:
            return "".join(lines).encode()
        except UnicodeEncodeError as error:
            raise NotSent("a header holds a character that cannot be written") from error


def ended(head: bytes, request: UpstreamRequest) -> bytes:
    """End the head of a request."""
    if request.body is not None:
        return WITH_LENGTH % (head, len(request.body))
    return head + (b"content-length: 0\r\n\r\n" if has_body(request) else b"\r\n")


def has_body(request: UpstreamRequest) -> bool:
    """Whether requests of this method have one, be it empty."""
    return request.method in _WITH_BODY


def read_url(url: str) -> Place:
    """Take a URL apart; a space and what is not ASCII is percent-encoded, all else stays to the letter."""
    match = _URL.fullmatch(url)
    if match is None or _CONTROL.search(url):
        raise _malformed("it must be `http://` or `https://`, a plain host, and no user, password or control character")
    scheme, host, port_text, path, query = match.groups()
    scheme, host = scheme.lower(), host.lower()
    port = int(port_text) if port_text else _DEFAULT_PORT[scheme]
    if not 0 < port <= PORT_MAX:
        raise _malformed(f"its port must be between 1 and {PORT_MAX}")
    authority = host if port == _DEFAULT_PORT[scheme] else f"{host}:{port}"
    try:
        target = quote((path or "/") + (query or ""), safe=_URL_CHARACTERS)
    except UnicodeEncodeError as error:
        raise _malformed("it holds a character that cannot be written") from error
    return Place(Origin(scheme, host.strip("[]"), port), authority, target)


def _learn(memo: dict[str, _T], text: str, read: Callable[[str], _T]) -> _T:
    if len(memo) >= MEMO_ENTRIES_MAX:
        memo.clear()
    known = memo[text] = read(text)
    return known


def _checked_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise NotSent("a header's name is not well-formed HTTP: check the channel's headers")
    key = name.lower()
    return "" if key in _OURS else key


def _malformed(remedy: str) -> NotSent:
    return NotSent(f"the request's URL is not well-formed: {remedy}; check the channel's base URL")
