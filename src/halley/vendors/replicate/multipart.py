"""Reads the multipart form of a file upload, for the simulator: a few parts, each whole in memory."""

import re

import msgspec

PARTS_MAX = 16
_BOUNDARY = re.compile(r'boundary="?([^";,]{1,70})"?', re.IGNORECASE)
_NAME = re.compile(r'\bname="([^"]*)"', re.IGNORECASE)
_FILENAME = re.compile(r'\bfilename="([^"]*)"', re.IGNORECASE)
_TYPE = re.compile(r"^content-type:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a form."""

    filename: str | None
    content_type: str | None
    data: bytes


def read_parts(content_type: str, body: bytes) -> dict[str, Part]:
    """Parts by their names. Raises `ValueError` for what is not a multipart form."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None or not content_type.lower().startswith("multipart/form-data"):
        message = "the body is not multipart/form-data with a boundary"
        raise ValueError(message)
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode("latin-1"), PARTS_MAX + 1)[1:]
    parts: dict[str, Part] = {}
    for piece in pieces:
        if piece.startswith(b"--"):
            return parts
        name, part = _part(piece)
        parts[name] = part
    message = "the form does not end with its boundary"
    raise ValueError(message)


def _part(piece: bytes) -> tuple[str, Part]:
    head, blank, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    text = head.decode("utf-8", "replace")
    name, filename, media = _NAME.search(text), _FILENAME.search(text), _TYPE.search(text)
    if not blank or name is None:
        message = "a part of the form has no name"
        raise ValueError(message)
    return name[1], Part(
        filename=None if filename is None else filename[1], content_type=None if media is None else media[1], data=data
    )
