"""The vendor's prompt cache: what of a prompt was marked for it, what was read from it and what was written to it."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from halley.kernel.clock import MICROSECONDS

TOKENS_MIN = 1_024
ENTRIES_MAX = 8_192
LOOK_BACK_SEGMENTS = 20
MARKS_MAX = 4
HOUR_S = 3_600
USUAL_S = 300


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the prompt: a tool, a block of the system prompt, a block of a message."""

    content: bytes
    tokens: int
    ttl_s: int | None = None
    """Of a piece that is marked: how long everything up to it shall be kept."""


class Cached(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens read from the cache, and written to it for five minutes and for an hour."""

    read: int = 0
    written_5m: int = 0
    written_1h: int = 0


class PromptCache:
    """Remembers prompts up to their marks, in memory."""

    def __init__(self) -> None:
        self._expires_us: OrderedDict[bytes, int] = OrderedDict()

    def use(self, account: str, model: str, segments: Sequence[Segment], *, now_us: int) -> Cached:
        """What this prompt reads and writes; from now on it is known."""
        ends = _ends(f"{account}\n{model}", segments)
        marked = [place for place, segment in enumerate(segments) if segment.ttl_s is not None]
        known = self._longest_known(ends, marked, now_us)
        read = ends[known][1] if known is not None else 0
        written = {USUAL_S: 0, HOUR_S: 0}
        done = read
        for place in marked:
            digest, tokens = ends[place]
            ttl_s = segments[place].ttl_s or USUAL_S
            if tokens < TOKENS_MIN:
                continue
            written[ttl_s] += max(0, tokens - done)
            done = max(done, tokens)
            self._remember(digest, now_us + ttl_s * MICROSECONDS)
        return Cached(read=read, written_5m=written[USUAL_S], written_1h=written[HOUR_S])

    def _longest_known(self, ends: list[tuple[bytes, int]], marked: list[int], now_us: int) -> int | None:
        for mark in reversed(marked):
            for place in range(mark, max(-1, mark - LOOK_BACK_SEGMENTS), -1):
                if self._expires_us.get(ends[place][0], 0) > now_us:
                    return place
        return None

    def _remember(self, digest: bytes, expires_us: int) -> None:
        self._expires_us[digest] = max(expires_us, self._expires_us.get(digest, 0))
        self._expires_us.move_to_end(digest)
        while len(self._expires_us) > ENTRIES_MAX:
            self._expires_us.popitem(last=False)


def _ends(salt: str, segments: Sequence[Segment]) -> list[tuple[bytes, int]]:
    """Of each segment: what stands for the prompt up to its end, and how many tokens that has."""
    hashed = hashlib.sha256(salt.encode("utf-8", "replace"))
    ends: list[tuple[bytes, int]] = []
    tokens = 0
    for segment in segments:
        hashed.update(len(segment.content).to_bytes(8) + segment.content)
        tokens += segment.tokens
        ends.append((hashed.digest(), tokens))
    return ends
