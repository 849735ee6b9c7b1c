"""How long a recording is, read from its own headers; without decoding it."""

import io

from halley.kernel.body import FormBody, JsonBody
from halley.kernel.faults import BadRequest

PCM_BYTES_PER_SECOND = 48_000
"""16 bits, 24 kHz, one channel: the sound that comes without a header."""
RAW_BYTES_PER_SECOND_MAX = 400_000
"""Sound of the highest quality that anybody sends: what claims to be shorter than its bytes lies."""
KEPT_BYTES_MAX = 32 * 1024 * 1024
"""Of sound on its way, kept to be measured; what is longer is measured by its size."""
ENCODED_BYTES_PER_SECOND = 4_000
"""Speech at 32 kbit/s: most recordings have more bytes to a second, so that this counts more seconds than there are."""


def seconds_of(data: bytes, *, pcm: bool = False) -> float:
    """Give the length of a recording; of one that nobody can read, an estimate by its size."""
    if pcm:
        return len(data) / PCM_BYTES_PER_SECOND
    from tinytag import TinyTag, TinyTagException

    try:
        told = TinyTag.get(file_obj=io.BytesIO(data), tags=False).duration
    except TinyTagException:
        told = None
    least = len(data) / RAW_BYTES_PER_SECOND_MAX
    return max(told, least) if told else len(data) / ENCODED_BYTES_PER_SECOND


def recording(body: JsonBody | FormBody) -> bytes:
    """Give the recording that came with a call."""
    found = body.files("file") if isinstance(body, FormBody) else ()
    if len(found) > 1:
        raise BadRequest("`file` is there more than once; send one recording in a call", param="file")
    return found[0].data if found else b""
