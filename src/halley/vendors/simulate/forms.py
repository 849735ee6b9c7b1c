"""Reads the multipart forms of uploads, for simulators: a bounded number of parts, each whole in memory. Pure."""

import re

import msgspec

PARTS_MAX = 64
_BOUNDARY = re.compile(r'boundary="?([^";,]{1,70})"?', re.IGNORECASE)
_NAME = re.compile(r'\bname="([^"]*)"', re.IGNORECASE)
_FILENAME = re.compile(r'\bfilename="([^"]*)"', re.IGNORECASE)
_TYPE = re.compile(r"^content-type:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a form."""

    name: str
    """As sent, but for brackets at its end: `image[]` is `image`."""
    filename: str | None
    content_type: str | None
    data: bytes

    @property
    def text(self) -> str:
        """What a field says."""
        return self.data.decode("utf-8", "replace")


class Form:
    """The parts of a form, by name."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts

    def field(self, name: str) -> str | None:
        """The last value of a field; `None` if it was not sent or is empty, as browsers send what was left blank."""
        texts = [part.text for part in self.parts if part.name == name and part.filename is None]
        return (texts[-1] or None) if texts else None

    def fields(self, name: str) -> list[str]:
        """Every value of a field that may be repeated."""
        return [part.text for part in self.parts if part.name == name and part.filename is None and part.data]

    def files(self, name: str) -> list[Part]:
        """Every file of that name."""
        return [part for part in self.parts if part.name == name and part.filename is not None]


def read_form(content_type: str, body: bytes) -> Form:
    """Read a form. Raises `ValueError` for what is no multipart form."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None or not content_type.lower().startswith("multipart/form-data"):
        raise ValueError("the body is not multipart/form-data with a boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode("latin-1"), PARTS_MAX + 1)[1:]
    parts: list[Part] = []
    for piece in pieces:
        if piece.startswith(b"--"):
            return Form(parts)
        parts.append(_part(piece))
    raise ValueError(f"the form does not end with its boundary, or has over {PARTS_MAX} parts")


def _part(piece: bytes) -> Part:
    head, blank, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    text = head.decode("utf-8", "replace")
    name, filename, media = _NAME.search(text), _FILENAME.search(text), _TYPE.search(text)
    if not blank or name is None:
        raise ValueError("a part of the form has no name")
    return Part(
        name=name[1].removesuffix("[]"),
        filename=None if filename is None else filename[1],
        content_type=None if media is None else media[1],
        data=data,
    )
