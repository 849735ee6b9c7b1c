"""Reads the bodies of requests: bounded in bytes, in time, and in what they unpack to."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from halley.api.asgi import ClientLeft, Message, Receive
from halley.kernel import codec
from halley.kernel.faults import BadRequest, TooLarge

IDLE_S = 30.0
"""A client that sends no byte for so long has stalled."""
WHOLE_S = 600.0
"""And one that is not done after this drips on purpose."""
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")

_INFLATE_PIECE_BYTES = 256 * 1024
_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_ZLIB_METHOD, _ZLIB_CHECK = 8, 31


class TooSlow(BadRequest):
    """The body did not come in time."""

    status = 408
    code = "request_timeout"
    may_retry = True


class UnsupportedType(BadRequest):
    """The body is of a kind that this route does not read."""

    status = 415
    code = "unsupported_media_type"


class BodyReader:
    """The body of one request, read at most once."""

    def __init__(
        self,
        receive: Receive,
        headers: Mapping[str, str],
        *,
        bytes_max: int,
        idle_s: float = IDLE_S,
        whole_s: float = WHOLE_S,
    ) -> None:
        self._receive = receive
        self._headers = headers
        self._bytes_max = bytes_max
        self._idle_s = idle_s
        self._whole_s = whole_s

    async def json(self) -> dict[str, Any]:
        """Read a JSON object. Raises `BadRequest`, `TooLarge`, `ClientLeft`."""
        kind = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in FORMS:
            message = f"The body is `{kind}`; send JSON with `content-type: application/json`"
            raise UnsupportedType(message, param="content-type")
        return codec.decode_object(await self.read())

    async def read(self) -> bytes:
        """Read it whole and unpacked."""
        encoding = self._encoding()
        data = b"".join([chunk async for chunk in self.chunks()])
        if encoding is None or not data:
            return data
        return await asyncio.to_thread(_unpacked, data, encoding, self._bytes_max)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give what comes as it comes, packed as it is."""
        self._check_length()
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._whole_s
        size = 0
        more = True
        while more:
            message = await self._next(min(loop.time() + self._idle_s, ends))
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._bytes_max:
                raise _too_large(self._bytes_max)
            more = message.get("more_body", False)
            if chunk:
                yield chunk

    async def _next(self, until: float) -> Message:
        try:
            async with asyncio.timeout_at(until):
                message = await self._receive()
        except TimeoutError as error:
            raise TooSlow("The body did not come in time; send it again") from error
        if message["type"] == "http.disconnect":
            raise ClientLeft
        return message

    def _check_length(self) -> None:
        text = self._headers.get("content-length")
        if text is None:
            return
        if not (text.isascii() and text.isdecimal()):
            raise BadRequest("`Content-Length` must be a number", param="content-length")
        if len(text) > len(str(self._bytes_max)) + 1 or int(text) > self._bytes_max:
            raise _too_large(self._bytes_max)

    def _encoding(self) -> str | None:
        name = self._headers.get("content-encoding", "identity").strip().lower()
        if name in ("", "identity"):
            return None
        if name not in ("gzip", "x-gzip", "deflate"):
            message = f"`Content-Encoding: {name[:40]}` is not understood; send gzip, deflate or none"
            raise UnsupportedType(message, param="content-encoding")
        return name


class Inflate(Protocol):
    """What `zlib.decompressobj` gives."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...


def _unpacked(data: bytes, encoding: str, bytes_max: int) -> bytes:
    """Unpack, never holding more than what is allowed."""
    inflate: Inflate = zlib.decompressobj(_bits(data, encoding))
    out = bytearray()
    try:
        while data and not inflate.eof:
            out += inflate.decompress(data, _INFLATE_PIECE_BYTES)
            data = inflate.unconsumed_tail
            if len(out) > bytes_max:
                raise _too_large(bytes_max)
    except zlib.error as error:
        raise BadRequest(f"The body is not valid {encoding}", param="content-encoding") from error
    if not inflate.eof or inflate.unused_data:
        raise BadRequest(f"The body is not one whole {encoding} stream", param="content-encoding")
    return bytes(out)


def _bits(data: bytes, encoding: str) -> int:
    if encoding != "deflate":
        return _GZIP_BITS
    # RFC 9110 means zlib by `deflate`; some clients send it raw.
    is_zlib = data[0] & 15 == _ZLIB_METHOD and int.from_bytes(data[:2]) % _ZLIB_CHECK == 0
    return _ZLIB_BITS if is_zlib else _RAW_BITS


def _too_large(bytes_max: int) -> TooLarge:
    return TooLarge(f"The body is larger than {bytes_max:,} bytes; name large inputs by URL or upload them as files")
