"""Bounded unpacking of reply bodies that came compressed though `identity` was asked for."""

import zlib

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class BadEncoding(Exception):
    """The body is not what its content-encoding says, or in one that we do not read."""


def decode_body(body: bytes, encoding: str, bytes_max: int) -> bytes | None:
    """Unpack a whole body; None when it would exceed `bytes_max`, of which at most one byte more is ever made."""
    window_bits = _WINDOW_BITS.get(encoding.strip().lower())
    if window_bits is None:
        raise BadEncoding("the reply has a content-encoding that was not asked for and that we cannot read")
    unpacker = zlib.decompressobj(window_bits)
    try:
        unpacked = unpacker.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise BadEncoding(f"the reply is not the {encoding.strip().lower()} that it says it is") from error
    if len(unpacked) > bytes_max:
        return None
    if not unpacker.eof:
        raise BadEncoding("the compressed reply was cut short")
    return unpacked
