"""The last head of a connection, so that a request that says the very same need not be parsed. Pure.

Where a request ends must never be taken for something else than the parser would take it for: so only what leaves no
choice is remembered, and only the very same bytes are recognised. All else is for the parser.
"""

import re

from halley.server.head import Head

REMEMBERED_BYTES_MAX = 8 * 1024
"""Of a head; larger ones are not remembered."""
LENGTH_DIGITS_MAX = 9

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\n(?i:content-length):[ \t]*(0|[1-9][0-9]{0,8})(?=\r\n)")
_SPECIAL = frozenset(
    (b"content-length", b"transfer-encoding", b"connection", b"proxy-connection", b"upgrade", b"expect")
)
"""Headers that change how a request is read, or what is to be done while it is."""


class Remembered:
    """A head as it was written, but for the digits of the body's length."""

    __slots__ = ("_after", "_after_size", "_before", "_digits_at", "_search_to", "head")

    def __init__(self, head: Head, before: bytes, after: bytes | None) -> None:
        self.head = head
        self._before = before
        self._after = after
        """None where no length is told; then there is no body."""
        self._digits_at = len(before)
        self._after_size = len(after or b"")
        self._search_to = self._digits_at + LENGTH_DIGITS_MAX + self._after_size

    def body_in(self, data: bytes) -> bytes | None:
        """Give the body if this is the head again and nothing but all of its body; else None."""
        after = self._after
        if after is None:
            return b"" if data == self._before else None
        if not data.startswith(self._before):
            return None
        digits_at = self._digits_at
        digits_end = data.find(after, digits_at, self._search_to)
        if digits_end < 0:
            return None
        body_at = digits_end + self._after_size
        # Written anew and compared, rather than read: so no sign, blank or leading zero can mean anything.
        if data[digits_at:digits_end] != b"%d" % (len(data) - body_at):
            return None
        return data[body_at:]


def remember(data: bytes, head: Head, body: bytes) -> Remembered | None:
    """Remember the first head that the parser found in `data`; None if it is not to be, or more than its body follows.

    The head learns which of its headers is the length.
    """
    size = len(data) - len(body)
    if size > REMEMBERED_BYTES_MAX or data.find(_END) != size - len(_END):
        return None
    if head.is_old or not head.keep_alive or head.method == "HEAD":
        return None
    length = b"%d" % len(body)
    at: int | None = None
    for number, (name, value) in enumerate(head.headers):
        if name == b"content-length" and value == length and at is None:
            at = number
        elif name in _SPECIAL and (name != b"connection" or value.lower() != b"keep-alive"):
            return None
    if at is None:
        return None if body else Remembered(head, data, None)
    found = _LENGTH.search(data, 0, size)
    if found is None or found[1] != length:
        return None
    head.length_at = at
    return Remembered(head, data[: found.start(1)], data[found.end(1) : size])
