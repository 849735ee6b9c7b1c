"""Which channels may take a model, best first. Pure; the dice are handed in."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from halley.routing.model import Channel


def candidates(channels: Iterable[Channel], model: str, *, livemode: bool, draw: Callable[[], float]) -> list[Channel]:
    """Give the usable channels whose globs match, by priority; within one priority drawn by weight.

    A test key sees only simulators, a live key never one. `draw` gives numbers from 0 to 1.
    """
    able = [one for one in channels if one.simulated is not livemode and _serves(one, model)]
    return sorted(able, key=lambda one: (-one.priority, _lot(one.weight, draw())))


def _serves(channel: Channel, model: str) -> bool:
    return channel.enabled and channel.weight > 0 and any(fnmatchcase(model, glob) for glob in channel.models)


def _lot(weight: int, number: float) -> float:
    # Efraimidis and Spirakis: sorting by u^(1/w), greatest first, draws without replacement by weight.
    return -(number ** (1 / weight))
