"""The predictor's parts that need no model server: records, the watch over the champion, and what it says of itself."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from structlog.testing import capture_logs

from anmodel import snapshots
from anmodel.errors import ContractError, RegistryError
from anmodel.predictor.champion import ChampionWatch
from anmodel.predictor.description import describe
from anmodel.predictor.records import Columns, RecordsRefused, frame_of_records
from anmodel.predictor.source import check_contract
from eventually import eventually

COLUMNS = Columns(("visits", "item", "spent"), ("visits", "spent"), ("item",))
RECORD: dict[str, Any] = {"visits": 3, "item": "item_1", "spent": 9.5}
SECRET = "sqlite:////srv/mlflow.db"
CONTRACT = snapshots.contract(7)


def test_records_become_rows_of_the_models_columns_and_null_stays_unknown() -> None:
    frame = frame_of_records([RECORD, {"spent": None, "item": None, "visits": 0.5}], COLUMNS)
    assert sorted(frame.columns) == ["item", "spent", "visits"]
    assert frame["visits"].tolist() == [3.0, 0.5]
    assert frame["spent"].isna().tolist() == [False, True]
    assert frame["item"].tolist() == ["item_1", None]


@pytest.mark.parametrize(
    ("records", "unknown", "missing"),
    [
        ([{**RECORD, "foo": 1}], ["foo"], []),
        ([{"item": "item_1"}], [], ["visits", "spent"]),
        ([{}], [], ["visits", "item", "spent"]),
        (
            [RECORD, {"visits": 1, "item": None, "bar": 2}, {"spent": 1, "item": None, "visits": 1, "foo": 2}],
            ["bar", "foo"],
            ["spent"],
        ),
        ([{"visits": 1, "item": None}, {"spent": 1, "item": None}], [], ["visits", "spent"]),
    ],
    ids=["unknown", "missing", "empty", "both in several", "complete only together"],
)
def test_unknown_and_missing_features_are_named(
    records: list[dict[str, Any]], unknown: list[str], missing: list[str]
) -> None:
    with pytest.raises(RecordsRefused) as refused:
        frame_of_records(records, COLUMNS)
    assert (refused.value.unknown, refused.value.missing) == (unknown, missing)
    assert all(name in str(refused.value) for name in unknown + missing)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("visits", "3", "record 1, visits: got '3'; a number or null is needed"),
        ("visits", True, "record 1, visits: got True; a number or null is needed"),
        ("spent", [1], "record 1, spent: got [1]; a number or null is needed"),
        ("item", 5, "record 1, item: got 5; a text or null is needed"),
        ("spent", math.inf, "spent: got an infinite number; a finite one or null is needed"),
        ("visits", 10**400, "a whole number is too large; numbers up to 1.8e308 are allowed"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_and_never_turned_into_a_number(name: str, value: Any, said: str) -> None:
    with pytest.raises(RecordsRefused) as refused:
        frame_of_records([RECORD, {**RECORD, name: value}], COLUMNS)
    assert str(refused.value) == said


@dataclass
class FakeVersion:
    version: str
    created_at: datetime = datetime(2026, 11, 24, tzinfo=UTC)


class FakeModel:
    """Answers one chance for everyone."""

    def __init__(self) -> None:
        self.n_jobs = 0
        self.optimal_threshold_ = 0.4
        self.feature_importance_ = pd.Series({"total_events": 0.1, "days_since_last": 0.9})
        self.feature_medians_: dict[str, Any] = {
            "total_events": 4.0,
            "days_since_last": math.nan,
            "last_event_type": "click",
        }
        self.categories_ = {"last_event_type": ["click", "search"]}
        self.predicted: list[pd.DataFrame] = []

    def set_params(self, n_jobs: int) -> None:
        self.n_jobs = n_jobs

    def forecast(self, frame: pd.DataFrame) -> pd.DataFrame:
        self.predicted.append(frame)
        return pd.DataFrame({"purchase_proba": [0.5] * len(frame)})


@dataclass
class FakeLoaded:
    version: FakeVersion
    contract: dict[str, Any] = field(default_factory=lambda: CONTRACT)
    model: FakeModel = field(default_factory=FakeModel)
    metrics: dict[str, float] = field(default_factory=lambda: {"roc_auc": 0.8, "mae_days": math.nan})


class FakeRegistry:
    """The registry in memory; `champion_is` moves the alias, loads and questions fail as told."""

    def __init__(self) -> None:
        self.models: dict[str, FakeLoaded] = {}
        self.alias: str | None = None
        self.failure: Exception | None = None
        self.load_failure: Exception | None = None
        self.loads: list[str] = []

    def champion_is(self, number: str, **different: Any) -> None:
        self.models[number] = FakeLoaded(FakeVersion(number), **different)
        self.alias = number

    def champion(self) -> FakeVersion | None:
        if self.failure:
            raise self.failure
        return None if self.alias is None else FakeVersion(self.alias)

    def load(self, version: FakeVersion) -> FakeLoaded:
        self.loads.append(version.version)
        if self.load_failure:
            raise self.load_failure
        return self.models[version.version]


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[Any]]:
    """What is logged goes here and not to the screen."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def watch(registry: FakeRegistry) -> ChampionWatch:
    return ChampionWatch(lambda: registry, 0.01)


