"""Speech of simulated vendors: 24 kHz mono samples that sound like the text and carry it, so that it can be read back.

Spoken by espeak-ng with the `sandbox` extra, else a melody with a note per letter. The text itself is hidden in the
lowest bit of the first samples: inaudible, and it outlives every lossless wrapping, e.g. raw samples put into a WAV.
"""

import hashlib
import math
import zlib
from array import array

from halley.vendors.simulate.codecs import RATE, SAMPLE_BYTES, has_codecs, restretched
from halley.vendors.simulate.espeak import Manner, voice_engine

TEXT_CHARACTERS_MAX = 8_192
FRAMES_MAX = 64
"""Of hidden texts in one sound, read or not."""
SPEED_MIN, SPEED_MAX = 0.25, 4.0

_MAGIC = hashlib.sha256(b"halley sandbox speech").digest()[:8]
_LENGTH_BYTES, _CHECK_BYTES = 4, 4
_HIDDEN_BYTES_MAX = 4 * TEXT_CHARACTERS_MAX
_TO_BITS = bytes(48 + (value & 1) for value in range(256))

_NOTE_S, _GAP_S, _PAUSE_S = 0.055, 0.045, 0.16
_SCALE = (0, 2, 4, 7, 9, 12, 14, 16, 19, 21)
_LOUDNESS = 6_000


def speak(text: str, *, voice: str = "", speed: float = 1.0) -> bytes:
    """The text as 16-bit little-endian mono samples at 24 kHz; each voice has a timbre of its own.

    Takes processor time: call it beside the event loop.
    """
    assert SPEED_MIN <= speed <= SPEED_MAX, speed
    said = text[:TEXT_CHARACTERS_MAX]
    return hide_text(_spoken(said, voice, speed) or melody(said, voice=voice, speed=speed), said)


def melody(text: str, *, voice: str = "", speed: float = 1.0) -> bytes:
    """A note per letter, rests between words, longer ones after sentences: what is heard without the extra."""
    base_hz = 180 + _dice(voice) % 160
    segments: dict[int, bytes] = {}
    parts: list[bytes] = []
    for character in text:
        kind = ord(character) % len(_SCALE) if character.isalnum() else (-1 if character in ".!?;:\n" else -2)
        if kind not in segments:
            segments[kind] = _segment(kind, base_hz, speed)
        parts.append(segments[kind])
    return b"".join(parts)


def hide_text(pcm: bytes, text: str) -> bytes:
    """The same sound with the text in its lowest bits, lengthened by silence if it is too short for it."""
    payload = text.encode("utf-8", "replace")[:_HIDDEN_BYTES_MAX]
    frame = _MAGIC + len(payload).to_bytes(_LENGTH_BYTES) + payload + zlib.crc32(payload).to_bytes(_CHECK_BYTES)
    count = len(frame) * 8
    marked = bytearray(pcm.ljust(count * SAMPLE_BYTES, b"\0"))
    end = count * SAMPLE_BYTES
    marked[0:end:SAMPLE_BYTES] = bytes(
        low & 0xFE | bit - 48 for low, bit in zip(marked[0:end:SAMPLE_BYTES], _bits(frame), strict=True)
    )
    return bytes(marked)


def hidden_text(pcm: bytes) -> str | None:
    """What our own speech said in these samples, wherever it begins in them; `None` if there is none of ours."""
    bits = pcm[0 : len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES : SAMPLE_BYTES].translate(_TO_BITS)
    magic = _bits(_MAGIC)
    found: list[str] = []
    place = bits.find(magic)
    for _ in range(FRAMES_MAX):
        if place < 0:
            break
        text, end = _read_frame(bits, place + len(magic))
        if text:
            found.append(text)
        place = bits.find(magic, end)
    return " ".join(found) if found else None


def duration_s(pcm: bytes) -> float:
    """How long these samples sound."""
    return len(pcm) / SAMPLE_BYTES / RATE


def _spoken(text: str, voice: str, speed: float) -> bytes:
    engine = voice_engine() if has_codecs() else None
    if engine is None:
        return b""
    raw = engine.say(text, _manner(voice))
    return restretched(raw, rate=engine.rate, speed=speed)


def _manner(voice: str) -> Manner:
    timbres = ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7")
    dice = _dice(voice)
    return Manner(variant=timbres[dice % len(timbres)], pitch=35 + dice // 16 % 31)


def _dice(voice: str) -> int:
    return int.from_bytes(hashlib.sha256(voice.encode()).digest()[:4])


def _segment(kind: int, base_hz: float, speed: float) -> bytes:
    """A note (its place in the scale), a rest (-2) or a long rest (-1)."""
    if kind < 0:
        return bytes(SAMPLE_BYTES * round((_PAUSE_S if kind == -1 else _GAP_S) * RATE / speed))
    count = round(_NOTE_S * RATE / speed)
    step = 2 * math.pi * base_hz * 2 ** (_SCALE[kind] / 12) / RATE
    loudness = [_LOUDNESS * math.sin(math.pi * place / count) for place in range(count)]
    note = array("h", (round(loudness[place] * math.sin(step * place)) for place in range(count)))
    return b"".join(sample.to_bytes(SAMPLE_BYTES, "little", signed=True) for sample in note)


def _bits(data: bytes) -> bytes:
    """The bits as the characters `0` and `1`."""
    return bin(int.from_bytes(b"\1" + data))[3:].encode()


def _read_frame(bits: bytes, start: int) -> tuple[str | None, int]:
    """The text of the frame whose magic ends here, and where to look on."""
    body = start + _LENGTH_BYTES * 8
    length = _number(bits[start:body])
    end = body + (length + _CHECK_BYTES) * 8
    if length > _HIDDEN_BYTES_MAX or end > len(bits):
        return None, start
    payload = _number(bits[body : body + length * 8]).to_bytes(length)
    if zlib.crc32(payload) != _number(bits[body + length * 8 : end]):
        return None, start
    return payload.decode("utf-8", "replace"), end


def _number(bits: bytes) -> int:
    return int(bits, 2) if bits else 0
