"""Counts the tokens of text: exactly with the encoding of the model's family, or roughly from a number of bytes."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from halley.tokens.encodings import encoding

if TYPE_CHECKING:
    from tiktoken import Encoding

MESSAGE_TOKENS = 4
"""What a chat format adds to each message: its role and the marks of its beginning and end."""
PIECE_CHARACTERS = 50_000
"""Text is counted in pieces of at most this many characters. A run of a million blanks makes the encoder's regular
expressions give up with a panic, and a long piece would hold its thread without a break; these take milliseconds."""
CUTS_TRIED_MAX = 200
"""Places that are looked at for a cut that changes no count, before one is made anywhere."""

_NEWER = re.compile(r"(ft:)?(chatgpt-4o|gpt-(4o|4\.1|4\.5|[5-9]|oss|audio|realtime|image)|o\d|codex)")


def count_text(model: str, text: str) -> int:
    """Count the tokens of text for a model, marks such as `<|endoftext|>` as plain text.

    Exact for models whose encoding is published (GPT and o-series, embeddings); for others an estimate with the older
    of these, which is mostly a little higher than the newer. The first call for an encoding takes about 0.3 s, so
    count in a thread.
    """
    chosen = encoding("o200k_base" if _NEWER.match(model.rpartition("/")[2]) else "cl100k_base")
    return sum(_count(chosen, piece) for piece in pieces(text, PIECE_CHARACTERS))


def estimate_bytes(data_length: int) -> int:
    """Estimate from the length of UTF-8 text how many tokens it may be at most, to hold money for it.

    Two for each five bytes, rounded up: English has 4 to 5 bytes a token, source code 3 to 4, dense JSON 2.5, and a
    Chinese or Japanese character has 3 bytes and in today's encodings seldom more than one token. Only texts without
    words have more, such as columns of numbers (2.2 bytes a token) or base64 (1.4): what these use beyond the hold is
    posted in full.
    """
    assert data_length >= 0
    return -(-data_length * 2 // 5)


def pieces(text: str, size: int) -> Iterator[str]:
    """Cut text into pieces of at most `size` characters, where it can be before a blank that begins a token."""
    start = 0
    while len(text) - start > size:
        end = _cut(text, start, start + size)
        yield text[start:end]
        start = end
    yield text[start:]


def _cut(text: str, start: int, end: int) -> int:
    """Find the last place between a letter or digit and one blank with a word behind it: tokens never span that."""
    place, earliest = end, start + (end - start) // 2
    for _ in range(CUTS_TRIED_MAX):
        place = text.rfind(" ", earliest, place)
        if place <= earliest:
            break
        if text[place - 1].isalnum() and not text[place + 1].isspace():
            return place
    return end


def _count(chosen: "Encoding", piece: str) -> int:
    return len(chosen.encode_ordinary(piece))
