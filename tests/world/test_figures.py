"""What Prometheus reads of our counters and histograms is what its own library's would give."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from halley.kernel.operation import Operation
from halley.testing.clock import FakeClock
from halley.world import Metrics
from halley.world.figures import LATENCY_BUCKETS_S, OTHER, SERIES_MAX, Counts, Times

LABELS = st.sampled_from(("GET", "/v1/tasks/{id}", 'a "b"\n\\', "", "é", str(Operation.CHAT)))
SECONDS = st.one_of(st.floats(0, 100), st.sampled_from(LATENCY_BUCKETS_S), st.integers(0, 70))


def read(registry: CollectorRegistry) -> str:
    """All of it, but for the times of birth."""
    return re.sub(r"(?m)^(\S+_created\{.*\}) \S+$", r"\1 then", generate_latest(registry).decode())


@given(st.lists(st.tuples(LABELS, LABELS), max_size=30), st.lists(st.tuples(LABELS, SECONDS), max_size=30))
def test_what_is_read_is_what_the_librarys_own_would_give(
    counted: list[tuple[str, str]], timed: list[tuple[str, float]]
):
    mine, theirs, clock = CollectorRegistry(), CollectorRegistry(), FakeClock()
    counts, times = Counts("halley_ones", "Ones", ("a", "b"), clock), Times("halley_s", "Seconds", ("a",), clock)
    mine.register(counts)
    mine.register(times)
    counter = Counter("halley_ones_total", "Ones", ("a", "b"), registry=theirs)
    histogram = Histogram("halley_s", "Seconds", ("a",), registry=theirs, buckets=LATENCY_BUCKETS_S)
    for one, other in counted:
        counts.labels(one, other).inc()
        counter.labels(one, other).inc()
    for one, seconds in timed:
        times.labels(one).observe(seconds)
        histogram.labels(one).observe(seconds)
    assert read(mine) == read(theirs)


def test_the_series_of_a_process_are_named_as_they_always_were():
    metrics = Metrics(FakeClock("2026-11-22T12:00:00Z"))
    metrics.requests.labels("/v1/tasks", "GET", "200").inc()
    metrics.latency.labels("/v1/tasks").observe(0.003)
    metrics.vendor_calls.labels("main", "acme", Operation.CHAT, "ok").inc()
    metrics.vendor_latency.labels("main", "acme", Operation.CHAT).observe(0.3)
    metrics.tasks_ended.labels("model-1", "succeeded").inc()
    metrics.webhooks.labels("delivered").inc()
    lines = generate_latest(metrics.registry).decode().splitlines()
    for line in (
        'halley_requests_total{method="GET",route="/v1/tasks",status="200"} 1.0',
        'halley_request_seconds_bucket{le="0.0025",route="/v1/tasks"} 0.0',
        'halley_request_seconds_bucket{le="0.005",route="/v1/tasks"} 1.0',
        'halley_request_seconds_bucket{le="+Inf",route="/v1/tasks"} 1.0',
        'halley_request_seconds_sum{route="/v1/tasks"} 0.003',
        f'halley_vendor_calls_total{{channel="main",operation="{Operation.CHAT}",outcome="ok",vendor="acme"}} 1.0',
        f'halley_vendor_call_seconds_count{{channel="main",operation="{Operation.CHAT}",vendor="acme"}} 1.0',
        'halley_tasks_ended_total{model="model-1",state="succeeded"} 1.0',
        'halley_webhooks_total{outcome="delivered"} 1.0',
        'halley_webhooks_created{outcome="delivered"} 1.7953488e+09',
        "# TYPE halley_requests_total counter",
        "# TYPE halley_request_seconds histogram",
    ):
        assert line in lines


def test_a_value_that_is_no_string_counts_as_the_string_it_is_told_as():
    counts = Counts("halley_ones", "Ones", ("status",), FakeClock())
    counts.labels("200").inc()
    counts.labels(200).inc()  # pyright: ignore[reportArgumentType] - what a careless caller does
    (metric,) = counts.collect()
    assert [(sample.labels, sample.value) for sample in metric.samples][:1] == [({"status": "200"}, 2)]


def test_a_wrong_number_of_labels_is_refused():
    counts = Counts("halley_ones", "Ones", ("a", "b"), FakeClock())
    with pytest.raises(ValueError, match="`halley_ones` has the labels a, b"):
        counts.labels("1")


def test_series_are_bounded():
    counts = Counts("halley_ones", "Ones", ("a",), FakeClock())
    for number in range(SERIES_MAX + 5):
        counts.labels(str(number)).inc()
    (metric,) = counts.collect()
    told = {sample.labels["a"]: sample.value for sample in metric.samples if sample.name.endswith("_total")}
    assert (len(told), told[OTHER]) == (SERIES_MAX + 1, 5)
