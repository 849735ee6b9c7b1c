"""Medians, percentiles and spread. Pure."""

from collections.abc import Sequence
from math import ceil
from statistics import median

import msgspec


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Several rounds of one figure."""

    median: float
    low: float
    high: float
    rounds: int

    @property
    def part(self) -> float:
        """How far the rounds lie apart, as a part of the median."""
        return (self.high - self.low) / abs(self.median) if self.median else 0.0


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent do not exceed; `values` in order. 0 for none."""
    if not values:
        return 0.0
    return values[max(0, ceil(percent / 100 * len(values)) - 1)]


def spread(values: Sequence[float]) -> Spread | None:
    """Median and bounds of the rounds; None when there was none."""
    if not values:
        return None
    return Spread(median=float(median(values)), low=min(values), high=max(values), rounds=len(values))
