"""Heads of requests and answers as bytes: bounds, targets, header lines that cannot carry more than a header."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import httptools

TARGET_BYTES_MAX = 32 * 1024
HEAD_BYTES_MAX = 64 * 1024
"""Of a request's target and headers together."""
HEADERS_MAX = 128
NO_BODY = frozenset((204, 304))
FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
"""What tells where an answer ends: for the exchange to write."""

Header = tuple[bytes, bytes]

_NAMES_REMEMBERED_MAX = 1024
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ALLOWED = bytes(byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127))  # noqa: PLR2004 - tab, text
_HOST = re.compile(rb"[ \t]*[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*[ \t]*")
_STATUSES = range(200, 600)


class Head:
    """What a request says before its body. It serves each request of a connection that says the very same.

    So nobody changes it. Only the length of the body may differ between those requests: `Exchange.headers` gives
    each request's own, `headers` that of the first one.
    """

    __slots__ = (
        "headers",
        "is_old",
        "keep_alive",
        "known",
        "length_at",
        "method",
        "path",
        "query",
        "target",
        "version",
    )

    def __init__(
        self, method: str, target: bytes, headers: list[Header], version: str = "1.1", *, keep_alive: bool = True
    ) -> None:
        self.method = method
        self.target = target
        self.path, self.query = split_target(target)
        self.version = version
        self.headers = headers
        """Names are in lower case."""
        self.keep_alive = keep_alive
        """Whether the client lets the connection go on after the answer."""
        self.is_old = version != "1.1"
        """Whether the client speaks HTTP/1.0, which knows no chunks."""
        self.known: Any = None
        """For the app: what it worked out of this head alone, but for the length of the body."""
        self.length_at: int | None = None
        """Which of the headers is the length that may differ."""


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


STATUS_LINES = {status: _status_line(status) for status in _STATUSES}


@lru_cache(maxsize=_NAMES_REMEMBERED_MAX)
def line_start(name: bytes) -> bytes | None:
    """Give what a header's line begins with, or None if the exchange writes it. Raises `ValueError` for no name."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no name of a header")
    lowered = name.lower()
    return None if lowered in FRAMING else lowered + b": "


def checked_lines(lines: Sequence[bytes]) -> bytes:
    """Join lines that lack their end. Raises `ValueError` if a value would end one early, or holds what none may."""
    if not lines:
        return b""
    block = b"\r\n".join(lines) + b"\r\n"
    if block.translate(None, _ALLOWED) != b"\r\n" * len(lines):
        raise ValueError("a header's value holds a control character")
    return block


def encode_headers(headers: Iterable[Header]) -> bytes:
    """Write headers that frame nothing as lines. Raises `ValueError` for those that may not be written."""
    lines: list[bytes] = []
    for name, value in headers:
        start = line_start(name)
        if start is None:
            raise ValueError(f"{name!r} is for the server to write")
        lines.append(start + value)
    return checked_lines(lines)


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Give path and query of a request's target. Raises `httptools.HttpParserInvalidURLError`."""
    if target.startswith(b"/") and b"#" not in target:
        path, _, query = target.partition(b"?")
        return path, query
    url = httptools.parse_url(target)
    return url.path or b"/", url.query or b""


def head_size(target: bytes, headers: Iterable[Header]) -> int:
    """Count the bytes of a head, give or take its punctuation."""
    return len(target) + sum(len(name) + len(value) + 4 for name, value in headers)


def refusal_of(headers: Iterable[Header], *, is_old: bool) -> int | None:
    """Say with which status a head is refused that somebody on the way may read in another way; None if it is not.

    RFC 9112, sections 3.2 and 6.1. The parser has seen to it that chunks, if any, are the last coding.
    """
    hosts = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if hosts > 1 or _HOST.fullmatch(value) is None:
                return HTTPStatus.BAD_REQUEST
        elif name == b"transfer-encoding":
            # Who speaks HTTP/1.0 knows no chunks: somebody on the way may have seen another end of this body.
            if is_old:
                return HTTPStatus.BAD_REQUEST
            if value.strip(b" \t").lower() != b"chunked":
                return HTTPStatus.NOT_IMPLEMENTED
    return None if hosts or is_old else HTTPStatus.BAD_REQUEST


def expects_continue(headers: Iterable[Header]) -> bool:
    """Whether the client waits to be asked for its body."""
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers)


def wants_websocket(headers: Iterable[Header]) -> bool:
    """Whether the client asks to go on in websocket."""
    connection: list[bytes] = []
    upgrade = b""
    for name, value in headers:
        if name == b"connection":
            connection += [token.strip() for token in value.lower().split(b",")]
        elif name == b"upgrade":
            upgrade = value.lower()
    return upgrade == b"websocket" and b"upgrade" in connection


def plain_answer(status: int, default_lines: bytes) -> bytes:
    """Write a whole answer of our own, after which the connection closes."""
    text = HTTPStatus(status).phrase.encode()
    own = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(text)
    return b"".join((STATUS_LINES[status], default_lines, own, text))
