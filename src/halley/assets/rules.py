"""What bytes are, how large a picture is, and how a file may be served, all told from the bytes; no I/O.

Nothing here raises on whatever bytes come, and nothing decodes a picture: only headers are read.
"""

import re
from collections.abc import Callable
from urllib.parse import quote

OCTET_STREAM = "application/octet-stream"
NAME_BYTES_MAX = 200
"""A safe name's UTF-8; file systems take 255."""
JPEG_SEGMENTS_MAX = 512
SVG_PROLOGUE_BYTES_MAX = 4_096
SVG_PROLOGUE_PARTS_MAX = 32

EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/svg+xml": ".svg",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "text/plain": ".txt",
}
"""The types that are served under their own name. All others are served as `application/octet-stream`."""

_SHOWN = frozenset(name for name in EXTENSIONS if name.startswith(("image/", "video/", "audio/"))) - {"image/svg+xml"}
"""Types that a browser may show in place: none of them can carry a script."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_EBML = b"\x1a\x45\xdf\xa3"
_MP4_BRANDS = (b"iso", b"mp4", b"avc", b"hvc", b"dash", b"M4V", b"MSNV", b"mmp4", b"3gp")
_MPEG_RATES = [bitrate << 4 | rate for bitrate in range(1, 15) for rate in range(12)]
_SVG = re.compile(rb"<(?:svg:)?svg[\s>/]")
_MARKUP = re.compile(rb"<[A-Za-z]")
_JSON = re.compile(rb'\{\s*["}]|\[\s*["{\[\]]')
_UNSAFE_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff/\\\"<>|:*?%]")
_RANGE = re.compile(r"bytes=(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})", re.ASCII)

# A frame of MPEG 1, 2 or 2.5 audio, layer III, whose bitrate and sampling rate are not reserved values.
_MPEG_AUDIO = re.compile(
    rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][" + b"".join(rb"\x%02x" % byte for byte in _MPEG_RATES) + b"]"
)

_PNG = re.compile(rb"\x89PNG\r\n\x1a\n.{4}IHDR(?P<width>.{4})(?P<height>.{4})", re.DOTALL)
_GIF = re.compile(rb"GIF8[79]a(?P<width>.{2})(?P<height>.{2})", re.DOTALL)
_WEBP_LOSSY = re.compile(rb"RIFF.{4}WEBPVP8 .{7}\x9d\x01\x2a(?P<width>.{2})(?P<height>.{2})", re.DOTALL)
_WEBP_LOSSLESS = re.compile(rb"RIFF.{4}WEBPVP8L.{4}\x2f(?P<bits>.{4})", re.DOTALL)
_WEBP_EXTENDED = re.compile(rb"RIFF.{4}WEBPVP8X.{8}(?P<width>.{3})(?P<height>.{3})", re.DOTALL)
_WEBP_MASK = 0x3FFF
"""A side in the first two kinds of WebP has 14 bits."""

# JPEG: any marker, fill bytes before it; markers without a length; a segment with one; a frame, which has the size
# (C0 to CF but for DHT, JPG and DAC); a scan or the end, after which no frame comes.
_JPEG_MARKER = re.compile(rb"\xff++(?P<marker>[^\xff])", re.DOTALL)
_JPEG_BARE = frozenset((b"\x01", *(bytes((code,)) for code in range(0xD0, 0xD9))))
_JPEG_FRAMES = frozenset(bytes((code,)) for code in range(0xC0, 0xD0)) - {b"\xc4", b"\xc8", b"\xcc"}
_JPEG_LAST = frozenset((b"\xda", b"\xd9"))
_JPEG_FRAME = re.compile(rb".{3}(?P<height>.{2})(?P<width>.{2})", re.DOTALL)


def sniff(head: bytes) -> str:
    """Tell the content type from the first bytes. Types that are not kept as such are `application/octet-stream`."""
    for magic, content_type in _MAGIC:
        if head.startswith(magic):
            return content_type
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], OCTET_STREAM)
    if head[:4] == _EBML:
        return "video/webm" if b"webm" in head[:64] else OCTET_STREAM
    if head[4:8] == b"ftyp":
        return "video/mp4" if head[8:12].startswith(_MP4_BRANDS) else OCTET_STREAM
    if _MPEG_AUDIO.match(head):
        return "audio/mpeg"
    return "image/svg+xml" if _is_svg(head) else OCTET_STREAM


def is_message(head: bytes) -> bool:
    """Whether it is a page or a message, as servers send in place of a file: HTML, XML that is no SVG, or JSON."""
    first = _first_element(head)
    return bool(_MARKUP.match(first) or _JSON.match(first)) and not _SVG.match(first)


def image_size(head: bytes) -> tuple[int, int] | None:
    """Tell width and height of a PNG, JPEG, WebP or GIF as stored (a rotation in EXIF is not applied); else None."""
    read = _SIZES.get(sniff(head))
    size = read(head) if read else None
    return size if size and all(size) else None


def asset_key(task_id: str, n: int) -> str:
    """Where an output is stored."""
    return f"{task_id}/{n}"


def file_key(file_id: str) -> str:
    """Where an uploaded file is stored."""
    return f"files/{file_id}"


def body_key(task_id: str) -> str:
    """Where a request body that is too large for a row is stored."""
    return f"bodies/{task_id}"


def extension(content_type: str) -> str:
    """Give the ending of a file name, with its dot."""
    return EXTENSIONS.get(content_type, ".bin")


def safe_name(name: str, fallback: str = "file") -> str:
    """Make a name that is one path segment everywhere, shows as it is and needs no quoting; not empty, bounded."""
    last = re.split(r"[/\\]", name)[-1]
    cleaned = _UNSAFE_IN_NAMES.sub("_", last).strip(" .")
    short = cleaned.encode()[:NAME_BYTES_MAX].decode(errors="ignore").rstrip(" .")
    return short or fallback


def response_headers(content_type: str, name: str) -> tuple[tuple[str, str], ...]:
    """Give the headers under which a file can be served from our own origin without any script in it running there.

    What a browser may show is inline, all else (SVG and whatever is unknown) is a download in a sandbox.
    """
    kind = content_type.partition(";")[0].strip().lower()
    kind = kind if kind in EXTENSIONS else OCTET_STREAM
    disposition = "inline" if kind in _SHOWN else "attachment"
    shown = safe_name(name)
    ascii_name = shown.encode("ascii", "replace").decode().replace("?", "_").replace("'", "_").replace(";", "_")
    return (
        ("content-type", kind),
        ("content-disposition", f"{disposition}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(shown, safe='')}"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox; frame-ancestors 'none'"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("referrer-policy", "no-referrer"),
    )


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Read a `Range` header: (start, end after the last byte), or None to send the whole.

    Several ranges and other units are answered with the whole, which HTTP allows. Raises `ValueError` for a range
    that lies outside (416).
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match["first"] or match["last"]):
        return None
    first, last = match["first"], match["last"]
    if first and last and int(last) < int(first):
        return None
    start, end = (int(first), min(int(last) + 1 if last else size, size)) if first else (max(size - int(last), 0), size)
    if start >= end:
        message = f"Range `{header}` lies outside of {size} bytes"
        raise ValueError(message)
    return start, end


def _is_svg(head: bytes) -> bool:
    return _SVG.match(_first_element(head)) is not None


def _first_element(head: bytes) -> bytes:
    """Give what comes after a byte order mark, declarations and comments."""
    rest = head[:SVG_PROLOGUE_BYTES_MAX].removeprefix(b"\xef\xbb\xbf").lstrip()
    for _ in range(SVG_PROLOGUE_PARTS_MAX):
        ending = _prologue_ending(rest)
        if ending is None:
            break
        rest = rest.partition(ending)[2].lstrip()
    return rest


def _prologue_ending(rest: bytes) -> bytes | None:
    if rest.startswith(b"<?"):
        return b"?>"
    if rest.startswith(b"<!--"):
        return b"-->"
    if rest[:9].upper() == b"<!DOCTYPE":
        return b"]>" if b"[" in rest.partition(b">")[0] else b">"
    return None


def _png_size(head: bytes) -> tuple[int, int] | None:
    match = _PNG.match(head)
    return match and (int.from_bytes(match["width"]), int.from_bytes(match["height"]))


def _gif_size(head: bytes) -> tuple[int, int] | None:
    match = _GIF.match(head)
    return match and (_little(match["width"]), _little(match["height"]))


def _webp_size(head: bytes) -> tuple[int, int] | None:
    if match := _WEBP_LOSSY.match(head):
        return _little(match["width"]) & _WEBP_MASK, _little(match["height"]) & _WEBP_MASK
    if match := _WEBP_LOSSLESS.match(head):
        bits = _little(match["bits"])
        return (bits & _WEBP_MASK) + 1, (bits >> 14 & _WEBP_MASK) + 1
    if match := _WEBP_EXTENDED.match(head):
        return _little(match["width"]) + 1, _little(match["height"]) + 1
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(JPEG_SEGMENTS_MAX):
        match = _JPEG_MARKER.match(head, at)
        if match is None or match["marker"] in _JPEG_LAST:
            return None
        at = match.end()
        if match["marker"] in _JPEG_FRAMES:
            frame = _JPEG_FRAME.match(head, at)
            return frame and (int.from_bytes(frame["width"]), int.from_bytes(frame["height"]))
        if match["marker"] not in _JPEG_BARE:
            at += max(int.from_bytes(head[at : at + 2]), 2)
    return None


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


_SIZES: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _png_size,
    "image/gif": _gif_size,
    "image/webp": _webp_size,
    "image/jpeg": _jpeg_size,
}
