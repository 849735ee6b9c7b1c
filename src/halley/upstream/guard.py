"""Fetches of URLs that others chose (image inputs, output links, webhook targets), never into private networks.

A name is looked up once, and the connection goes to one of the addresses that were checked. Nothing is pooled: a
connection that one caller was allowed to make is never used for another.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

from halley.upstream import late
from halley.upstream.address import (
    FetchPolicy,
    Policy,
    Target,
    check_literal,
    check_port,
    parse_address,
    parse_target,
    private,
)
from halley.upstream.errors import NotSent, OutcomeUnknown, Refused, UpstreamError
from halley.upstream.exchange import Call, Download, Fetched, Progress

REDIRECTS_MAX = 3
ADDRESSES_MAX = 8
"""Addresses of one name that are tried."""
FETCHES_MAX = 256
"""Fetches on the way at once; more wait, within their own time."""
RESOLVERS_MAX = 16

_HOP = "halley.upstream.hop"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From host and port to IP addresses. Raises `OSError`."""


class Guard:
    """The only way to a URL that we did not write ourselves."""

    def __init__(
        self,
        policy: FetchPolicy,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = Policy(policy)
        # Threads of its own: names that answer slowly must not hold up whatever else runs on the loop's.
        self._threads = ThreadPoolExecutor(RESOLVERS_MAX, thread_name_prefix="halley-resolve")
        self._resolve = self._system_resolve if resolve is None else resolve
        self._tls = tls
        self._room = asyncio.Semaphore(FETCHES_MAX)
        self._closed = False

    def check(self, url: str) -> None:
        """Refuse at once what no look-up could make right. Raises `Refused`."""
        self._check(parse_target(url), trusted=False)

    async def fetch(
        self,
        url: str,
        *,
        bytes_max: int,
        timeout_s: float,
        trusted_origins: frozenset[str] = frozenset(),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Fetched:
        """GET a whole body, following redirects. Raises as `download` does."""
        call = Call("GET", headers, None, bytes_max)
        async with self._open(call, url, timeout_s, trusted_origins) as reply:
            return await _whole(reply)

    @asynccontextmanager
    async def download(
        self,
        url: str,
        *,
        bytes_max: int,
        timeout_s: float,
        trusted_origins: frozenset[str] = frozenset(),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> AsyncGenerator[Download, None]:
        """GET in chunks, following redirects; `timeout_s` includes the time that the reader takes.

        `trusted_origins` (`scheme://host:port`, see `address.origins`) may be private. Trust ends at the first
        redirect to another origin, and so do the headers. Raises `Refused`, `NotSent`, `OutcomeUnknown` or
        `ReplyTooLarge`.
        """
        async with self._open(Call("GET", headers, None, bytes_max), url, timeout_s, trusted_origins) as reply:
            yield reply

    async def post(
        self, url: str, *, body: bytes, headers: tuple[tuple[str, str], ...], timeout_s: float, bytes_max: int
    ) -> Fetched:
        """POST once; an answer is any status, be it a redirect, and its body too large, packed, cut or slow.

        Its body is given as far as it came. Raises as `download` does while no status has come.
        """
        call = Call("POST", headers, body, bytes_max)
        answered: Download | None = None
        came = bytearray()
        try:
            async with self._open(call, url, timeout_s, frozenset()) as answered:
                async for chunk in answered.chunks:
                    came += chunk
        except UpstreamError:
            if answered is None:
                raise
        assert answered is not None
        return Fetched(status=answered.status, headers=answered.headers, body=bytes(came), final_url=answered.final_url)

    async def aclose(self) -> None:
        """Start no more fetches; those under way end by themselves, as nothing is kept between them."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def _open(
        self, call: Call, url: str, timeout_s: float, trusted_origins: frozenset[str]
    ) -> AsyncGenerator[Download, None]:
        if self._closed:
            raise NotSent("the gateway is stopping")
        progress = Progress()
        timer = asyncio.timeout(timeout_s)
        try:
            async with timer, self._room, AsyncExitStack() as stack:
                yield await self._follow(stack, call, parse_target(url), trusted_origins, progress)
        except TimeoutError as error:
            if not timer.expired():
                raise
            message = f"not done within {timeout_s:g} s"
            raise (OutcomeUnknown(message) if progress.connected else NotSent(message)) from error

    async def _follow(
        self,
        stack: AsyncExitStack,
        call: Call,
        target: Target,
        trusted_origins: frozenset[str],
        progress: Progress,
    ) -> Download:
        await late.ready(_HOP)  # A third of a second of imports
        from halley.upstream import hop as http

        trusted = target.origin in trusted_origins
        for _ in range(REDIRECTS_MAX + 1):
            addresses = await self._admit(target, trusted=trusted)
            hop = await stack.enter_async_context(AsyncExitStack())
            response = await http.request(hop, call, target, http.Pin(addresses, progress), self._tls)
            location = response.headers.get("location")
            if call.method != "GET" or response.status not in _REDIRECTS or location is None:
                return http.reply(response, call.bytes_max, str(target.url))
            await hop.aclose()
            following = _redirected(target, location)
            if following.origin != target.origin:
                trusted, call = False, call._replace(headers=())
            target = following
        raise Refused(f"more than {REDIRECTS_MAX} redirects")

    def _check(self, target: Target, *, trusted: bool) -> None:
        if not trusted and not self._policy.permits(target):
            check_port(target)
            check_literal(target)

    async def _admit(self, target: Target, *, trusted: bool) -> tuple[str, ...]:
        """Look the host up and keep the addresses that we may go to."""
        self._check(target, trusted=trusted)
        found = (target.host,) if parse_address(target.host) else await self._look_up(target)
        kept = found if trusted else self._policy.reachable(target, found)
        if not kept:
            raise private()
        return tuple(dict.fromkeys(kept))[:ADDRESSES_MAX]

    async def _look_up(self, target: Target) -> Sequence[str]:
        try:
            found = await self._resolve(target.host, target.port)
        except (OSError, UnicodeError) as error:
            raise NotSent(f"the name `{target.host}` cannot be resolved") from error
        if not found:
            raise NotSent(f"the name `{target.host}` has no address")
        return found

    async def _system_resolve(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(address[0]) for *_, address in found]


def _redirected(target: Target, location: str) -> Target:
    following = parse_target(location, base=target.url)
    if target.scheme == "https" and following.scheme != "https":
        raise Refused("a redirect from https to http is not followed")
    return following


async def _whole(reply: Download) -> Fetched:
    body = b"".join([chunk async for chunk in reply.chunks])
    return Fetched(status=reply.status, headers=reply.headers, body=body, final_url=reply.final_url)
