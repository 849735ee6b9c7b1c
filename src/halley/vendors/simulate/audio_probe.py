"""Measures audio files and finds their comments from their headers alone: nothing is decoded, no native code is fed.

WAV, FLAC, MP3, AAC (ADTS), Ogg (Opus, Vorbis), MP4 and WebM.
"""

import struct
from collections.abc import Callable, Iterator, Mapping

import msgspec

BYTES_MAX = 64 * 1024 * 1024
FRAMES_MAX = 2_000_000
CHUNKS_MAX = 100_000

_WHOLE = 0xFFFFFFFF
_TAG_HEAD_BYTES = 10
_OPUS_RATE = 48_000
_TABLE_BYTES = 48


class BadAudio(ValueError):
    """The file is no audio that can be read; the text may be shown to the caller."""


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What a file's headers say."""

    container: str
    duration_s: float
    comment: str | None = None
    samples: bytes | None = None
    """Of a WAV with 16-bit mono samples: these."""
    rate: int = 0


def probe(data: bytes) -> Probed:
    """Look at a file. Raises `BadAudio`."""
    reader = _reader_for(data)
    if reader is None or len(data) > BYTES_MAX:
        raise BadAudio("it is not a FLAC, MP3, MP4, AAC, Ogg, WAV or WebM file")
    try:
        probed = reader(data)
    except (struct.error, IndexError, ZeroDivisionError) as error:
        raise BadAudio("the audio file is broken or cut short") from error
    if probed.duration_s <= 0:
        raise BadAudio("the audio file holds no sound")
    return probed


def _reader_for(data: bytes) -> "_Reader | None":
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _wav
    if data[:4] in _BY_HEAD:
        return _BY_HEAD[data[:4]]
    if data[4:8] == b"ftyp":
        return _mp4
    start = _behind_tag(data)
    sync = data[start : start + 2]
    if len(sync) == 2 and sync[0] == 0xFF and sync[1] & 0xE0 == 0xE0:  # noqa: PLR2004  (a frame's sync of 11 bits)
        # Layer 0 is AAC in ADTS, the others are MPEG audio.
        return _adts if sync[1] & 0x06 == 0 else _mpeg
    return None


# WAV


def _wav(data: bytes) -> Probed:
    form, comment, samples = b"", None, None
    for name, body in _riff_chunks(data, 12):
        match name:
            case b"fmt ":
                form = body
            case b"LIST" if body[:4] == b"INFO":
                comment = _text(dict(_riff_chunks(body, 4)).get(b"ICMT", b"").rstrip(b"\0"))
            case b"data":
                samples = body
            case _:
                pass
    if samples is None:
        raise BadAudio("the WAV file holds no samples")
    kind, channels, rate, bytes_per_s, _, bits = struct.unpack("<HHIIHH", form[:16])
    is_plain = (kind, channels, bits) == (1, 1, 16)
    return Probed(
        container="wav",
        duration_s=len(samples) / bytes_per_s,
        comment=comment,
        samples=samples if is_plain else None,
        rate=rate,
    )


