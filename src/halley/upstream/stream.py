"""A reply as its reader sees it: bounded, unpacked if it came compressed, and closed if it is left."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from halley.upstream.encoding import BadEncoding, Unpacker, decode_body
from halley.upstream.errors import OutcomeUnknown, ReplyTooLarge
from halley.upstream.headers import joined
from halley.upstream.incoming import READ_AHEAD_BYTES, Incoming, Tap

UNPACK_BYTES_MAX = 256 * 1024
"""Unpacked at once, so that a bomb neither fills the memory nor holds the loop."""


class ReplyStream:
    """The `UpstreamStream` of our own client. Raises the failure of a reply whose head has not come."""

    def __init__(self, incoming: Incoming, head_us: int) -> None:
        if not incoming.status:
            assert incoming.failure is not None, "a reply without a head has failed"
            raise incoming.failure
        self._incoming = incoming
        self._bytes_max = incoming.request.reply_bytes_max
        self._received = 0
        self._packed = 0
        self._unpacker: Unpacker | None = None
        self.status = incoming.status
        self.headers = joined(incoming.headers)
        self.head_us = head_us
        self._encoding = self.headers.get("content-encoding", "").strip().lower()
        self._is_plain = self._encoding in ("", "identity")

    async def read(self) -> bytes:
        """Give what has arrived, waiting for the next piece only if there is nothing; `b""` at the proper end."""
        if not self._received:
            self._check_told_length()
        if not self._is_plain:
            piece = await self._unpacked()
        else:
            incoming = self._incoming
            # A stream spends its life here: it waits without `wait` and `_raw` between.
            waiter = None if incoming.pieces else incoming.expect(1)
            if waiter is not None:
                try:
                    await waiter
                except asyncio.CancelledError:
                    incoming.leave()
                    raise
            piece = incoming.take() if incoming.pieces else self._end()
        self._received += len(piece)
        if self._received > self._bytes_max:
            raise self._too_large()
        return piece

    async def pour(self, tap: Tap) -> None:
        """Hand pieces to `tap` where they come in, waking nobody; return when there is something to `read`."""
        incoming = self._incoming
        if not self._is_plain or not self._received or incoming.pieces:
            return
        waiter = incoming.expect(1)
        if waiter is None:
            return

        def counting(piece: bytes) -> bool:
            if self._received + len(piece) > self._bytes_max or not tap(piece):
                return False
            self._received += len(piece)
            return True

        incoming.tap = counting
        try:
            await waiter
        except asyncio.CancelledError:
            incoming.leave()
            raise
        finally:
            incoming.tap = None

    async def read_all(self) -> bytes:
        """Give the whole rest at once."""
        if self._unpacker is not None:
            return b"".join([piece async for piece in self._pieces()])
        self._check_told_length()
        packed = await self._raw_all()
        if self._is_plain or not packed:
            return packed
        # Some CDNs compress whatever was asked. A large body would hold the loop, so it is unpacked aside.
        try:
            body = await asyncio.to_thread(decode_body, packed, self._encoding, self._bytes_max)
        except BadEncoding as error:
            raise OutcomeUnknown(str(error), status=self.status) from error
        if body is None:
            raise self._too_large()
        return body

    async def aclose(self) -> None:
        """Leave: unless the body is complete, the connection is closed at once."""
        self._incoming.leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._incoming.leave()

    async def _raw(self) -> bytes:
        incoming = self._incoming
        if not incoming.pieces:
            await incoming.wait(1)
        return incoming.take() if incoming.pieces else self._end()

    def _end(self) -> bytes:
        if self._incoming.failure is not None:
            raise self._incoming.failure
        return b""

    async def _raw_all(self) -> bytes:
        incoming, pieces = self._incoming, list[bytes]()
        while True:
            await incoming.wait(READ_AHEAD_BYTES)
            if incoming.pieces:
                piece = incoming.take()
                self._count(len(piece))
                pieces.append(piece)
            elif incoming.failure is not None:
                raise incoming.failure
            if incoming.ended:
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece

    async def _unpacked(self) -> bytes:
        try:
            if self._unpacker is None:
                self._unpacker = Unpacker(self._encoding)
            return await self._unpack(self._unpacker)
        except BadEncoding as error:
            self._incoming.leave()
            raise OutcomeUnknown(str(error), status=self.status) from error

    async def _unpack(self, unpacker: Unpacker) -> bytes:
        while True:
            packed = b"" if unpacker.pending else await self._raw()
            if packed and unpacker.ended:
                # No more can be said in it, so nobody waits for the proper end.
                self._incoming.leave()
                return b""
            if not packed and not unpacker.pending:
                unpacker.finish()
                return b""
            # Whatever it unpacks to, if only to nothing.
            self._packed += len(packed)
            if self._packed > self._bytes_max:
                raise self._too_large()
            piece = unpacker.feed(packed, UNPACK_BYTES_MAX)
            if piece:
                return piece

    def _count(self, size: int) -> None:
        self._received += size
        if self._received > self._bytes_max:
            raise self._too_large()

    def _check_told_length(self) -> None:
        length = self.headers.get("content-length", "")
        # The length that a HEAD reply tells is not its own.
        if length.isdigit() and int(length) > self._bytes_max and self._incoming.request.method != "HEAD":
            raise self._too_large()

    def _too_large(self) -> ReplyTooLarge:
        self._incoming.leave()
        return ReplyTooLarge(f"the reply is larger than {self._bytes_max} bytes", status=self.status)
