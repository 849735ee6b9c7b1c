"""One request of the guard over aiohttp, to addresses that were checked before and to no other.

Apart from `guard`, which imports it at the first fetch: aiohttp costs memory that an idle gateway does not need.
"""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from halley.upstream.address import Target, private
from halley.upstream.errors import NotSent, OutcomeUnknown, Refused, ReplyPacked, ReplyTooLarge, UpstreamError
from halley.upstream.exchange import Call, Download, Progress

CONNECT_TIMEOUT_S = 10.0
CHUNK_BYTES = 65_536
_OWN_HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "halley"}
_NOT_TO_BE_GIVEN = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding"})


class Pin(AbstractResolver):
    """Gives aiohttp the addresses that were checked, and no socket to any other."""

    def __init__(self, addresses: tuple[str, ...], progress: Progress) -> None:
        self._addresses = addresses
        self._progress = progress

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Answer with the pinned addresses, whatever the name."""
        del family
        return [
            {"hostname": host, "host": address, "port": port, "family": _family(address), "proto": 0, "flags": 0}
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""

    def open_socket(self, info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        """Open the socket, as the last gate before a connection."""
        family, kind, proto, _, address = info
        if str(address[0]) not in self._addresses:
            raise private()
        self._progress.connected = True
        return socket.socket(family, kind, proto)


async def request(
    stack: AsyncExitStack, call: Call, target: Target, pin: Pin, tls: ssl.SSLContext | None
) -> aiohttp.ClientResponse:
    """Send one request and read the head of its reply; the stack closes what was opened."""
    connector = aiohttp.TCPConnector(
        resolver=pin, use_dns_cache=False, force_close=True, socket_factory=pin.open_socket
    )
    session = await stack.enter_async_context(
        aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S),
        )
    )
    given = [(name.lower(), value) for name, value in call.headers if name.lower() not in _NOT_TO_BE_GIVEN]
    try:
        return await stack.enter_async_context(
            session.request(
                call.method,
                target.url,
                headers=_OWN_HEADERS | dict(given),
                data=call.body,
                allow_redirects=False,
                ssl=tls if tls is not None else True,
            )
        )
    except (aiohttp.ClientError, ValueError) as error:
        raise _translated(error) from error


def reply(response: aiohttp.ClientResponse, bytes_max: int, final_url: str) -> Download:
    """Hand over the reply with a body that is bounded."""
    return Download(
        status=response.status,
        headers=_joined(response.headers),
        chunks=_chunks(response, bytes_max),
        final_url=final_url,
    )


async def _chunks(response: aiohttp.ClientResponse, bytes_max: int) -> AsyncIterator[bytes]:
    encoding = response.headers.get("content-encoding", "")
    if encoding.lower() not in ("", "identity"):
        raise ReplyPacked("the reply is compressed though `identity` was asked for", status=response.status)
    if (response.content_length or 0) > bytes_max:
        raise _too_large(response.status, bytes_max)
    received = 0
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            received += len(chunk)
            if received > bytes_max:
                raise _too_large(response.status, bytes_max)
            yield chunk
    except aiohttp.ClientError as error:
        raise OutcomeUnknown("the reply's body was cut short", status=response.status) from error


def _joined(received: Mapping[str, str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in received.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _too_large(status: int, bytes_max: int) -> ReplyTooLarge:
    return ReplyTooLarge(f"the reply is larger than {bytes_max} bytes", status=status)


def _translated(error: Exception) -> UpstreamError:
    # aiohttp's texts quote the URL with its query, which may be a signature; say what happened in our own words.
    match error:
        case aiohttp.ConnectionTimeoutError():
            return NotSent(f"no connection within {CONNECT_TIMEOUT_S:g} s")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return NotSent("no TLS connection: the server's certificate or protocol is not acceptable")
        case aiohttp.ClientConnectorError():
            # `strerror` of the error itself would quote the address.
            return NotSent(f"no connection: {os.strerror(error.errno) if error.errno else 'failed'}")
        case aiohttp.InvalidURL() | ValueError():
            return Refused("the URL or a header is not well-formed HTTP")
        case _:
            return OutcomeUnknown("the connection or the reply broke")


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
