"""Paths: read once, in one spelling. Whatever could be read in two ways is no path of ours. Pure."""

import re
from urllib.parse import unquote_to_bytes

PATH_BYTES_MAX = 2_048
SEGMENTS_MAX = 16

_HIDDEN_SEPARATOR = re.compile(rb"%(?:2f|5c|00)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


def normal_path(raw: bytes) -> str | None:
    """Decode a path as it was sent, once. None for one that hides a separator, climbs, or doubles a slash."""
    if not raw.startswith(b"/") or len(raw) > PATH_BYTES_MAX or _HIDDEN_SEPARATOR.search(raw):
        return None
    try:
        path = (unquote_to_bytes(raw) if b"%" in raw else raw).decode()
    except UnicodeDecodeError:
        return None
    if _CONTROL.search(path) or path.count("/") > SEGMENTS_MAX:
        return None
    if "//" in path or any(segment in (".", "..") for segment in path.split("/")):
        return None
    return path


def first_segment(path: str) -> str:
    """Give what stands between the first two slashes."""
    return path[1:].partition("/")[0]
