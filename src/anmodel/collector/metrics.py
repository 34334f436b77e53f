"""What the collector counts, in Prometheus' form.

Plain numbers, since one thread counts: the library's own counters take locks, which costs as much as judging an event.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector as Collected

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram's buckets, in seconds."""


class CollectorMetrics(Collected):
    """Counters of one collector process."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused = 0
        self.unavailable = 0
        self.refused_by: Counter[str] = Counter()
        self.requests: Counter[int] = Counter()
        self.waiting = 0
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def answered(self, status: int, seconds: float) -> None:
        """Count a request and the time from its headers to its answer."""
        self.requests[status] += 1
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def refuse(self, field: str) -> None:
        """Count an event that breaks the contract at `field`."""
        self.refused += 1
        self.refused_by[field] += 1

    def collect(self) -> Iterator[Metric]:
        """What /metrics shows."""
        outcomes = {"accepted": self.accepted, "refused": self.refused, "unavailable": self.unavailable}
        yield _counter("anmodel_collector_events", "Events by what became of them.", "outcome", outcomes)
        yield _counter("anmodel_collector_refused", "Refused events by the field at fault.", "field", self.refused_by)
        yield _counter("anmodel_collector_requests", "Requests by their answer's status.", "status", self.requests)
        yield HistogramMetricFamily(
            "anmodel_collector_request_seconds", "Time from a request to its answer.", self._cumulated(), self._seconds
        )
        yield GaugeMetricFamily("anmodel_collector_waiting_events", "Events that wait for the broker.", self.waiting)

    def _cumulated(self) -> list[tuple[str, float]]:
        counted, buckets = 0, []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._buckets, strict=True):
            counted += count
            buckets.append((bound, float(counted)))
        return buckets


def _counter(name: str, meaning: str, label: str, counts: Any) -> CounterMetricFamily:
    family = CounterMetricFamily(name, meaning, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([str(value)], count)
    return family
