"""What Prometheus may read. Labels are closed sets (routes, models, states): never a key, an id or a URL."""

from prometheus_client import CollectorRegistry, Gauge

from halley.kernel.clock import Clock, SystemClock
from halley.world.figures import Counts, Times


class Metrics:
    """All series of one process. Counts and times are for the event loop's thread only."""

    def __init__(self, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self.registry = registry = CollectorRegistry()
        self.requests = Counts("halley_requests", "Requests answered", ("route", "method", "status"), clock)
        self.latency = Times("halley_request_seconds", "Time to answer", ("route",), clock)
        self.vendor_calls = Counts(
            "halley_vendor_calls", "Calls to vendors", ("channel", "vendor", "operation", "outcome"), clock
        )
        self.vendor_latency = Times(
            "halley_vendor_call_seconds", "Time of calls to vendors", ("channel", "vendor", "operation"), clock
        )
        self.tasks_ended = Counts("halley_tasks_ended", "Tasks by their end", ("model", "state"), clock)
        self.webhooks = Counts("halley_webhooks", "Webhook attempts", ("outcome",), clock)
        for figures in (
            self.requests,
            self.latency,
            self.vendor_calls,
            self.vendor_latency,
            self.tasks_ended,
            self.webhooks,
        ):
            registry.register(figures)
        self.tasks = Gauge("halley_tasks", "Open tasks", ("state",), registry=registry)
        self.task_age = Gauge("halley_task_age_seconds", "Age of the oldest open task", ("state",), registry=registry)
        self.holds = Gauge("halley_holds", "Open holds", registry=registry)
        self.holds_dollars = Gauge("halley_holds_dollars", "Amount of open holds in US dollars", registry=registry)
        self.writes_waiting = Gauge("halley_writes_waiting", "Units queued for the writer", registry=registry)
        self.webhooks_waiting = Gauge("halley_webhooks_waiting", "Webhooks not yet delivered", registry=registry)
        self.channel_up = Gauge(
            "halley_channel_up", "0 while a channel rests after failures", ("channel", "operation"), registry=registry
        )
