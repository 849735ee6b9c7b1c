"""Writes samples as audio files, and reads from such files how long they are and what our own speech said in them.

WAV and raw samples need the standard library only; the other formats are written by what the `sandbox` extra brings.
"""

import struct
from typing import Literal, get_args

import msgspec

from halley.vendors.simulate.audio_probe import probe
from halley.vendors.simulate.codecs import RATE, SAMPLE_BYTES, Encoding, encode, has_codecs
from halley.vendors.simulate.speech import hidden_text

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FORMATS: tuple[AudioFormat, ...] = get_args(AudioFormat)
TYPES: dict[AudioFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
COMMENT = "Halley sandbox, simulated speech: "
"""What the comment of a file of ours begins with; the text follows."""

_ENCODINGS: dict[AudioFormat, Encoding] = {
    # The quickest ways to encode are good enough for a simulated voice.
    "mp3": Encoding(codec="libmp3lame", container="mp3", bit_rate=64_000, codec_options={"compression_level": "9"}),
    "opus": Encoding(codec="libopus", container="ogg", bit_rate=32_000, codec_options={"compression_level": "0"}),
    # ADTS has no place for a text; players skip an ID3 tag before it.
    "aac": Encoding(
        codec="aac",
        container="adts",
        bit_rate=64_000,
        options={"write_id3v2": "1"},
        codec_options={"aac_coder": "fast"},
    ),
    "flac": Encoding(codec="flac", container="flac"),
}


class SandboxMissing(Exception):
    """The format needs the `sandbox` extra, which is not installed."""

    def __init__(self, audio_format: str) -> None:
        super().__init__(
            f"the simulator writes `{audio_format}` only with `pip install 'halley[sandbox]'`; "
            f"without it, ask for `wav` or `pcm`"
        )


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What is heard in a file."""

    container: str
    duration_s: float
    text: str | None = None
    """What our own speech said in it."""


def write_audio(pcm: bytes, audio_format: AudioFormat, *, text: str) -> bytes:
    """The samples as a file whose comment is the text. Raises `SandboxMissing`. Takes processor time."""
    if audio_format == "pcm":
        return pcm
    if audio_format == "wav":
        return _wav(pcm, text)
    if not has_codecs():
        raise SandboxMissing(audio_format)
    return encode(pcm, _ENCODINGS[audio_format], comment=COMMENT + text)


def read_audio(data: bytes) -> Heard:
    """Listen to a WAV, FLAC, MP3, AAC, Ogg, MP4 or WebM file. Raises `BadAudio`."""
    probed = probe(data)
    text = None
    if probed.comment is not None and probed.comment.startswith(COMMENT):
        text = probed.comment.removeprefix(COMMENT)
    elif probed.samples is not None:
        text = hidden_text(probed.samples)
    return Heard(container=probed.container, duration_s=probed.duration_s, text=text)


def _wav(pcm: bytes, text: str) -> bytes:
    comment = (COMMENT + text).encode("utf-8", "replace") + b"\0"
    info = b"INFO" + _chunk(b"ICMT", comment) + _chunk(b"ISFT", b"Halley sandbox\0")
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES)
    return _chunk(b"RIFF", b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"LIST", info) + _chunk(b"data", pcm))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
