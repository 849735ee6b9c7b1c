"""Counters and histograms that cost a request next to nothing; Prometheus's library sees them when somebody reads.

They are for one thread. What is read is what that library's own `Counter` and `Histogram` would give.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from prometheus_client import Counter
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from halley.kernel.clock import Clock, unix_seconds

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SERIES_MAX = 10_000
"""Of one metric. Labels are closed sets, so this is never met; were it, what is new is counted as `other`."""
OTHER = "other"

Figure = TypeVar("Figure", "Count", "Time")
Sample = tuple[str, dict[str, str], float]
"""The end of its name, the labels that only it has, its value."""
_BOUNDS_S = (*LATENCY_BUCKETS_S, float("inf"))
_BOUNDS_TOLD = (*(str(float(bound)) for bound in LATENCY_BUCKETS_S), "+Inf")


class Count:
    """How often one thing has happened."""

    __slots__ = ("created_s", "value")

    def __init__(self, created_s: float) -> None:
        self.created_s = created_s
        self.value = 0

    def inc(self) -> None:
        """Count one more."""
        self.value += 1


class Time:
    """How long one thing has taken, in seconds, sorted into buckets."""

    __slots__ = ("buckets", "created_s", "sum_s")

    def __init__(self, created_s: float) -> None:
        self.buckets = [0] * len(_BOUNDS_S)
        self.sum_s = 0.0
        self.created_s = created_s

    def observe(self, seconds: float) -> None:
        """Count one that took so long."""
        self.buckets[bisect_left(_BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class _Figures(Collector, Generic[Figure]):
    """One metric: a figure for each combination of labels, made when it is first asked for."""

    _type: str

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...], make: Callable[[], Figure]) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._make = make
        self._told: dict[tuple[str, ...], Figure] = {}
        self._found: dict[tuple[str, ...], Figure] = {}
        """The same by the values that were asked for, which need not be strings."""

    def labels(self, *values: str) -> Figure:
        """Give the figure of these labels' values."""
        found = self._found.get(values)
        return self._add(values) if found is None else found

    def collect(self) -> Iterable[Metric]:
        """Give all as Prometheus's library knows them."""
        metric, tells_births = Metric(self._name, self._documentation, self._type), _births_are_told()
        for values, figure in self._told.items():
            labels = dict(zip(self._labels, values, strict=True))
            for suffix, more, value in self._samples(figure):
                metric.add_sample(self._name + suffix, labels | more, value)
            if tells_births:
                metric.add_sample(f"{self._name}_created", labels, figure.created_s)
        yield metric

    def _samples(self, figure: Figure) -> Iterable[Sample]:
        raise NotImplementedError

    def _add(self, values: tuple[str, ...]) -> Figure:
        if len(values) != len(self._labels):
            message = f"`{self._name}` has the labels {', '.join(self._labels)}"
            raise ValueError(message)
        if len(self._found) >= SERIES_MAX:
            values = (OTHER,) * len(values)
        named = tuple(str(value) for value in values)
        figure = self._told.get(named)
        if figure is None:
            figure = self._told[named] = self._make()
        self._found[values] = figure
        return figure


class Counts(_Figures[Count]):
    """A counter."""

    _type = "counter"

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...], clock: Clock) -> None:
        super().__init__(name, documentation, labels, lambda: Count(unix_seconds(clock.now())))

    def _samples(self, figure: Count) -> Iterable[Sample]:
        yield "_total", {}, figure.value


class Times(_Figures[Time]):
    """A histogram."""

    _type = "histogram"

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...], clock: Clock) -> None:
        super().__init__(name, documentation, labels, lambda: Time(unix_seconds(clock.now())))

    def _samples(self, figure: Time) -> Iterable[Sample]:
        count = 0
        for bound, inside in zip(_BOUNDS_TOLD, figure.buckets, strict=True):
            count += inside
            yield "_bucket", {"le": bound}, count
        yield "_count", {}, count
        yield "_sum", {}, figure.sum_s


def _births_are_told() -> bool:
    """Whether the library gives the series `_created`, which can be switched off in its environment."""
    (metric,) = Counter("one", "", registry=None).collect()
    return any(sample.name == "one_created" for sample in metric.samples)
