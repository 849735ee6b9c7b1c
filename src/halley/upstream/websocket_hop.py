"""One websocket over aiohttp. Apart from `websocket`, which imports it at the first connection."""

import asyncio
import os
from contextlib import AsyncExitStack

import aiohttp

from halley.upstream.errors import NotSent, OutcomeUnknown, UpstreamError
from halley.upstream.websocket import (
    ABNORMAL,
    CLOSE_S_MAX,
    DENIAL_BYTES_MAX,
    SEND_S_MAX,
    TOO_LARGE,
    Closed,
    Denied,
    SocketRequest,
    Unreadable,
)

_SWITCHING = 101
_REASON_BYTES_MAX = 123
_OWN = frozenset(("connection", "upgrade", "host", "content-length", "content-type", "accept-encoding"))


class _DeniedError(Exception):
    """Carries the answer out of aiohttp, which would follow a redirect and forget a body."""

    def __init__(self, denied: Denied) -> None:
        super().__init__(denied.status)
        self.denied = denied


async def connect(request: SocketRequest) -> "AiohttpSocket | Denied":
    """Connect. Raises `NotSent` or `OutcomeUnknown`."""
    stack = AsyncExitStack()
    headers = {"user-agent": "halley"} | {name: value for name, value in request.headers if name.lower() not in _OWN}
    try:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=request.connect_timeout_s),
                middlewares=(_only_upgrades,),
            )
        )
        socket = await session.ws_connect(
            request.url,
            headers=headers,
            max_msg_size=request.frame_bytes_max,
            heartbeat=request.ping_s,
            compress=0,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S_MAX),  # pyright: ignore[reportCallIssue] - made by attrs
        )
    except _DeniedError as error:
        await stack.aclose()
        return error.denied
    except (aiohttp.ClientError, OSError, ValueError) as error:
        await stack.aclose()
        raise _translated(error, request) from error
    except BaseException:
        await stack.aclose()
        raise
    return AiohttpSocket(socket, stack, request.frame_bytes_max)


class AiohttpSocket:
    """An open connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, stack: AsyncExitStack, frame_bytes_max: int) -> None:
        self._socket = socket
        self._stack = stack
        self._frame_bytes_max = frame_bytes_max

    async def receive(self) -> str | Unreadable | Closed:
        """Give the next frame, or the end."""
        message = await self._socket.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return message.data
            case aiohttp.WSMsgType.BINARY:
                return Unreadable()
            case aiohttp.WSMsgType.CLOSE:
                # A closing frame without a code is told as 0.
                return Closed(code=int(message.data or 0) or None, reason=str(message.extra or ""))
            case aiohttp.WSMsgType.ERROR if self._socket.close_code == TOO_LARGE:
                # aiohttp has closed it with this code.
                return Closed(code=TOO_LARGE, reason=f"the vendor's event has more than {self._frame_bytes_max} bytes")
            case _:
                return Closed(code=ABNORMAL)

    async def send(self, text: str) -> None:
        """Send a frame, waiting while the server is slow. Raises `OutcomeUnknown`."""
        try:
            async with asyncio.timeout(SEND_S_MAX):
                await self._socket.send_str(text)
        except TimeoutError as error:
            raise OutcomeUnknown(f"the server took no frame for {SEND_S_MAX:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknown("the websocket is closed") from error

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close, whether or not the server still answers."""
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._socket.close(code=code, message=_bounded(reason))
        except TimeoutError:
            pass  # it does not read any more; what follows drops the connection
        finally:
            await self._stack.aclose()


async def _only_upgrades(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Stop at whatever is no upgrade: also at a redirect, which aiohttp would follow with our credentials."""
    response = await handler(request)
    if response.status == _SWITCHING:
        return response
    try:
        body = await response.content.read(DENIAL_BYTES_MAX)
    except aiohttp.ClientError:
        body = b""  # the status says enough
    finally:
        response.close()
    headers = {name.lower(): value for name, value in response.headers.items()}
    raise _DeniedError(Denied(status=response.status, headers=headers, body=body))


def _bounded(reason: str) -> bytes:
    """Cut a reason to what fits into a closing frame, between characters."""
    return reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore").encode()


def _translated(error: Exception, request: SocketRequest) -> UpstreamError:
    # aiohttp's texts quote the URL; say what happened in our own words.
    match error:
        case aiohttp.ConnectionTimeoutError():
            return NotSent(f"no connection within {request.connect_timeout_s:g} s")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return NotSent("no TLS connection: the server's certificate or protocol is not acceptable")
        case aiohttp.ClientConnectorError():
            return NotSent(f"no connection: {os.strerror(error.errno) if error.errno else 'failed'}")
        case aiohttp.InvalidURL() | ValueError():
            return NotSent("the URL or a header is not well-formed HTTP")
        case _:
            return OutcomeUnknown("the connection broke during the upgrade to a websocket")