def _riff_chunks(data: bytes, start: int) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of each chunk; one that a stream left open reaches to the end."""
    for _ in range(CHUNKS_MAX):
        if start + 8 > len(data):
            return
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        yield data[start : start + 4], data[start + 8 :] if size == _WHOLE else data[start + 8 : start + 8 + size]
        start += 8 + size + size % 2


# FLAC and Ogg


def _flac(data: bytes) -> Probed:
    start, rate, total, comment = 4, 0, 0, None
    for _ in range(CHUNKS_MAX):
        kind, size = data[start] & 0x7F, int.from_bytes(data[start + 1 : start + 4])
        body = data[start + 4 : start + 4 + size]
        if kind == 0:
            packed = int.from_bytes(body[10:18])
            rate, total = packed >> 44, packed & (1 << 36) - 1
        elif kind == 4:  # noqa: PLR2004  (comments)
            comment = _vorbis_comment(body)
        if data[start] & 0x80:
            break
        start += 4 + size
    return Probed(container="flac", duration_s=total / rate, comment=comment, rate=rate)


def _ogg(data: bytes) -> Probed:
    head = data[28:64]
    if head.startswith(b"OpusHead"):
        rate, skipped = _OPUS_RATE, int.from_bytes(head[10:12], "little")
    elif head[1:7] == b"vorbis":
        rate, skipped = int.from_bytes(head[12:16], "little"), 0
    else:
        raise BadAudio("the Ogg file holds neither Opus nor Vorbis")
    last = data.rfind(b"OggS")
    granules = struct.unpack("<q", data[last + 6 : last + 14])[0]
    return Probed(container="ogg", duration_s=max(0, granules - skipped) / rate, comment=_ogg_comment(data), rate=rate)


def _ogg_comment(data: bytes) -> str | None:
    """The comment in the second packet, put together from its pages."""
    packet, start, packets = bytearray(), 0, 0
    while packets < 2 and data[start : start + 4] == b"OggS":  # noqa: PLR2004  (the second packet)
        segments = data[start + 27 : start + 27 + data[start + 26]]
        place = start + 27 + len(segments)
        for size in segments:
            if packets == 1:
                packet += data[place : place + size]
            place += size
            if size < 255:  # noqa: PLR2004  (a packet's last segment is shorter)
                packets += 1
        start = place
    for mark in (b"OpusTags", b"\3vorbis"):
        if packet.startswith(mark):
            return _vorbis_comment(bytes(packet[len(mark) :]))
    return None


def _vorbis_comment(body: bytes) -> str | None:
    place = 4 + int.from_bytes(body[:4], "little")
    number = int.from_bytes(body[place : place + 4], "little")
    place += 4
    for _ in range(min(number, CHUNKS_MAX)):
        size = int.from_bytes(body[place : place + 4], "little")
        name, _, text = body[place + 4 : place + 4 + size].partition(b"=")
        if name.lower() in (b"comment", b"description"):
            return _text(text)
        place += 4 + size
    return None


# MP3 and AAC

_MPEG_RATES = (44_100, 48_000, 32_000)
_KBPS_V1 = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
}
_KBPS_V2 = {
    1: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
}
_ADTS_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)


def _mpeg(data: bytes) -> Probed:
    # The first frame may hold a table of the others, and no sound.
    start = place = _behind_tag(data)
    seconds = 0.0
    for _ in range(FRAMES_MAX):
        frame = _mpeg_frame(data[place : place + 4])
        if frame is None:
            break
        if place > start or not any(mark in data[start : start + _TABLE_BYTES] for mark in (b"Xing", b"Info")):
            seconds += frame[1]
        place += frame[0]
    return Probed(container="mp3", duration_s=seconds, comment=_tag_comment(data))


def _mpeg_frame(head: bytes) -> tuple[int, float] | None:
    """Bytes and seconds of a frame; `None` where there is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:  # noqa: PLR2004  (sync)
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate_at, kbps_at, padding = head[2] >> 2 & 3, head[2] >> 4, head[2] >> 1 & 1
    if version == 1 or layer == 0 or rate_at == 3 or kbps_at in (0, 15):  # noqa: PLR2004  (reserved, or free format)
        return None
    rate = _MPEG_RATES[rate_at] >> {3: 0, 2: 1, 0: 2}[version]
    bits_per_s = 1_000 * (_KBPS_V1 if version == 3 else _KBPS_V2)[layer][kbps_at]  # noqa: PLR2004  (MPEG 1)
    if layer == 3:  # noqa: PLR2004  (layer I is counted backwards)
        return (12 * bits_per_s // rate + padding) * 4, 384 / rate
    samples = 576 if layer == 1 and version != 3 else 1_152  # noqa: PLR2004  (MPEG 1 has longer frames)
    return samples * bits_per_s // 8 // rate + padding, samples / rate


def _adts(data: bytes) -> Probed:
    place, frames, rate = _behind_tag(data), 0, 0
    for _ in range(FRAMES_MAX):
        head = data[place : place + 7]
        if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:  # noqa: PLR2004  (sync)
            break
        rate = _ADTS_RATES[head[2] >> 2 & 15]
        size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        frames += 1 + (head[6] & 3)
        place += max(7, size)
    return Probed(container="aac", duration_s=frames * 1_024 / rate, comment=_tag_comment(data), rate=rate)


def _behind_tag(data: bytes) -> int:
    """Where the sound begins behind an ID3 tag."""
    return _TAG_HEAD_BYTES + _syncsafe(data[6:10]) if data[:3] == b"ID3" and len(data) > _TAG_HEAD_BYTES else 0


def _tag_comment(data: bytes) -> str | None:
    """The comment in an ID3v2 tag, as `COMM` or as a user's text of that name."""
    place, end = _TAG_HEAD_BYTES, _behind_tag(data)
    for _ in range(CHUNKS_MAX):
        name, size_bytes = data[place : place + 4], data[place + 4 : place + 8]
        if place + _TAG_HEAD_BYTES > end or not name.strip(b"\0"):
            return None
        size = _syncsafe(size_bytes) if data[3] >= 4 else int.from_bytes(size_bytes)  # noqa: PLR2004  (version 2.4)
        body = data[place + _TAG_HEAD_BYTES : place + _TAG_HEAD_BYTES + size]
        place += _TAG_HEAD_BYTES + size
        if name == b"COMM":
            return _tag_text(body[:1], body[4:])[1]
        if name == b"TXXX" and (found := _tag_text(body[:1], body[1:]))[0].lower() == "comment":
            return found[1]
    return None


def _tag_text(encoding: bytes, body: bytes) -> tuple[str, str]:
    """Description and text of a frame."""
    codec = {b"\0": "latin-1", b"\1": "utf-16", b"\2": "utf-16-be", b"\3": "utf-8"}.get(encoding, "latin-1")
    description, _, text = body.decode(codec, "replace").partition("\0")
    return description, text.rstrip("\0").removeprefix("\ufeff")


def _syncsafe(data: bytes) -> int:
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(data)))


