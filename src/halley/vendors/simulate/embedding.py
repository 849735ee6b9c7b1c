"""Simulated embeddings: unit vectors that are the same for the same text and closer for similar texts. Pure.

Hashed words, pairs of words and trigrams of characters; no model. Plain Python: one text takes well under a millisecond
per hundred words, so a long batch belongs beside the event loop.
"""

import itertools
import math
import re
import zlib
from collections import Counter

DIMENSIONS_MAX = 16_384
_WORD = re.compile(r"\w+|[^\w\s]")
_WORD_WEIGHT, _PAIR_WEIGHT, _TRIGRAM_WEIGHT = 1.0, 0.5, 0.35
_PLACES_PER_FEATURE = 3
_MIX, _BITS = 0x9E3779B97F4A7C15, (1 << 64) - 1


def embed(text: str, dimensions: int) -> list[float]:
    """The vector of a text, of length 1. Raises `ValueError` for a number of dimensions out of bounds."""
    if not 1 <= dimensions <= DIMENSIONS_MAX:
        raise ValueError(f"{dimensions} dimensions are out of bounds; 1 to {DIMENSIONS_MAX} can be made")
    vector = [0.0] * dimensions
    for feature, weight in _features(text).items():
        mixed = zlib.crc32(feature.encode("utf-8", "replace")) * _MIX & _BITS
        for _ in range(_PLACES_PER_FEATURE):
            vector[(mixed >> 20) % dimensions] += weight if mixed & (1 << 17) else -weight
            mixed = (mixed ^ (mixed >> 29)) * _MIX & _BITS
    length = math.sqrt(math.fsum(value * value for value in vector))
    if not length:
        # Features that cancel each other out, which takes very few dimensions.
        return [1.0, *vector[1:]]
    return [value / length for value in vector]


def _features(text: str) -> dict[str, float]:
    """What the text is made of, with weights that grow slower than the number of repeats."""
    words = _WORD.findall(text.lower())
    counted = Counter(f"w {word}" for word in words)
    counted.update(f"p {first} {second}" for first, second in itertools.pairwise(words))
    for word in words:
        spelled = f"<{word}>"
        counted.update(f"c {spelled[at : at + 3]}" for at in range(len(spelled) - 2))
    if not counted:
        return {"nothing": 1.0}
    weights = {"w": _WORD_WEIGHT, "p": _PAIR_WEIGHT, "c": _TRIGRAM_WEIGHT}
    return {feature: weights[feature[0]] * math.sqrt(times) for feature, times in counted.items()}
