"""Reads `multipart/form-data` as it streams in (RFC 7578): bounded in parts and headers, holding a chunk at a time."""

import re
from collections.abc import AsyncIterator

import msgspec

from halley.kernel.faults import BadRequest, TooLarge

PARTS_MAX = 16
HEADER_BYTES_MAX = 8 * 1024
PREAMBLE_BYTES_MAX = 8 * 1024

_BOUNDARY = re.compile(r'boundary=(?:"(?P<quoted>[^"]{1,70})"|(?P<plain>[^\s";,]{1,70}))(?=[\s;]|$)', re.IGNORECASE)
_FIELD = re.compile(
    r'(?:^|;)\s*(?P<name>[a-z*]{1,20})=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s";]+))', re.IGNORECASE
)
"""Begins at a semicolon only, so that each letter is looked at about once."""
_END = b"--"


class PartHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a part says of itself."""

    name: str
    filename: str | None
    content_type: str | None


class Multipart:
    """The parts of a body, one after another. What is left of a part is skipped when the next is asked for."""

    def __init__(self, chunks: AsyncIterator[bytes], content_type: str, parts_max: int = PARTS_MAX) -> None:
        self._chunks = chunks
        self._parts_max = parts_max
        self._delimiter = b"\r\n--" + _boundary(content_type)
        # The first boundary need not follow a line break.
        self._buffer = bytearray(b"\r\n")
        self._in_part = False
        self._parts = 0

    async def next_part(self) -> PartHead | None:
        """Go to the next part. Raises `BadRequest` for what is not multipart."""
        if self._parts == 0:
            await self._skip_to_delimiter(PREAMBLE_BYTES_MAX)
        elif self._in_part:
            async for _ in self.content():
                pass
        if await self._is_end():
            return None
        self._parts += 1
        if self._parts > self._parts_max:
            raise BadRequest(f"The form has more than {self._parts_max} parts")
        head = _head(await self._headers())
        self._in_part = True
        return head

    async def content(self) -> AsyncIterator[bytes]:
        """Give the part's bytes as they come."""
        keep = len(self._delimiter) - 1
        while self._in_part:
            at = self._buffer.find(self._delimiter)
            end = at if at >= 0 else max(len(self._buffer) - keep, 0)
            piece = bytes(self._buffer[:end])
            del self._buffer[:end]
            if at >= 0:
                del self._buffer[: len(self._delimiter)]
                self._in_part = False
            if piece:
                yield piece
            if at < 0:
                await self._more()

    async def text(self, bytes_max: int) -> str:
        """Read a small part whole. Raises `TooLarge`, or `BadRequest` when it is not UTF-8."""
        data = bytearray()
        async for chunk in self.content():
            data += chunk
            if len(data) > bytes_max:
                raise TooLarge(f"A text field of the form is larger than {bytes_max:,} bytes")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise BadRequest("A text field of the form is not UTF-8") from error

    async def _skip_to_delimiter(self, bytes_max: int) -> None:
        if await self._until(self._delimiter, bytes_max) is None:
            raise BadRequest("The body does not begin with the boundary that `content-type` names")

    async def _is_end(self) -> bool:
        while len(self._buffer) < len(_END):
            await self._more()
        if self._buffer.startswith(_END):
            return True
        line = await self._until(b"\r\n", HEADER_BYTES_MAX)
        if line is None or line.strip():
            raise BadRequest("The form is malformed: something follows a boundary on its line")
        return False

    async def _headers(self) -> bytes:
        if await self._starts_with_line_break():
            del self._buffer[:2]
            return b""
        headers = await self._until(b"\r\n\r\n", HEADER_BYTES_MAX)
        if headers is None:
            raise BadRequest(f"The headers of a part are larger than {HEADER_BYTES_MAX:,} bytes")
        return headers

    async def _starts_with_line_break(self) -> bool:
        while len(self._buffer) < len(_END):
            await self._more()
        return self._buffer.startswith(b"\r\n")

    async def _until(self, mark: bytes, bytes_max: int) -> bytes | None:
        """Take what stands before a mark, and the mark; None if more than `bytes_max` stand before it."""
        search_to = bytes_max + len(mark)
        while (at := self._buffer.find(mark, 0, search_to)) < 0:
            if len(self._buffer) >= search_to:
                return None
            await self._more()
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return found

    async def _more(self) -> None:
        chunk = await anext(self._chunks, None)
        if chunk is None:
            raise BadRequest("The form ends before its last boundary")
        self._buffer += chunk


def _boundary(content_type: str) -> bytes:
    kind = content_type.partition(";")[0].strip().lower()
    match = _BOUNDARY.search(content_type)
    if kind != "multipart/form-data" or match is None:
        raise BadRequest("Send a form: `content-type: multipart/form-data; boundary=…`", param="content-type")
    return (match["quoted"] or match["plain"]).encode("latin-1", "replace")


def _head(raw: bytes) -> PartHead:
    headers: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    fields = {match["name"].lower(): _value(match) for match in _FIELD.finditer(headers.get("content-disposition", ""))}
    if "name" not in fields:
        raise BadRequest("A part of the form has no name")
    return PartHead(name=fields["name"], filename=fields.get("filename"), content_type=headers.get("content-type"))


def _value(match: re.Match[str]) -> str:
    if match["quoted"] is None:
        return match["plain"]
    # Browsers write `%22` for a quote (WHATWG), others `\"` (RFC 2183); a backslash before anything else is itself.
    return match["quoted"].replace('\\"', '"').replace("%22", '"')
