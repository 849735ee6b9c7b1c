"""One whole reply on its way, as a future: nobody reads its pieces, so there is nothing to wake before its end."""

import asyncio
from math import inf

from halley.kernel.clock import MICROSECONDS, Clock
from halley.upstream.connection import Connection
from halley.upstream.encoding import BadEncoding, decode_body
from halley.upstream.errors import OutcomeUnknown, ReplyTooLarge, UpstreamError
from halley.upstream.headers import Pairs, joined_bytes
from halley.upstream.messages import UpstreamRequest, WholeReply


class Pending(asyncio.Future[WholeReply]):
    """The exchange and the future of its reply in one. Cancelled before its end, it closes the connection at once."""

    __slots__ = (
        "_began_s",
        "_body",
        "_bytes_max",
        "_clock",
        "_content_type",
        "_encoding",
        "_head_us",
        "_received",
        "connection",
        "ended",
        "failure",
        "headers",
        "quiet_at",
        "request",
        "status",
        "total_at",
    )

    connection: Connection

    def __init__(
        self, loop: asyncio.AbstractEventLoop, request: UpstreamRequest, total_at: float, clock: Clock
    ) -> None:
        super().__init__(loop=loop)
        self._clock = clock
        self._began_s = clock.monotonic()
        self._bytes_max = request.reply_bytes_max
        self._received = 0
        self._body: bytes | bytearray = b""
        self._content_type = ""
        self._encoding = ""
        self._head_us = 0
        self.request = request
        self.total_at = total_at
        self.quiet_at = inf
        self.status = 0
        self.headers: Pairs = ()
        self.ended = False
        self.failure: UpstreamError | None = None

    def cancel(self, msg: str | None = None) -> bool:
        """Who waits goes; the other side shall see it at once."""
        if not super().cancel(msg):
            return False
        if not self.ended and self.failure is None:
            self.failure = OutcomeUnknown("the reply was left before its end", status=self.status or None)
            self.connection.abort()
        return True

    def take_head(self, status: int, headers: Pairs) -> None:
        """The head has come; a body that is too large need not."""
        self._head_us = int((self._clock.monotonic() - self._began_s) * MICROSECONDS)
        self.status = status
        self.headers = headers
        self.quiet_at = inf
        values = {name.lower(): value for name, value in headers}
        if len(values) < len(headers):
            values = joined_bytes(headers)
        content_type = values.get(b"content-type", b"")
        if content_type.isascii():
            self._content_type = content_type.decode("ascii")
        encoding = values.get(b"content-encoding")
        if encoding is not None and encoding.isascii():  # else it is left out, as any header is
            encoding = encoding.decode("ascii").strip().lower()
            self._encoding = "" if encoding == "identity" else encoding
        length = values.get(b"content-length", b"")
        # The length that a HEAD reply tells is not its own.
        if length.isdigit() and int(length) > self._bytes_max and self.request.method != "HEAD":
            self.fail(self._too_large())

    def add(self, piece: bytes) -> None:
        """A piece of the body has come. More than one is gathered in place: a list of tiny ones would cost far more."""
        self._received += len(piece)
        if self._received > self._bytes_max:
            self.fail(self._too_large())
        elif self._body:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece
        else:
            self._body = piece

    def notify(self) -> None:
        """Something came; give the reply if it was its end."""
        if self.ended:
            if self._encoding and self._body:
                self._unpack()
            else:
                self._give(bytes(self._body))
        elif self.status and self.request.stall_timeout_s is not None:
            self.quiet_at = self.connection.loop.time() + self.request.stall_timeout_s
            if self.quiet_at < self.connection.rings_at:
                self.connection.ring_by(self.quiet_at)

    def fail(self, failure: UpstreamError) -> None:
        """It will not end properly; the first reason counts."""
        if self.ended or self.failure is not None:
            return
        self.failure = failure
        self._body = b""
        self._break(failure)

    def _give(self, body: bytes) -> None:
        self.set_result(
            WholeReply(
                status=self.status,
                body=body,
                head_us=self._head_us,
                content_type=self._content_type,
                received=self.headers,
            )
        )

    def _break(self, failure: UpstreamError) -> None:
        """Raise it to who waits, with the head if that came: the status may say enough."""
        if isinstance(failure, OutcomeUnknown):
            failure.status = self.status or None
            failure.headers = self.headers
        self.set_exception(failure)

    def _unpack(self) -> None:
        """Some CDNs compress whatever was asked. It is rare and may be large, so it never holds the loop."""
        job = self.connection.loop.run_in_executor(
            None, decode_body, bytes(self._body), self._encoding, self._bytes_max
        )
        job.add_done_callback(self._unpacked)

    def _unpacked(self, job: asyncio.Future[bytes | None]) -> None:
        error = job.exception()
        if self.done():
            return
        if isinstance(error, BadEncoding):
            failure = OutcomeUnknown(str(error))
            failure.__cause__ = error
            self._break(failure)
        elif error is not None:
            self.set_exception(error)
        else:
            body = job.result()
            if body is None:
                self._break(self._too_large())
            else:
                self._give(body)

    def _too_large(self) -> ReplyTooLarge:
        return ReplyTooLarge(f"the reply is larger than {self._bytes_max} bytes")
