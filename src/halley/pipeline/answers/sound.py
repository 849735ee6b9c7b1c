"""How long a recording is, read from its own headers as far as its bytes bear them out; without decoding it."""

import io
from typing import TYPE_CHECKING

from halley.kernel.body import FormBody, JsonBody
from halley.kernel.faults import BadRequest
from halley.pipeline.answers.sound_frames import seconds_of_aac, seconds_of_frames

if TYPE_CHECKING:
    from tinytag import TinyTag

PCM_BYTES_PER_SECOND = 48_000
"""16 bits, 24 kHz, one channel: the sound that comes without a header."""
RAW_BYTES_PER_SECOND_MAX = 400_000
"""Sound of the highest quality that anybody sends: what claims to be shorter than its bytes lies."""
KEPT_BYTES_MAX = 32 * 1024 * 1024
"""Of sound on its way, kept to be measured; what is longer is measured by its size."""
ENCODED_BYTES_PER_SECOND = 4_000
"""Speech at 32 kbit/s: most recordings have more bytes to a second, so that this counts more seconds than there are."""
SLACK_S = 1.0
"""By so much what is counted may differ from what is told: for tags, and frames without sound."""
_BYTES_PER_KBIT = 125
_WAVE, _FLAC, _MPEG = b"RIFF", b"fLaC", "audio/mpeg"


def seconds_of(data: bytes, *, pcm: bool = False, as_came: bool = False) -> float:
    """Give the length of a recording; of one that nobody can read, an estimate by its size.

    `as_came` is for what may have broken off: its first frame tells the length of the whole.
    """
    if pcm:
        return len(data) / PCM_BYTES_PER_SECOND
    # First, as readers of tags take AAC for MPEG.
    seconds = seconds_of_aac(data)
    if not seconds and (told := _told(data)) is not None:
        seconds = _borne_out(data, told, as_came=as_came)
    return max(seconds, len(data) / RAW_BYTES_PER_SECOND_MAX) if seconds else len(data) / ENCODED_BYTES_PER_SECOND


def recording(body: JsonBody | FormBody) -> bytes:
    """Give the recording that came with a call."""
    found = body.files("file") if isinstance(body, FormBody) else ()
    if len(found) > 1:
        raise BadRequest("`file` is there more than once; send one recording in a call", param="file")
    return found[0].data if found else b""


def _told(data: bytes) -> "TinyTag | None":
    from tinytag import TinyTag, TinyTagException

    try:
        return TinyTag.get(file_obj=io.BytesIO(data), tags=False)
    except TinyTagException:
        return None


def _borne_out(data: bytes, told: "TinyTag", *, as_came: bool) -> float:
    """Give the length that the headers tell, unless the bytes come to another; 0 where neither is known."""
    seconds = told.duration or 0.0
    counted = _counted(data, told, seconds, as_came=as_came)
    return seconds if seconds and abs(counted - seconds) <= SLACK_S else counted


def _counted(data: bytes, told: "TinyTag", seconds: float, *, as_came: bool) -> float:
    raw = (told.samplerate or 0) * (told.channels or 0) * (told.bitdepth or 0) / 8 if told.is_lossless else 0
    if raw and data.startswith(_WAVE):
        # Of one that was written as it came the header tells no length, or the longest that can be told.
        return len(data) / raw
    if raw and data.startswith(_FLAC):
        # Packed it is hardly larger than unpacked.
        return max(seconds, (told.bitrate or 0) * _BYTES_PER_KBIT * seconds / raw)
    if told.mime_type == _MPEG:
        framed = seconds_of_frames(data)
        return framed if as_came and framed else max(seconds, framed)
    return seconds
