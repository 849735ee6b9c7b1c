"""Lays text out for the drawn images: wraps it and finds the largest size of the built-in font that fits a box."""

import unicodedata
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

CHARACTERS_MAX = 600
SIZE_MIN = 7
LINE_HEIGHT = 1.28


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Text laid out: its lines at a size."""

    lines: tuple[str, ...]
    size: int
    width: int
    line_height: int

    @property
    def height(self) -> int:
        """Of all lines together."""
        return self.line_height * len(self.lines)


def font(size: int) -> "FreeTypeFont | ImageFont":
    """Pillow's built-in font at a size in pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def fit(text: str, *, width: int, height: int, size_max: int) -> Block:
    """Lay it out as large as the box allows; what does not even fit at the smallest size ends in `…`."""
    words = _words(text)
    size = max(SIZE_MIN, size_max)
    while True:
        block = _lay_out(words, width=width, size=size)
        if block.height <= height or size == SIZE_MIN:
            break
        size = max(SIZE_MIN, size * 5 // 6)
    lines_max = max(1, height // block.line_height)
    if len(block.lines) > lines_max:
        cut = (*block.lines[: lines_max - 1], block.lines[lines_max - 1].rstrip(" .,") + "…")
        block = msgspec.structs.replace(block, lines=cut)
    return block


def _words(text: str) -> list[str]:
    words = "".join(_shown(character) for character in text[:CHARACTERS_MAX]).split()
    return [*words, "…"] if len(text) > CHARACTERS_MAX else words


def _shown(character: str) -> str:
    """The font knows no accents: `é` is drawn as `e`; other scripts come out as boxes."""
    if not character.isprintable():
        return " "
    plain = unicodedata.normalize("NFKD", character).replace("ß", "ss").encode("ascii", "ignore").decode()
    return plain or character


def _lay_out(words: list[str], *, width: int, size: int) -> Block:
    measure = font(size).getlength
    space = measure(" ")
    lines: list[str] = []
    line, filled = "", 0.0
    for word in words:
        for part in _parts(word, measure(word), width):
            length = measure(part)
            if line and filled + space + length > width:
                lines.append(line)
                line, filled = part, length
            else:
                filled += length + (space if line else 0)
                line = f"{line} {part}" if line else part
    lines.append(line)
    widest = max(measure(line) for line in lines)
    return Block(lines=tuple(lines), size=size, width=round(widest), line_height=round(size * LINE_HEIGHT))


def _parts(word: str, length: float, width: int) -> list[str]:
    """A word wider than the box in pieces of about equal width that fit (or of one character each)."""
    if length <= width:
        return [word]
    step = max(1, int(len(word) * width / length * 0.9))
    return [word[start : start + step] for start in range(0, len(word), step)]
