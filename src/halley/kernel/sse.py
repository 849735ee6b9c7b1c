"""Server-sent events: splits bytes into frames, however they arrive, and writes frames (WHATWG HTML §9.2)."""

import re
from collections.abc import Iterator

import msgspec

FRAME_BYTES_MAX = 16 * 1024 * 1024
"""A picture as base64 may stand in one frame."""
DONE = b"[DONE]"
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n|\r\r")
"""Line ends are LF, CRLF or CR."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MARK_BYTES_MAX = 3
"""Of an empty line's bytes, so many may have come without the last."""


class Frame(msgspec.Struct, frozen=True):
    """One event: its `event` field and its data lines, joined."""

    data: bytes
    event: str = ""


class BadStream(ValueError):
    """What came is no event stream, or one frame of it is too large."""


class Splitter:
    """Takes bytes as they arrive and gives the frames that are whole, each with the bytes it was made of."""

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._buffer = bytearray()
        self._frame_bytes_max = frame_bytes_max
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, Frame | None]]:
        """Give (raw bytes, frame) of each whole frame; the frame is None for comments alone. Raises `BadStream`."""
        self._buffer += data
        start = 0
        try:
            while (found := _EMPTY_LINE.search(self._buffer, max(start, self._searched))) is not None:
                raw = bytes(self._buffer[start : found.end()])
                start = self._searched = found.end()
                yield raw, parse(raw)
        finally:
            # Once for all frames: to take each off the front would move the rest of the buffer each time.
            del self._buffer[:start]
            self._searched = max(0, len(self._buffer) - _MARK_BYTES_MAX)
        if len(self._buffer) > self._frame_bytes_max:
            message = f"a frame of the stream is larger than {self._frame_bytes_max} bytes"
            raise BadStream(message)

    def alone(self, data: bytes) -> Frame | None:
        """Give the frame that these bytes are, if they are one line of data and nothing else is on its way.

        So most come. None is for `feed` to look into; nothing was taken then.
        """
        end = len(data) - 2
        if self._buffer or data.find(b"\n") != end or data[:6] != b"data: " or data[end:] != b"\n\n":
            return None
        return None if b"\r" in data or end + 2 > self._frame_bytes_max else Frame(data[6:end])

    @property
    def rest(self) -> bytes:
        """What has come of a frame that is not whole."""
        return bytes(self._buffer)


def parse(raw: bytes) -> Frame | None:
    """Read one frame; None when it holds no data."""
    event = ""
    data: list[bytes] = []
    if raw[:3] == _BYTE_ORDER_MARK:
        # A stream may begin with one.
        raw = raw[3:]
    for line in raw.splitlines():
        if line.startswith(b"data:"):
            data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            event = line[6:].strip().decode("utf-8", "replace")
    return Frame(b"\n".join(data), event) if data else None


def frame(data: bytes, event: str = "") -> bytes:
    """Write one frame. `data` is one line of JSON."""
    head = b"event: " + event.encode() + b"\ndata: " if event else b"data: "
    return head + data + b"\n\n"
