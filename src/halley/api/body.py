"""Reads the bodies of requests: bounded in bytes, in time, in what they unpack to, and over all calls together."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from halley.api.asgi import ClientLeft, Message, Receive
from halley.api.gate import LARGE_FROM_BYTES, BodyGates, Share
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
        share: Share | None = None,
        idle_s: float = IDLE_S,
        whole_s: float = WHOLE_S,
    ) -> None:
        """`share` is what the call holds of what all bodies may be together; without it there is no such bound."""
        self._receive = receive
        self._headers = headers
        self._bytes_max = bytes_max
        self._came: bytes | None = None
        self._length: int | None = None
        self._share = share or Share(BodyGates())
        self._idle_s = idle_s
        self._whole_s = whole_s

    def came(self, body: bytes) -> None:
        """Take it that the whole body is there already; what the headers say of its length may be of another one."""
        self._came, self._length = body, len(body)

    async def json_bytes(self) -> bytes:
        """Read what should be JSON, undecoded. Raises `BadRequest`, `TooLarge`, `ClientLeft`."""
        kind = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in FORMS:
            message = f"The body is `{kind}`; send JSON with `content-type: application/json`"
            raise UnsupportedType(message, param="content-type")
        return await self.read()

    async def json(self) -> dict[str, Any]:
        """Read a JSON object. Raises `BadRequest`, `TooLarge`, `ClientLeft`."""
        data = await self.json_bytes()
        if len(data) <= LARGE_FROM_BYTES:
            return codec.decode_object(data)
        async with self._share.decoding:
            return await asyncio.to_thread(codec.decode_object, data)

    async def read(self) -> bytes:
        """Read it whole and unpacked. Raises `Draining` when all bodies together are too many."""
        encoding = self._encoding()
        came, self._came = self._came, None
        if came is not None and encoding is None and len(came) <= self._bytes_max and self._share.need_now(len(came)):
            return came
        data = await self._whole(packed=encoding is not None)
        if encoding is not None and data:
            data = await self._unpacked(data, encoding)
        self._share.keep(len(data))
        return data

    async def _whole(self, *, packed: bool) -> bytes:
        declared = None if packed else self._declared()
        await self._share.need(self._room(declared))
        pieces: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            pieces.append(chunk)
            size += len(chunk)
            if declared is None and size > LARGE_FROM_BYTES:
                await self._share.need(self._bytes_max)
        return b"".join(pieces)

    def _room(self, known: int | None) -> int:
        """Give what to ask for first: once, so that no two calls that each hold a part wait for each other."""
        if known is not None:
            return known
        return LARGE_FROM_BYTES if (self._declared() or 0) <= LARGE_FROM_BYTES else self._bytes_max

    async def _unpacked(self, data: bytes, encoding: str) -> bytes:
        """Unpack; only what turns out to be large takes the room and the time of a large one."""
        small = min(LARGE_FROM_BYTES, self._bytes_max)
        try:
            return await asyncio.to_thread(_unpacked, data, encoding, small)
        except TooLarge:
            if small == self._bytes_max:
                raise
        await self._share.need(self._bytes_max)
        async with self._share.decoding:
            return await asyncio.to_thread(_unpacked, data, encoding, self._bytes_max)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give what comes as it comes, packed as it is."""
        self._declared()
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

    def _declared(self) -> int | None:
        """Give the length that the request declares. Raises `TooLarge`, or `BadRequest` for one that is no number."""
        text = self._headers.get("content-length") if self._length is None else str(self._length)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal()):
            raise BadRequest("`Content-Length` must be a number", param="content-length")
        if len(text) > len(str(self._bytes_max)) + 1 or int(text) > self._bytes_max:
            raise _too_large(self._bytes_max)
        return int(text)

    def _encoding(self) -> str | None:
        name = self._headers.get("content-encoding")
        if name is None:
            return None
        name = name.strip().lower()
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
