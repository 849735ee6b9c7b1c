r"""Halves of characters: some vendors cut an emoji, `\ud83d\ude00` in JSON, in two, which nobody can decode. Pure.

No text can hold a half of a character alone. Between two frames of a stream halves are put together again.
"""

import re

from halley.kernel.sse import Frame

_REPLACEMENT = b"\\ufffd"
_HALF = re.compile(
    rb"""\\[^u]|\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}  # other escapes, and whole characters
    |(?P<opens>"?)
    (?:(?P<first>\\u[dD][89abAB][\da-fA-F]{2})(?!\\u[dD][c-fC-F])|(?P<second>\\u[dD][c-fC-F][\da-fA-F]{2}))
    (?P<closes>"?)""",
    re.VERBOSE | re.DOTALL,
)


def without(data: bytes) -> bytes:
    """Give the same JSON with U+FFFD for each half that stands alone."""
    return _HALF.sub(_replaced, data) if b"\\ud" in data or b"\\uD" in data else data


class Halves:
    """Puts together what is cut between the frames of one stream."""

    def __init__(self) -> None:
        self._first = b""

    def joined(self, frame: Frame) -> Frame:
        """Give the frame without halves: one at the end of a text is kept for the next text that begins with one."""
        before, waiting, joins = self._first, set[bytes](), False

        def mended(found: re.Match[bytes]) -> bytes:
            nonlocal joins
            if found["first"] and found["closes"]:
                waiting.add(found["first"])
                return found["opens"] + found["closes"]
            if found["second"] and found["opens"] and before:
                joins = True
                return found["opens"] + before + found["second"] + found["closes"]
            return _replaced(found)

        data = _HALF.sub(mended, frame.data)
        if before and not joins:
            waiting.add(before)
        # Two that wait are of two answers: nobody could tell whose second half comes.
        self._first = waiting.pop() if len(waiting) == 1 else b""
        return Frame(data, frame.event)


def _replaced(found: re.Match[bytes]) -> bytes:
    if not (found["first"] or found["second"]):
        return found[0]
    return found["opens"] + _REPLACEMENT + found["closes"]
