"""Ways out of a simulator that need no network library: none at all, and one made of two functions."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from halley.vendors.simulate.host import OpenOutside, Outside, OutsideError

FetchFunction = Callable[[str], Awaitable[bytes]]
CallbackFunction = Callable[[str, Sequence[tuple[str, str]], bytes], Awaitable[int]]


async def _no_fetch(url: str) -> bytes:
    raise OutsideError(f"this simulator cannot fetch `{url[:200]}`: it has no way out")


async def _no_callback(url: str, _headers: Sequence[tuple[str, str]], _body: bytes) -> int:
    raise OutsideError(f"this simulator cannot call `{url[:200]}`: it has no way out")


class _Functions:
    def __init__(self, fetch: FetchFunction, send_callback: CallbackFunction) -> None:
        self._fetch = fetch
        self._send_callback = send_callback

    async def fetch(self, url: str) -> bytes:
        return await self._fetch(url)

    async def send_callback(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        return await self._send_callback(url, headers, body)


def outside_of(*, fetch: FetchFunction = _no_fetch, send_callback: CallbackFunction = _no_callback) -> OpenOutside:
    """A way out made of functions that need no opening; what is not given is refused."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Outside]:
        yield _Functions(fetch, send_callback)

    return opened
