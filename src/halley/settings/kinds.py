"""What values a setting may have: each kind reads a text, or says what it wants instead."""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from halley.settings.model import Secret

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})
SIZES = {"": 1, "k": 1_000, "m": 1_000_000, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
SECRET_LENGTH_MIN = 32
ITEMS_MAX = 1_000
PORT_MAX = 65_535

_SIZE = re.compile(r"(\d{1,15})\s*(?:([kmg]i?)b?|b)?", re.IGNORECASE)
_KEY = re.compile(r"sk-[!-~]{13,197}")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_POSTGRESQL = re.compile(r"postgres(?:ql)?://(?:[^@/\s]*@)?[^@/\s]*(?:/[^@/\s]*)?(?:\?\S*)?")
"""A second `@` or `/` is one of a password: the driver would take what is behind the first for a host or database."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of value. `read` raises `ValueError` saying what it wants; the caller adds where and what was given."""

    title: str
    read: Callable[[str], Any]
    secret: bool = False
    """Whether values stay out of messages."""
    listed: bool = False
    """Whether the file may also give a list."""
    switch: bool = False
    """Whether the flag takes no value."""


def whole(low: int, high: int) -> Kind:
    """A whole number within bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return Kind(title=f"whole number, {low} to {high}", read=read)


def seconds(low: float, high: float) -> Kind:
    """A span of time."""

    def read(text: str) -> float:
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) or not low <= float(text) <= high:
            raise ValueError(f"a number of seconds from {low:g} to {high:g}")
        return float(text)

    return Kind(title=f"seconds, {low:g} to {high:g}", read=read)


def choice(*words: str) -> Kind:
    """One of a few words."""

    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError("one of " + ", ".join(f"`{word}`" for word in words))
        return text.lower()

    return Kind(title=" or ".join(f"`{word}`" for word in words), read=read)


def _read_switch(text: str) -> bool:
    if text.lower() not in TRUE | FALSE:
        raise ValueError("`true` or `false`")
    return text.lower() in TRUE


def _read_size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    size = int(found[1]) * SIZES[(found[2] or "").lower()] if found else 0
    if not 1 << 10 <= size <= 1 << 30:
        raise ValueError("a size from 1KiB to 1GiB, e.g. `64MiB` or `67108864`")
    return size


def _read_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("a host name or IP address to listen on, without port or scheme")
    return text


def _read_public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or "@" in text:
        raise ValueError("an http or https URL without credentials or query, e.g. `https://ai.example.com`")
    return text.rstrip("/")


def _read_database_url(text: str) -> Secret:
    if text.startswith("sqlite:///") and len(text) > len("sqlite:///"):
        return Secret(text)
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("a URL that begins with `sqlite:///` or `postgresql://`")
    if not _is_postgresql_url(text):
        raise ValueError(
            "a URL such as `postgresql://user:password@host:5432/name`; in a password (and user) each"
            " `%`, `@`, `/`, `:` and space must be percent-encoded: `%25`, `%40`, `%2F`, `%3A`, `%20`"
        )
    return Secret(text)


def _is_postgresql_url(text: str) -> bool:
    """Whether the driver can read it as it was meant: what it says of one that it cannot may hold the password."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        ports = str(conninfo_to_dict(text).get("port", "")).split(",")
    except ProgrammingError:
        return False
    return bool(_POSTGRESQL.fullmatch(text)) and all(not port or _is_port(port) for port in ports)


def _is_port(text: str) -> bool:
    return bool(re.fullmatch(r"\d{1,5}", text)) and 1 <= int(text) <= PORT_MAX


def _read_objects_url(text: str) -> str:
    if text.startswith("file:///") or re.match(r"(s3|gs|az)://[^/@]", text):
        return text.rstrip("/")
    raise ValueError("`file:///folder`, `s3://bucket`, `gs://bucket` or `az://container`, with a path if you like")


def _read_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(item, strict=False) for item in items(text))
    except ValueError as error:
        raise ValueError("IP addresses or networks parted by commas, e.g. `127.0.0.1, 10.0.0.0/8`") from error


def _read_secrets(text: str) -> tuple[Secret, ...]:
    if any(len(item) < SECRET_LENGTH_MIN for item in items(text)):
        raise ValueError(f"secrets of at least {SECRET_LENGTH_MIN} characters, newest first, parted by commas")
    return tuple(Secret(item) for item in items(text))


def _read_key(text: str) -> Secret:
    if not _KEY.fullmatch(text):
        raise ValueError(
            "a key of 16 to 200 printable ASCII characters that begins with `sk-`; `sk-test-` makes a test key"
        )
    return Secret(text)


def items(text: str) -> tuple[str, ...]:
    """Part a list at its commas and line ends."""
    found = tuple(item for each in re.split(r"[,\n]", text) if (item := each.strip()))
    if len(found) > ITEMS_MAX:
        raise ValueError(f"at most {ITEMS_MAX} items")
    return found


SWITCH = Kind(title="`true` or `false`", read=_read_switch, switch=True)
SIZE = Kind(title="size, 1KiB to 1GiB", read=_read_size)
HOST = Kind(title="host name or IP address", read=_read_host)
PATH = Kind(title="path", read=Path)
URL = Kind(title="URL", read=_read_public_url)
DATABASE = Kind(title="database URL", read=_read_database_url, secret=True)
OBJECTS = Kind(title="object store URL", read=_read_objects_url)
NETWORKS = Kind(title="list of IP addresses or networks", read=_read_networks, listed=True)
WORDS = Kind(title="list", read=items, listed=True)
SECRETS = Kind(title="secret, or a list of them", read=_read_secrets, secret=True, listed=True)
KEY = Kind(title="key", read=_read_key, secret=True)
