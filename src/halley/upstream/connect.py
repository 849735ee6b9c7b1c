"""New connections: the look-up of a name, TCP to one of its addresses, TLS. Whatever fails here was `NotSent`."""

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from halley.upstream.connection import Connection
from halley.upstream.errors import NotSent
from halley.upstream.head import Origin

NAMES_MAX = 512
NAME_TTL_S = 30.0
ADDRESSES_MAX = 8
"""Addresses of one name that are tried."""
ADDRESS_TIMEOUT_MIN_S = 1.0
"""An address gets this long, or its share of the time-out, before the next one is tried."""
KEEPALIVE_IDLE_S = 30
KEEPALIVE_INTERVAL_S = 10
KEEPALIVE_PROBES_MAX = 3

SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
Make = Callable[[socket.socket], Connection]


class Found(NamedTuple):
    """One address of a name."""

    family: int
    address: SocketAddress


Resolve = Callable[[str, int], Awaitable[list[Found]]]
"""From host and port to addresses. Raises `OSError`."""


class Names:
    """Looks names up, and remembers the answer for a little while."""

    def __init__(self, resolve: Resolve | None = None) -> None:
        self._resolve = _system_resolve if resolve is None else resolve
        self._known: dict[Origin, tuple[float, list[Found]]] = {}
        self._asking: dict[Origin, asyncio.Lock] = {}

    async def find(self, origin: Origin) -> list[Found]:
        """Give the addresses, best first. Raises `OSError` or `UnicodeError`."""
        literal = _literal(origin)
        if literal is not None:
            return [literal]
        lock = self._asking.setdefault(origin, asyncio.Lock())
        try:
            # One question for all who wait for the answer; if who asked gives up, the next one asks.
            async with lock:
                return self._remembered(origin) or await self._ask(origin)
        finally:
            if not lock.locked():
                self._asking.pop(origin, None)

    def prefer(self, origin: Origin, found: Found) -> None:
        """Put the address that answered before those that did not."""
        _, addresses = self._known.get(origin, (0.0, []))
        if found in addresses:
            addresses.remove(found)
            addresses.insert(0, found)

    def _remembered(self, origin: Origin) -> list[Found] | None:
        until, addresses = self._known.get(origin, (0.0, []))
        return list(addresses) if asyncio.get_running_loop().time() < until else None

    async def _ask(self, origin: Origin) -> list[Found]:
        addresses = (await self._resolve(origin.host, origin.port))[:ADDRESSES_MAX]
        if len(self._known) >= NAMES_MAX:
            self._known.clear()
        self._known[origin] = (asyncio.get_running_loop().time() + NAME_TTL_S, addresses)
        return list(addresses)


class Connector:
    """Makes connections. The TLS settings are read when the first one needs them: they cost time and memory."""

    def __init__(self, extra_roots_pem: bytes | None, resolve: Resolve | None = None) -> None:
        self._extra_roots_pem = extra_roots_pem
        self._names = Names(resolve)
        self._tls: ssl.SSLContext | None = None

    async def connect(self, origin: Origin, timeout_s: float, make: Make) -> Connection:
        """Connect within that time. Raises `NotSent`."""
        try:
            async with asyncio.timeout(timeout_s):
                tls = await self._tls_settings() if origin.scheme == "https" else None
                raw = await self._reach(origin, timeout_s)
                return await _greet(raw, origin, tls, make)
        except TimeoutError as error:
            raise NotSent(f"no connection within {timeout_s:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise NotSent(f"no TLS connection: the server's certificate is refused: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise NotSent(f"no TLS connection: {error.reason or 'the server does not speak it'}") from error
        except OSError as error:
            raise NotSent(f"no connection: {os.strerror(error.errno) if error.errno else 'failed'}") from error

    async def _reach(self, origin: Origin, timeout_s: float) -> socket.socket:
        try:
            addresses = await self._names.find(origin)
        except (OSError, UnicodeError) as error:
            raise NotSent(f"no connection: the name `{origin.host}` cannot be resolved") from error
        failure: OSError = OSError()
        for place, found in enumerate(addresses):
            is_last = place == len(addresses) - 1
            try:
                async with asyncio.timeout(None if is_last else max(ADDRESS_TIMEOUT_MIN_S, timeout_s / len(addresses))):
                    raw = await _dial(found)
            except OSError as error:  # `TimeoutError` is one
                failure = error
                continue
            if place:
                self._names.prefer(origin, found)
            return raw
        raise failure

    async def _tls_settings(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = await asyncio.to_thread(_tls_context, self._extra_roots_pem)
        return self._tls


async def _system_resolve(host: str, port: int) -> list[Found]:
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [Found(family, address) for family, _, _, _, address in answers]


async def _dial(found: Found) -> socket.socket:
    raw = socket.socket(found.family, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
            ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
            ("TCP_KEEPCNT", KEEPALIVE_PROBES_MAX),
        ):
            if hasattr(socket, name):
                raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        await asyncio.get_running_loop().sock_connect(raw, found.address)
    except BaseException:
        raw.close()
        raise
    return raw


async def _greet(raw: socket.socket, origin: Origin, tls: ssl.SSLContext | None, make: Make) -> Connection:
    """Put a protocol upon the socket, after TLS if need be; from here on the loop's transport closes the socket."""
    name = origin.host.rstrip(".") if tls is not None else None
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: make(raw), sock=raw, ssl=tls, server_hostname=name
    )
    return connection


def _tls_context(extra_roots_pem: bytes | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if extra_roots_pem is not None:
        context.load_verify_locations(cadata=extra_roots_pem.decode("ascii"))
    return context


def _literal(origin: Origin) -> Found | None:
    try:
        address = ipaddress.ip_address(origin.host)
    except ValueError:
        return None
    if address.version == 4:  # noqa: PLR2004  the version
        return Found(socket.AF_INET, (origin.host, origin.port))
    return Found(socket.AF_INET6, (origin.host, origin.port, 0, 0))
