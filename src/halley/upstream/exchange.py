"""What goes out and what comes back through the guard."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply, of any status but a followed redirect. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    final_url: str


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """A reply whose body comes in chunks; reading them raises as `Guard.download` does."""

    status: int
    headers: dict[str, str]
    chunks: AsyncIterator[bytes]
    final_url: str


class Call(NamedTuple):
    """One call of the guard, over all its redirects."""

    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    bytes_max: int


class Progress:
    """Whether a connection may have been made, so that a request may have been written."""

    connected = False
