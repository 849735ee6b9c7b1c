"""The prompt cache of a simulated vendor: how much of a prompt was seen before, counted in whole blocks."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from halley.vendors.simulate.text import pieces

TOKENS_MIN = 1_024
BLOCK_TOKENS = 128
BLOCKS_MAX = 512
ENTRIES_MAX = 8_192
CHARACTERS_MAX = 400_000


class PrefixCache:
    """Remembers the beginnings of prompts, the latest few thousand blocks of them, in memory."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def cached(self, account: str, texts: Iterable[str], *, tokens_min: int = TOKENS_MIN) -> int:
        """How many pieces of the prompt were seen at its beginning before; from now on all of them were.

        `texts` is all that the prompt says, in its order; more than its first 400,000 characters are not looked at.
        """
        marks = _marks(account, pieces(_beginning(texts)))
        known = 0
        for tokens, mark in marks:
            if mark not in self._seen:
                break
            known = tokens
        for _, mark in marks:
            self._seen[mark] = None
            self._seen.move_to_end(mark)
        while len(self._seen) > ENTRIES_MAX:
            self._seen.popitem(last=False)
        return known if known >= tokens_min else 0


def _beginning(texts: Iterable[str]) -> str:
    taken: list[str] = []
    room = CHARACTERS_MAX
    for text in texts:
        taken.append(text[:room])
        room -= len(text)
        if room <= 0:
            break
    return "".join(taken)


def _marks(account: str, found: Sequence[str]) -> list[tuple[int, bytes]]:
    """Each whole block's end, with what stands for all up to there."""
    digest = hashlib.sha256(account.encode())
    marks: list[tuple[int, bytes]] = []
    for start in range(0, min(len(found), BLOCKS_MAX * BLOCK_TOKENS) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        digest.update("".join(found[start : start + BLOCK_TOKENS]).encode("utf-8", "replace"))
        marks.append((start + BLOCK_TOKENS, digest.digest()))
    return marks
