"""The instant of the newest forecasts, as the gateway tells Prometheus."""

import pytest
from prometheus_client import CollectorRegistry

from anmodel.errors import NotReadyError, WarehouseError
from anmodel.gateway.forecast_age import METRIC, ForecastAge
from anmodel.gateway.selection import Run
from eventually import eventually


class Store:
    """Answers with a run of this instant, in ms, or fails as told."""

    def __init__(self) -> None:
        self.snapshot_ms = 1_790_000_000_500
        self.failure: Exception | None = None

    def newest_run(self) -> Run:
        if self.failure:
            raise self.failure
        return Run(self.snapshot_ms, self.snapshot_ms + 3_600_000, "2026-09-21", "context_aware", "3", 7)


class Watched:
    """An age over a store."""

    def __init__(self) -> None:
        self.store, self.registry = Store(), CollectorRegistry()
        self.age = ForecastAge(self.store.newest_run, self.registry)

    def shown(self) -> float | None:
        return self.registry.get_sample_value(METRIC)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_it_is_the_instant_of_the_snapshot_and_not_of_the_scoring(watched: Watched) -> None:
    watched.age.look()
    assert watched.shown() == 1_790_000_000.5
    watched.store.snapshot_ms += 86_400_000
    watched.age.look()
    assert watched.shown() == 1_790_086_400.5


def test_nothing_is_exported_before_the_first_forecast_so_that_nobody_is_alarmed(watched: Watched) -> None:
    assert watched.shown() is None
    watched.store.failure = NotReadyError("no forecasts yet")
    watched.age.look()
    assert watched.shown() is None


@pytest.mark.parametrize(
    "failure", [WarehouseError("away"), NotReadyError("all are gone"), RuntimeError("of any kind")]
)
def test_forecasts_go_on_ageing_while_clickhouse_does_not_name_newer_ones(watched: Watched, failure: Exception) -> None:
    watched.age.look()
    watched.store.failure = failure
    watched.age.look()
    assert watched.shown() == 1_790_000_000.5


def test_the_first_look_is_at_the_start(watched: Watched) -> None:
    with watched.age.looking():
        eventually(lambda: watched.shown() == 1_790_000_000.5, 10)
