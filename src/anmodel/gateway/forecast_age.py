"""How old the forecasts are, for Prometheus: it must be told when nights fail and nobody looks at the console."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from anmodel.errors import NotReadyError
from anmodel.gateway.selection import Run

METRIC = "anmodel_gateway_forecast_as_of_timestamp_seconds"
_LOOK_SECONDS = 60.0

log = structlog.get_logger()


class ForecastAge(Collector):
    """Looks for the newest finished run every minute, on a thread of its own, and exports the instant it is as of.

    The instant of the snapshot and not of the scoring: a new model scores the last snapshot again, and makes it no
    newer. An instant and not an age: it goes on ageing while ClickHouse does not answer. Absent until forecasts
    were seen for the first time.
    """

    def __init__(self, newest_run: Callable[[], Run], registry: CollectorRegistry) -> None:
        """`newest_run` may block; it raises `NotReadyError` when there is none, anything else when it cannot tell."""
        self._newest_run = newest_run
        self._run: Run | None = None
        self._failing = False
        self._ending = threading.Event()
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metric, as it was at the last look."""
        if run := self._run:
            yield GaugeMetricFamily(
                METRIC, "Unix time that the newest finished forecasts are as of.", run.snapshot_ms / 1000
            )

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look, now and again, for the time of a `with`; its end waits for no look under way."""
        threading.Thread(target=self._keep_looking, name="forecast-age", daemon=True).start()
        try:
            yield
        finally:
            self._ending.set()

    def look(self) -> None:
        """Look once; what was known stays when the question fails."""
        try:
            self._run, self._failing = self._newest_run(), False
        except NotReadyError:
            self._failing = False
        except Exception as error:  # a thread that ended would let the forecasts grow old for good
            if not self._failing:
                log.warning("age of the forecasts not known", error=str(error), kind=type(error).__name__)
            self._failing = True

    def _keep_looking(self) -> None:
        self.look()
        while not self._ending.wait(_LOOK_SECONDS):
            self.look()
