"""Counts the tokens of pictures and sound by the rules that vendors publish; a hold and a fallback, never a bill."""

import math
import re
from collections.abc import Callable
from typing import Literal

Detail = Literal["low", "high", "auto", "original"]
Rule = Callable[[int, int, Detail], int]

PATCH = 32
TILE = 512
TILED_LONG_SIDE_MAX = 2_048
TILED_SHORT_SIDE_MAX = 768
PIXELS_PER_TOKEN = 750
"""Of the models that bill by area."""
LONG_SIDE_MAX = 1_568
"""Larger pictures are scaled down to this by the models that bill by area."""
CROP = 768
CROP_TOKENS = 258
SMALL_SIDE_MAX = 384

SPEECH_TOKENS_PER_SECOND = 32
"""The highest that a vendor publishes for sound it is sent."""
HEARD_TOKENS_PER_SECOND = 10
SPOKEN_TOKENS_PER_SECOND = 20


def image_tokens(model: str, width: int, height: int, detail: Detail = "auto") -> int:
    """Count an input picture's tokens: by the published rules for GPT and o-series models, roughly for all others."""
    assert width > 0
    assert height > 0
    name = model.rpartition("/")[2].removeprefix("ft:")
    for pattern, rule in _RULES:
        if pattern.match(name):
            return rule(width, height, detail)
    return _crops(width, height, detail)


def audio_tokens(seconds: float, *, model: str = "", output: bool = False) -> int:
    """Count sound: 10 tokens a second heard and 20 spoken for GPT models, 32 for all others, rounded up."""
    assert seconds >= 0
    if not model.rpartition("/")[2].startswith("gpt-"):
        return math.ceil(seconds * SPEECH_TOKENS_PER_SECOND)
    return math.ceil(seconds * (SPOKEN_TOKENS_PER_SECOND if output else HEARD_TOKENS_PER_SECOND))


def _tiled(base: int, tile: int) -> Rule:
    """Squares of 512 pixels, after the picture was made to fit; a base alone for low detail."""

    def rule(width: int, height: int, detail: Detail) -> int:
        if detail == "low":
            return base
        scale = min(1.0, TILED_LONG_SIDE_MAX / max(width, height))
        scale = min(scale, TILED_SHORT_SIDE_MAX / min(width, height))
        return base + tile * math.ceil(width * scale / TILE) * math.ceil(height * scale / TILE)

    return rule


def _patched(hundredths: int, budget: int, budget_original: int | None = None) -> Rule:
    """Squares of 32 pixels, at most a budget of them, times a factor in hundredths."""

    def rule(width: int, height: int, detail: Detail) -> int:
        most = budget_original if budget_original is not None and detail == "original" else budget
        patches = min(math.ceil(width / PATCH) * math.ceil(height / PATCH), most)
        return -(-patches * hundredths // 100)

    return rule


def _by_area(width: int, height: int, _detail: Detail) -> int:
    scale = min(1.0, LONG_SIDE_MAX / max(width, height))
    return math.ceil(width * height * scale * scale / PIXELS_PER_TOKEN)


def _crops(width: int, height: int, _detail: Detail) -> int:
    """One crop for small pictures, else crops of 768 pixels; a fair middle for models whose rule is not published."""
    if width <= SMALL_SIDE_MAX and height <= SMALL_SIDE_MAX:
        return CROP_TOKENS
    return CROP_TOKENS * math.ceil(width / CROP) * math.ceil(height / CROP)


# First match wins. From the vendor's guide to images and vision, section on cost, as of November 2026; later models
# than its tables have (patches from gpt-5.4 on, with a larger budget for `original`) are taken as gpt-5.4.
_RULES: tuple[tuple[re.Pattern[str], Rule], ...] = (
    (re.compile(r"gpt-4\.1-mini|gpt-5-mini|gpt-5\.[123]-.*mini"), _patched(162, 1_536)),
    (re.compile(r"gpt-4\.1-nano|gpt-5-nano"), _patched(246, 1_536)),
    (re.compile(r"o4-mini"), _patched(172, 1_536)),
    (re.compile(r"gpt-5\.4-mini"), _patched(162, 1_536)),
    (re.compile(r"gpt-5\.4-nano"), _patched(246, 1_536)),
    (re.compile(r"gpt-5\.[4-9]|gpt-[6-9]|chat-latest"), _patched(100, 2_500, 10_000)),
    (re.compile(r"gpt-5"), _tiled(70, 140)),
    (re.compile(r"gpt-4o-mini"), _tiled(2_833, 5_667)),
    (re.compile(r"computer-use"), _tiled(65, 129)),
    (re.compile(r"gpt-image"), _tiled(65, 129)),
    (re.compile(r"o[13](?!\d)"), _tiled(75, 150)),
    (re.compile(r"gpt-|chatgpt-"), _tiled(85, 170)),
    (re.compile(r"claude-"), _by_area),
)
