"""G.711, the audio of telephones (8 kHz, µ-law or A-law), to and from our samples. Pure."""

from array import array
from functools import cache
from typing import Literal

Law = Literal["ulaw", "alaw"]

_STEP = 3
"""Our samples per second are three times a telephone's."""
_BIAS, _CLIP = 0x84, 32_635


def to_g711(pcm: bytes, law: Law) -> bytes:
    """16-bit samples at 24 kHz as bytes at 8 kHz."""
    samples = array("h", pcm[: len(pcm) // 2 * 2])[::_STEP]
    encode = _to_ulaw if law == "ulaw" else _to_alaw
    return bytes(map(encode, samples))


def from_g711(data: bytes, law: Law) -> bytes:
    """Bytes at 8 kHz as 16-bit samples at 24 kHz."""
    table = _table(law)
    return b"".join([table[byte] for byte in data])


@cache
def _table(law: Law) -> tuple[bytes, ...]:
    decode = _from_ulaw if law == "ulaw" else _from_alaw
    return tuple(decode(byte).to_bytes(2, "little", signed=True) * _STEP for byte in range(256))


def _to_ulaw(sample: int) -> int:
    magnitude = min(abs(sample), _CLIP) + _BIAS
    exponent = magnitude.bit_length() - 8
    mantissa = magnitude >> exponent + 3 & 15
    return ~((0x80 if sample < 0 else 0) | exponent << 4 | mantissa) & 0xFF


def _from_ulaw(byte: int) -> int:
    value = ~byte & 0xFF
    magnitude = ((value & 15) << 3) + _BIAS << (value >> 4 & 7)
    return (_BIAS - magnitude) if value & 0x80 else (magnitude - _BIAS)


def _to_alaw(sample: int) -> int:
    magnitude = min(abs(sample), 32_767) >> 3
    exponent = max(0, magnitude.bit_length() - 5)
    mantissa = magnitude >> (exponent or 1) & 15
    return ((0x80 if sample >= 0 else 0) | exponent << 4 | mantissa) ^ 0x55


def _from_alaw(byte: int) -> int:
    value = byte ^ 0x55
    exponent, mantissa = value >> 4 & 7, value & 15
    magnitude = (mantissa << 4) + 8 if exponent == 0 else (mantissa << 4) + 0x108 << exponent - 1
    return magnitude if value & 0x80 else -magnitude
