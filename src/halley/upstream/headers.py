"""The headers of a reply as callers read them. Pure."""

from collections.abc import Sequence

from halley.kernel.headers import header_name

Pairs = Sequence[tuple[bytes, bytes]]
"""Names and values as they came, in their order."""


def joined(received: Pairs) -> dict[str, str]:
    """Lower the names, join what is repeated, leave out what is not ASCII: a paid reply is not lost for a header."""
    headers: dict[str, str] = {}
    for name, value in received:
        if not value.isascii():
            continue
        key, text = header_name(name), value.decode("ascii")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def joined_bytes(received: Pairs) -> dict[bytes, bytes]:
    """Give what `joined` gives, as bytes."""
    return {name.encode(): value.encode() for name, value in joined(received).items()}
