"""Which channels may take a model, best first. Pure; the dice are handed in."""

import hashlib
import math
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from halley.routing.model import Channel

_AFFINITY_BITS = 52
"""As many as a float between 0 and 1 holds with a half added, so that neither end is ever reached."""


def candidates(
    channels: Iterable[Channel], model: str, *, livemode: bool, draw: Callable[[Channel], float]
) -> list[Channel]:
    """Give the usable channels that serve the model, by priority; within one priority drawn by weight.

    A test key sees only simulators, a live key never one. `draw` gives each channel a number from 0 to 1: at random
    for a fair share of each, or `affinity` where the same caller is to meet the same channel.
    """
    able = [one for one in channels if one.simulated is not livemode and _serves(one, model)]
    return sorted(able, key=lambda one: (-one.priority, _lot(one.weight, draw(one))))


def affinity(key: str, channel_id: str) -> float:
    """Give a number between 0 and 1 that is always the same for this pair, and that nobody can tell from a drawn one.

    With it `candidates` is weighted rendezvous hashing: keys are shared by weight, each keeps its channel and so the
    vendor's cache of its prompts, and a channel that goes away moves only the keys that it had.
    """
    digest = hashlib.sha256(f"{channel_id}\0{key}".encode()).digest()
    return ((int.from_bytes(digest[:8]) >> (64 - _AFFINITY_BITS)) + 0.5) / (1 << _AFFINITY_BITS)


def _serves(channel: Channel, model: str) -> bool:
    if not channel.enabled or channel.weight <= 0:
        return False
    return model in channel.model_map or any(fnmatchcase(model, glob) for glob in channel.models)


def _lot(weight: int, number: float) -> float:
    # Efraimidis and Spirakis: sorting by u^(1/w), greatest first, draws without replacement by weight. The logarithm
    # keeps apart what the power of a large weight rounds to 1.
    return -math.log(number) / weight if number > 0 else math.inf
