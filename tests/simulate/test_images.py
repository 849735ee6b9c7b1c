"""Input images: what is taken, and that bombs are refused before they are decoded."""

import base64
import io
import struct
import zlib

import pytest
from PIL import Image

from halley.vendors.simulate import BadImage, ImageInfo, decode_image, read_source, thumbnail
from halley.vendors.simulate.images import BYTES_MAX


def an_image(kind: str, *, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind)
    return out.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def webp_claiming(side: int) -> bytes:
    canvas = (side - 1).to_bytes(3, "little")
    return b"RIFF" + (30).to_bytes(4, "little") + b"WEBPVP8X" + struct.pack("<II", 10, 2) + canvas + canvas + b"\0" * 8


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_usual_formats_are_decoded(kind: str):
    assert decode_image(an_image(kind)) == ImageInfo(width=40, height=30, format=kind.lower())


def test_lossless_and_transparent_webp_are_decoded():
    out = io.BytesIO()
    Image.new("RGBA", (50, 20)).save(out, "WEBP", lossless=True)
    assert decode_image(out.getvalue()) == ImageInfo(width=50, height=20, format="webp")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "not a PNG", id="empty"),
        pytest.param(b"hello", "not a PNG", id="text"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG", id="svg"),
        pytest.param(an_image("TIFF"), "not a PNG", id="other-format"),
        pytest.param(an_image("PNG")[:50], "broken", id="cut-png"),
        pytest.param(an_image("JPEG")[:-80], "broken", id="cut-jpeg"),
        pytest.param(an_image("WEBP")[:30], "broken", id="cut-webp"),
        pytest.param(png_claiming(5_000, 5_000), "over 20 megapixels (it is 5000 x 5000)", id="pixel-bomb"),
        pytest.param(png_claiming(60_000, 60_000), "over 20 megapixels", id="huge-pixel-bomb"),
        pytest.param(png_claiming(20_000_000, 1), "over 20 megapixels", id="long-thin-bomb"),
        pytest.param(webp_claiming(16_000), "over 20 megapixels (it is 16000 x 16000)", id="webp-bomb"),
        pytest.param(b"\0" * (BYTES_MAX + 1), "over 20 MB", id="too-many-bytes"),
    ],
)
def test_bad_image_is_refused_with_the_reason(data: bytes, says: str):
    with pytest.raises(BadImage) as caught:
        decode_image(data)
    assert says in str(caught.value)


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "png"), ("RGB", "jpeg"), ("L", "jpeg"), ("P", "jpeg")])
def test_thumbnail_is_small_and_keeps_transparency(mode: str, kind: str):
    small = decode_image(thumbnail(an_image("PNG", mode=mode, size=(800, 400)), side_max=100))
    assert small == ImageInfo(width=100, height=50, format=kind)


async def fetch(url: str) -> bytes:
    return f"fetched {url}".encode()


PNG = an_image("PNG")


@pytest.mark.parametrize(
    ("source", "data"),
    [
        pytest.param("https://example.com/a.png", b"fetched https://example.com/a.png", id="url"),
        pytest.param("HTTP://example.com/a.png", b"fetched HTTP://example.com/a.png", id="upper-case-url"),
        pytest.param(base64.b64encode(PNG).decode(), PNG, id="base64"),
        pytest.param(base64.b64encode(PNG).decode().rstrip("="), PNG, id="without-padding"),
        pytest.param(base64.urlsafe_b64encode(b"\xff\xfe\xfb").decode(), b"\xff\xfe\xfb", id="url-safe"),
        pytest.param(base64.encodebytes(PNG).decode(), PNG, id="with-line-ends"),
        pytest.param("data:image/png;base64," + base64.b64encode(PNG).decode(), PNG, id="data-url"),
    ],
)
async def test_source_is_read(source: str, data: bytes):
    assert await read_source(source, fetch) == data


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("data:image/png;base64,", "empty", id="empty-data-url"),
        pytest.param("data:image/svg+xml,<svg/>", "must be base64", id="data-url-of-text"),
        pytest.param("file:///etc/passwd", "neither", id="file-url"),
        pytest.param("a red teapot!", "neither", id="text"),
        pytest.param("A" * 30_000_000, "over 20 MB", id="too-long"),
        pytest.param("https://" + "a" * 5_000, "URL is over", id="long-url"),
    ],
)
async def test_bad_source_is_refused_with_the_reason(source: str, says: str):
    with pytest.raises(BadImage, match=says):
        await read_source(source, fetch)


async def test_fetched_image_that_is_too_large_is_refused():
    async def fetch_much(_: str) -> bytes:
        return bytes(BYTES_MAX + 1)

    with pytest.raises(BadImage, match="over 20 MB"):
        await read_source("https://example.com/a.png", fetch_much)