def other_contract() -> dict[str, Any]:
    """A contract that lacks a feature, has one of its own, and one of another kind."""
    contract = copy.deepcopy(CONTRACT)
    contract["version"] = "0123456789ab"
    contract["features"][0]["name"] = "carts_of_old"
    contract["features"][-1]["kind"] = "category"
    return contract


def served_version(watch: ChampionWatch) -> str | None:
    return watch.served.version if watch.served else None


def test_nothing_is_served_until_there_is_a_champion(watch: ChampionWatch, registry: FakeRegistry) -> None:
    watch.look()
    assert describe("context_aware", watch) == {
        "name": "context_aware",
        "status": "pending",
        "error": None,
        "version": None,
        "snapshot_version": None,
    }
    registry.champion_is("1")
    watch.look()
    assert served_version(watch) == "1"


def test_a_model_has_answered_once_on_one_core_before_it_is_served(
    watch: ChampionWatch, registry: FakeRegistry
) -> None:
    registry.champion_is("1")
    watch.look()
    model = registry.models["1"].model
    assert [len(frame) for frame in model.predicted] == [1]
    assert model.n_jobs == 1


def test_a_request_under_way_keeps_the_model_it_began_with(watch: ChampionWatch, registry: FakeRegistry) -> None:
    registry.champion_is("1")
    watch.look()
    begun = watch.served
    registry.champion_is("2")
    watch.look()
    assert begun is not None
    assert (begun.version, served_version(watch)) == ("1", "2")


def test_a_champion_is_loaded_once_and_not_at_every_look(watch: ChampionWatch, registry: FakeRegistry) -> None:
    registry.champion_is("1")
    for _ in range(3):
        watch.look()
    assert registry.loads == ["1"]


def test_a_model_of_other_features_is_refused_by_their_names_and_the_one_before_stays(
    watch: ChampionWatch, registry: FakeRegistry
) -> None:
    registry.champion_is("1")
    watch.look()
    registry.champion_is("2", contract=other_contract())
    for _ in range(3):
        watch.look()
    said = describe("context_aware", watch)
    first, last = CONTRACT["features"][0]["name"], CONTRACT["features"][-1]["name"]
    assert (said["status"], said["version"]) == ("loaded", "1")
    assert said["error"] == (
        f"model version 2 reads snapshot 0123456789ab, this code makes {CONTRACT['version']}: "
        f"only in the model: carts_of_old; only in this code: {first}; of another kind: {last}. "
        "Train again with this code: `anmodel forecast`"
    )
    assert registry.loads == ["1", "2"]
    registry.alias = "1"
    watch.look()
    assert watch.error is None
    registry.alias = "2"
    watch.look()
    assert watch.error == said["error"]


def test_a_refused_first_model_leaves_the_predictor_in_error(watch: ChampionWatch, registry: FakeRegistry) -> None:
    registry.champion_is("1", contract={**CONTRACT, "version": "0123456789ab"})
    watch.look()
    said = describe("context_aware", watch)
    assert (said["status"], said["version"]) == ("error", None)
    assert "the same columns, computed differently" in said["error"]


def test_a_model_without_a_contract_is_refused() -> None:
    with pytest.raises(ContractError, match="model version 4 carries no contract"):
        check_contract({}, "4")


@pytest.mark.parametrize("failure", [RegistryError(f"MLflow at {SECRET}"), KeyError(SECRET)])
def test_a_registry_that_fails_takes_nothing_away_and_is_asked_again(
    watch: ChampionWatch, registry: FakeRegistry, failure: Exception, log_lines: list[Any]
) -> None:
    registry.champion_is("1")
    watch.look()
    registry.champion_is("2")
    registry.load_failure = failure
    watch.look()
    assert served_version(watch) == "1"
    assert watch.error
    assert SECRET not in watch.error
    assert SECRET in str(log_lines)
    registry.load_failure, registry.failure = None, failure
    watch.look()
    assert served_version(watch) == "1"
    registry.failure = None
    watch.look()
    assert (served_version(watch), watch.error) == ("2", None)


def test_the_watch_swaps_by_itself_and_ends_when_told(watch: ChampionWatch, registry: FakeRegistry) -> None:
    watch.start()
    try:
        registry.champion_is("1")
        eventually(lambda: served_version(watch) == "1")
        registry.champion_is("2")
        eventually(lambda: served_version(watch) == "2")
    finally:
        watch.stop()
    registry.champion_is("3")
    assert served_version(watch) == "2"


def test_the_description_tells_features_importance_and_finite_metrics(
    watch: ChampionWatch, registry: FakeRegistry
) -> None:
    registry.champion_is("1")
    watch.look()
    said = describe("context_aware", watch)
    described = {feature["name"]: feature for feature in said["described"]}
    assert (said["status"], said["version"], said["horizon_days"]) == ("loaded", "1", 7)
    assert said["features"] == list(snapshots.FEATURE_NAMES)
    assert said["feature_importance_top10"] == [
        {"feature": "days_since_last", "importance": 0.9},
        {"feature": "total_events", "importance": 0.1},
    ]
    assert said["metrics"] == {"roc_auc": 0.8}
    assert said["feature_medians"]["total_events"] == 4.0
    assert said["feature_medians"]["days_since_last"] is None
    assert described["total_events"]["categories"] is None
    assert described["last_event_type"]["categories"] == ["click", "search"]
