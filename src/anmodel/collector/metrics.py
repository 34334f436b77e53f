"""What the collector counts, in Prometheus' form."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class CollectorMetrics:
    """Counters of one collector process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter(
            "anmodel_collector_events", "Events by what became of them.", ["outcome"], registry=self.registry
        )
        self.refused = Counter(
            "anmodel_collector_refused", "Refused events by the field at fault.", ["field"], registry=self.registry
        )
        self.seconds = Histogram(
            "anmodel_collector_request_seconds", "Time from a request's body to its answer.", registry=self.registry
        )
        self.waiting = Gauge(
            "anmodel_collector_waiting_events", "Events that wait for the broker.", registry=self.registry
        )
        for outcome in ("accepted", "refused", "unavailable"):
            self.events.labels(outcome)
