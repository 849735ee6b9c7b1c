"""Bounded unpacking of reply bodies that came compressed though `identity` was asked for."""

import zlib

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class BadEncoding(Exception):
    """The body is not what its content-encoding says, or in one that we do not read."""


class Unpacker:
    """Unpacks a body piece by piece, never more at once than it is asked for."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        window_bits = _WINDOW_BITS.get(self._encoding)
        if window_bits is None:
            raise BadEncoding("the reply has a content-encoding that was not asked for and that we cannot read")
        self._zlib = zlib.decompressobj(window_bits)
        self.pending = False
        """Whether `feed(b"", …)` may give more."""

    def feed(self, packed: bytes, bytes_max: int) -> bytes:
        """Unpack what is pending and then this, up to that many bytes. Raises `BadEncoding`."""
        try:
            unpacked = self._zlib.decompress(self._zlib.unconsumed_tail + packed, bytes_max)
        except zlib.error as error:
            raise BadEncoding(f"the reply is not the {self._encoding} that it says it is") from error
        # zlib may hold back a little that did not fit although it has taken all of the input.
        self.pending = not self._zlib.eof and (bool(self._zlib.unconsumed_tail) or len(unpacked) == bytes_max)
        return unpacked

    @property
    def ended(self) -> bool:
        """Whether the packed body had its end; nothing of what follows is looked at."""
        return self._zlib.eof

    def finish(self) -> None:
        """Check that the packed body had its end. Raises `BadEncoding`."""
        if not self._zlib.eof:
            raise BadEncoding("the compressed reply was cut short")


def decode_body(body: bytes, encoding: str, bytes_max: int) -> bytes | None:
    """Unpack a whole body; None when it would exceed `bytes_max`, of which at most one byte more is ever made."""
    unpacker = Unpacker(encoding)
    unpacked = unpacker.feed(body, bytes_max + 1)
    if len(unpacked) > bytes_max:
        return None
    unpacker.finish()
    return unpacked
