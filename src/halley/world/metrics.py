"""What Prometheus may read. Labels are closed sets (routes, models, states): never a key, an id or a URL."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """All series of one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "halley_requests_total", "Requests answered", ("route", "method", "status"), registry=registry
        )
        self.latency = Histogram(
            "halley_request_seconds", "Time to answer", ("route",), registry=registry, buckets=LATENCY_BUCKETS_S
        )
        self.vendor_calls = Counter(
            "halley_vendor_calls_total", "Calls to vendors", ("vendor", "operation", "outcome"), registry=registry
        )
        self.vendor_latency = Histogram(
            "halley_vendor_call_seconds",
            "Time of calls to vendors",
            ("vendor", "operation"),
            registry=registry,
            buckets=LATENCY_BUCKETS_S,
        )
        self.tasks_ended = Counter(
            "halley_tasks_ended_total", "Tasks by their end", ("model", "state"), registry=registry
        )
        self.webhooks = Counter("halley_webhooks_total", "Webhook attempts", ("outcome",), registry=registry)
        self.tasks = Gauge("halley_tasks", "Open tasks", ("state",), registry=registry)
        self.task_age = Gauge("halley_task_age_seconds", "Age of the oldest open task", ("state",), registry=registry)
        self.holds = Gauge("halley_holds", "Open holds", registry=registry)
        self.holds_dollars = Gauge("halley_holds_dollars", "Amount of open holds in US dollars", registry=registry)
        self.writes_waiting = Gauge("halley_writes_waiting", "Units queued for the writer", registry=registry)
        self.webhooks_waiting = Gauge("halley_webhooks_waiting", "Webhooks not yet delivered", registry=registry)
        self.channel_up = Gauge(
            "halley_channel_up", "0 while a channel rests after failures", ("channel", "operation"), registry=registry
        )