# MP4 and WebM


def _mp4(data: bytes) -> Probed:
    movie = dict(_boxes(data, 0, len(data))).get(b"moov")
    header = None if movie is None else dict(_boxes(data, *movie)).get(b"mvhd")
    if header is None:
        raise BadAudio("the MP4 file has no header")
    start = header[0]
    if data[start] == 1:
        scale, length = struct.unpack(">IQ", data[start + 20 : start + 32])
    else:
        scale, length = struct.unpack(">II", data[start + 12 : start + 20])
    return Probed(container="mp4", duration_s=length / scale)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Name of each box, and where its body begins and ends."""
    for _ in range(CHUNKS_MAX):
        if start + 8 > end:
            return
        size, head = int.from_bytes(data[start : start + 4]), 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16]), 16
        stop = min(end, start + size) if size else end
        yield data[start + 4 : start + 8], (start + head, stop)
        start = max(start + head, stop)


_SEGMENT, _INFO, _SCALE, _DURATION, _CLUSTER, _TIME = (
    0x18538067, 0x1549A966, 0x2AD7B1, 0x4489, 0x1F43B675, 0xE7,
)  # fmt: skip


def _webm(data: bytes) -> Probed:
    scale, duration, last = 1_000_000, 0.0, 0
    for kind, start, stop in _elements(data):
        body = data[start:stop]
        if kind == _SCALE:
            scale = int.from_bytes(body)
        elif kind == _DURATION:
            duration = struct.unpack(">d" if len(body) == 8 else ">f", body)[0]  # noqa: PLR2004  (a double)
        elif kind == _TIME:
            last = int.from_bytes(body)
    # What a browser records live tells no duration; the last cluster begins at most some seconds before the end.
    return Probed(container="webm", duration_s=(duration or last + 1) * scale / 1e9)


def _elements(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, begin and end of each element; those of segments, their info and clusters too."""
    place = 0
    for _ in range(FRAMES_MAX):
        if place + 2 > len(data):
            return
        kind, place = _number(data, place, keep_mark=True)
        size, place = _number(data, place, keep_mark=False)
        if kind in (_SEGMENT, _INFO, _CLUSTER):
            continue
        yield kind, place, min(len(data), place + size)
        place += size


def _number(data: bytes, place: int, *, keep_mark: bool) -> tuple[int, int]:
    """A number whose first bits tell how many bytes it has, and the place behind it."""
    length = 9 - data[place].bit_length()
    if length > 8:  # noqa: PLR2004  (no number is longer)
        raise BadAudio("the WebM file is broken")
    value = int.from_bytes(data[place : place + length])
    return value if keep_mark else value & (1 << 7 * length) - 1, place + length


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


_Reader = Callable[[bytes], Probed]
_BY_HEAD: Mapping[bytes, _Reader] = {b"fLaC": _flac, b"OggS": _ogg, b"\x1a\x45\xdf\xa3": _webm}
