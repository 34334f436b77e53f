"""What the predictor counts, in Prometheus' form, beside KServe's own times."""

import time
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anmodel.predictor.source import Source

_ENDS = {":predict": "v1", "/infer": "v2"}


class PredictorMetrics:
    """Of one application: requests for forecasts by protocol and outcome, and which model answers them."""

    def __init__(self, name: str, source: Source) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_ModelInfo(name, source))
        self._seconds = Histogram(
            "anmodel_predictor_request_seconds",
            "Time to answer a request for forecasts, by protocol and outcome.",
            ["protocol", "outcome"],
            registry=self._registry,
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )

    def answered(self, protocol: str, status: int, seconds: float) -> None:
        """Count a request by its HTTP status, or what that would have been."""
        self._seconds.labels(protocol, _outcome(status)).observe(seconds)

    def page(self) -> bytes:
        """Ours and KServe's."""
        return generate_latest(REGISTRY) + generate_latest(self._registry)


class Observed:
    """Counts the requests for forecasts that come over HTTP."""

    def __init__(self, app: ASGIApp, metrics: PredictorMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        protocol = None
        if scope["type"] == "http" and scope["method"] == "POST":
            protocol = next((name for end, name in _ENDS.items() if scope["path"].endswith(end)), None)
        if protocol is None:
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500  # a crash passes here before it becomes an answer

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._metrics.answered(protocol, status, time.perf_counter() - started)


class _ModelInfo(Collector):
    """1 for the version that answers; nothing while none does."""

    def __init__(self, name: str, source: Source) -> None:
        self._name = name
        self._source = source

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called at each look at the metrics."""
        served = self._source.served
        info = GaugeMetricFamily(
            "anmodel_predictor_model_info",
            "1 for the version that answers; absent while none does.",
            labels=["model_name", "version", "snapshot_version"],
        )
        if served is not None:
            info.add_metric([self._name, served.version, str(served.loaded.contract.get("version", ""))], 1)
        yield info


def _outcome(status: int) -> str:
    if status < 400:
        return "answered"
    if status < 500:
        return "refused"
    return "unavailable" if status == 503 else "failed"
