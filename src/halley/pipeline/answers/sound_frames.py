"""How long sound in frames is, by those that a decoder finds: MPEG's (MP3, and layers I and II), and AAC's. Pure.

The first frame may say how many there are, and a recording's sender may write there what they like.
"""

import re
from functools import lru_cache
from itertools import product

LOOK_BYTES = 64 * 1024
"""Looked through for the next frame in one go: the interpreter does nothing else meanwhile."""
_RATES_TOLD = b"".join(b"\\x%x0-\\x%xb" % (kbits, kbits) for kbits in range(1, 15))
_HEADER = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][" + _RATES_TOLD + rb"]")
"""What begins a frame, three bytes of it: nothing of it reserved, and a rate of bits that is told."""
_TAG, _TAG_BYTES = b"ID3", 10
_VERSION_1 = 3
_VERSIONS = {0: 4, 2: 2, _VERSION_1: 1}
"""As a header spells a version: what the sampling rates of version 1 are divided by."""
_RATES = (44_100, 48_000, 32_000)
_LAYERS = {3: 1, 2: 2, 1: 3}
_KBITS = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By whether it is version 1, and by layer."""
_LAYER_I_SAMPLES, _LAYER_I_SLOT = 384, 4
_SAMPLES, _SAMPLES_LOW = 1_152, 576
_AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_AAC_RATES_TOLD = b"".join(b"\\x%02x" % third for third in range(256) if third >> 2 & 0xF < len(_AAC_RATES))
_AAC_TOO_SHORT = rb"[" + b"".join(b"\\x%02x" % fourth for fourth in range(0, 256, 4)) + rb"]\x00[\x00-\xdf]"
_AAC_HEADER = re.compile(
    rb"\xff[\xf0\xf1\xf8\xf9][" + _AAC_RATES_TOLD + rb"](?!" + _AAC_TOO_SHORT + rb").{4}", re.DOTALL
)
"""All of what begins a frame of AAC that is no shorter than this: https://wiki.multimedia.cx/index.php/ADTS."""
_AAC_HEADER_BYTES, _AAC_SAMPLES = 7, 1_024
Frame = tuple[int, float]
"""Bytes and seconds."""


def seconds_of_frames(data: bytes) -> float:
    """Give how long all frames of MPEG last together. It takes a while: call it in a thread."""
    frames, at, seconds = _frames(), _behind_tag(data), 0.0
    while at < len(data):
        found = _HEADER.search(data, at, at + LOOK_BYTES)
        if found is None:
            at += LOOK_BYTES - 2
        else:
            size, lasts = frames[found[0]]
            at = found.start() + size
            seconds += lasts
    return seconds


def seconds_of_aac(data: bytes) -> float:
    """Give the same of AAC; 0 of what is none, as it does not begin so or has most of its bytes outside of frames."""
    start = at = _behind_tag(data)
    if _AAC_HEADER.match(data, start) is None:
        return 0.0
    framed, seconds = 0, 0.0
    while at < len(data):
        found = _AAC_HEADER.search(data, at, at + LOOK_BYTES)
        if found is None:
            at += LOOK_BYTES - _AAC_HEADER_BYTES + 1
        else:
            header = found[0]
            size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
            at = found.start() + size
            framed += size
            seconds += (1 + (header[6] & 3)) * _AAC_SAMPLES / _AAC_RATES[header[2] >> 2 & 0xF]
    return seconds if 2 * framed > len(data) - start else 0.0


def _behind_tag(data: bytes) -> int:
    """Give where the sound begins: a tag may hold pictures, in which there is what looks like frames."""
    if not data.startswith(_TAG) or len(data) < _TAG_BYTES:
        return 0
    size = 0
    for seven_bits in data[6:_TAG_BYTES]:
        size = size << 7 | seven_bits & 0x7F
    return _TAG_BYTES + size


@lru_cache(maxsize=1)
def _frames() -> dict[bytes, Frame]:
    """Give what frame a header begins."""
    found: dict[bytes, Frame] = {}
    for version, layer, rate, place, rest in product(_VERSIONS, _LAYERS, range(3), range(14), range(8)):
        unprotected, padded, private = rest & 1, rest >> 1 & 1, rest >> 2
        kbits = _KBITS[version == _VERSION_1, _LAYERS[layer]][place]
        second = 0xE0 | version << 3 | layer << 1 | unprotected
        third = (place + 1) << 4 | rate << 2 | padded << 1 | private
        found[bytes((0xFF, second, third))] = _frame(
            version, _LAYERS[layer], _RATES[rate] // _VERSIONS[version], kbits, padded
        )
    return found


def _frame(version: int, layer: int, rate: int, kbits: int, padded: int) -> Frame:
    slot = 1
    if layer == 1:
        samples, slot = _LAYER_I_SAMPLES, _LAYER_I_SLOT
    elif layer == len(_LAYERS) and version != _VERSION_1:
        samples = _SAMPLES_LOW
    else:
        samples = _SAMPLES
    return (samples // 8 // slot * kbits * 1_000 // rate + padded) * slot, samples / rate
