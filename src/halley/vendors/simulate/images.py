"""Reads input images through a guard: nothing large is decoded before its header has been checked."""

import base64
import binascii
import io
import re
import struct
import zlib
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from PIL.Image import Image

BYTES_MAX = 20 * 1024 * 1024
PIXELS_MAX = 20_000_000
SIDE_MAX = 16_384
SOURCE_CHARACTERS_MAX = BYTES_MAX * 4 // 3 + 1_024
URL_CHARACTERS_MAX = 4_096
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")

_TOO_MANY_PIXELS = f"the image is over {PIXELS_MAX // 1_000_000} megapixels"
_WEBP_HEADER_BYTES = 30
# What pillow's decoders raise on files made badly or on purpose.
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, AttributeError,
                   struct.error, zlib.error)  # fmt: skip
_DATA_URL = re.compile(r"data:[^,]{0,256},", re.IGNORECASE)

Fetch = Callable[[str], Awaitable[bytes]]


class BadImage(ValueError):
    """The image cannot be taken; the text says why and may be shown to the caller."""


class ImageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What an image is."""

    width: int
    height: int
    format: str
    """`png`, `jpeg`, `webp` or `gif`."""


def decode_image(data: bytes) -> ImageInfo:
    """Decode it whole, guarded, and say what it is. Raises `BadImage`."""
    with opened(data) as image:
        return _info(image)


def thumbnail(data: bytes, *, side_max: int = 512) -> bytes:
    """A small copy for the journal, PNG if it is transparent, else JPEG. Raises `BadImage`."""
    with opened(data) as image:
        clear = image.has_transparency_data
        small = image.convert("RGBA" if clear else "RGB")
    small.thumbnail((side_max, side_max))
    out = io.BytesIO()
    small.save(out, "PNG" if clear else "JPEG", quality=85)
    return out.getvalue()


async def read_source(source: str, fetch: Fetch) -> bytes:
    """The bytes of base64 (plain or as a data URL), or what `fetch` gets from an http(s) URL. Raises `BadImage`.

    What `fetch` raises passes through. The image itself is not looked at.
    """
    if source[:8].lower().startswith(("http://", "https://")):
        if len(source) > URL_CHARACTERS_MAX:
            raise BadImage(f"the image's URL is over {URL_CHARACTERS_MAX} characters")
        return _within_bytes(await fetch(source))
    return _from_base64(source)


def _from_base64(source: str) -> bytes:
    if len(source) > SOURCE_CHARACTERS_MAX:
        raise BadImage(f"the image is over {BYTES_MAX // 1024 // 1024} MB")
    head = _DATA_URL.match(source)
    if head is not None and not head[0].lower().endswith(";base64,"):
        raise BadImage("a data URL of an image must be base64")
    text = "".join(source[head.end() if head else 0 :].split()).rstrip("=")
    if not text:
        raise BadImage("the image is empty")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=_altchars(text), validate=True)
    except (binascii.Error, ValueError):
        raise BadImage("the image is neither an http(s) URL nor base64") from None
    return _within_bytes(data)


def _altchars(text: str) -> bytes | None:
    return b"-_" if "-" in text or "_" in text else None


def _within_bytes(data: bytes) -> bytes:
    if len(data) > BYTES_MAX:
        raise BadImage(f"the image is over {BYTES_MAX // 1024 // 1024} MB")
    return data


@contextmanager
def opened(data: bytes) -> Generator["Image"]:
    """The first frame, decoded, after bytes and pixels were checked."""
    image = _read_header(_within_bytes(data))
    try:
        _within_pixels(*image.size)
        _load(image)
        yield image
    finally:
        image.close()


def _read_header(data: bytes) -> "Image":
    from PIL import Image, UnidentifiedImageError

    # The decoder of WebP takes its memory already when it is opened.
    _within_pixels(*_webp_size(data))
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise BadImage("the image is not a PNG, JPEG, WEBP or GIF, or is broken") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(_TOO_MANY_PIXELS) from None
    except _DECODER_ERRORS as error:
        raise BadImage("the image is broken") from error


def _load(image: "Image") -> None:
    try:
        image.load()
    except _DECODER_ERRORS as error:
        raise BadImage("the image is broken or cut short") from error


def _within_pixels(width: int, height: int) -> None:
    if width * height > PIXELS_MAX or max(width, height) > SIDE_MAX:
        raise BadImage(f"{_TOO_MANY_PIXELS} (it is {width} x {height})")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Canvas of a WebP file from its first chunk; 0 x 0 if it is none, or broken, which its decoder will say."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < _WEBP_HEADER_BYTES:
        return 0, 0
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _info(image: "Image") -> ImageInfo:
    return ImageInfo(width=image.width, height=image.height, format=(image.format or "").lower())
