"""`/predict` of users as of now: real gateway, real events in a real ClickHouse, a real predictor."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from anmodel.gateway.forecast_store import ForecastStore
from anmodel.laptop.guardian import Guardian
from anmodel.settings import ClickHouseSettings
from anmodel.snapshots import FEATURE_NAMES, META, daily_sql
from anmodel.warehouse import Warehouse
from batch.histories import START, Row, own_warehouse, some_events, store
from batch.naive_features import same
from batch.serving import NAME, Models, Predictor, start_predictor
from batch.test_gateway import Shop, forecasts, start_gateway
from clickhouse_process import ClickHouseProcess
from eventually import eventually

TRENDS = ("trend_popularity_mean", "trend_popularity_max")
NOW = START + timedelta(days=50, hours=18)


@pytest.fixture
def store_of(clickhouse: ClickHouseProcess) -> Iterator[tuple[Warehouse, ForecastStore]]:
    """Empty tables, and the gateway's way to read them."""
    warehouse = own_warehouse(clickhouse)
    settings = ClickHouseSettings.load(
        clickhouse_host=clickhouse.host,
        clickhouse_port=clickhouse.port,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        clickhouse_db=warehouse.db,
    )
    opened = ForecastStore(settings, NAME)
    yield warehouse, opened
    opened.close()


def test_the_features_of_users_are_those_of_the_daily_snapshot_as_of_the_same_instant(
    store_of: tuple[Warehouse, ForecastStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse, gateway = store_of
    events = some_events(21, users=20)
    store(warehouse, events[len(events) // 4 :])
    check(warehouse, gateway, {event["user_id"] for event in events})
    store(warehouse, events)  # late ones, and repeats that are not merged yet
    users = {event["user_id"] for event in events} | {"nobody"}
    assert len(check(warehouse, gateway, users)) > 15
    one = sorted(users)[3]
    with monkeypatch.context() as few:
        few.setattr("anmodel.gateway.forecast_store.MOST_EVENTS", 20)  # the others' are made by the engine
        check(warehouse, gateway, users)
    assert gateway.features_of([one], NOW) == {one: gateway.features_of(sorted(users), NOW)[one]}


def check(warehouse: Warehouse, gateway: ForecastStore, users: set[str]) -> dict[str, Row]:
    """The users' features, once they are found to be those of the daily snapshot's query."""
    found = gateway.features_of(sorted(users), NOW)
    daily = {row.pop("user_id"): row for row in warehouse.query(daily_sql(f"{warehouse.db}.events_raw FINAL", NOW))}
    assert found.keys() == daily.keys() & users
    for user, row in found.items():
        assert list(row) == list(FEATURE_NAMES)
        wrong = {name: (row[name], daily[user][name]) for name in row if not same(row[name], daily[user][name])}
        assert not wrong, user
    return found


def test_trends_are_those_of_the_region_in_the_newest_forecasts(store_of: tuple[Warehouse, ForecastStore]) -> None:
    warehouse, gateway = store_of
    ann = some_events(7, users=1)[0] | {"user_id": "ann", "region": "UA-30", "ts": START}
    store(warehouse, [ann, ann | {"user_id": "boris", "region": "UA-40"}])
    shop = Shop(stage=None, warehouse=warehouse, users=None, rows=pd.DataFrame())  # type: ignore[arg-type]
    told = json.dumps(dict(zip(TRENDS, (12.5, 80), strict=True)))
    assert gateway.features_of(["ann"], NOW)["ann"]["trend_popularity_max"] is None
    shop.finish(forecasts(["anyone"], region="UA-30", features=told))
    gateway.forget()
    found = gateway.features_of(["ann", "boris"], NOW)
    assert [found["ann"][name] for name in TRENDS] == [12.5, 80.0]
    assert [found["boris"][name] for name in TRENDS] == [None, None]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory, guardian: Guardian) -> Iterator[Predictor]:
    models = Models(tmp_path_factory.mktemp("models"))
    models.registry.set_champion(models.train(1))
    predictor = start_predictor(models, guardian)
    eventually(lambda: predictor.info()["status"] == "loaded", 30)
    yield predictor
    predictor.stage.kill()


@pytest.fixture(scope="module")
def shop(
    clickhouse: ClickHouseProcess, predictor: Predictor, guardian: Guardian, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    folder, warehouse = tmp_path_factory.mktemp("shop"), own_warehouse(clickhouse)
    shop = start_gateway(clickhouse, folder, guardian, predictor.stage.url, warehouse.db)
    store(warehouse, some_events(22, users=5))
    yield replace(shop, warehouse=warehouse)
    shop.stage.kill()


def ask(shop: Shop, path: str = "/predict", **body: Any) -> httpx.Response:
    return httpx.post(f"{shop.stage.url}{path}", json=body, timeout=30)


def test_a_user_is_forecast_as_of_now_by_the_model_in_use(shop: Shop, predictor: Predictor) -> None:
    user, other = "user 'No. 3' ☂", "user 'No. 1' ☂"
    answer = ask(shop, f"/predict/{NAME}", user_ids=[user, "nobody", other, user])
    assert answer.status_code == 200, answer.text
    found = answer.json()
    as_of = datetime.fromisoformat(found["as_of"])
    assert abs(datetime.now(UTC) - as_of) < timedelta(seconds=30)
    assert [(one["user_id"], one["known"]) for one in found["users"]] == [
        (user, True),
        ("nobody", False),
        (other, True),
        (user, True),
    ]
    daily = {
        row["user_id"]: row for row in shop.warehouse.query(daily_sql(f"{shop.warehouse.db}.events_raw FINAL", as_of))
    }
    frame = pd.DataFrame([daily[user], daily[other]]).drop(columns=list(META))[list(FEATURE_NAMES)]
    frame[list(TRENDS)] = frame[list(TRENDS)].astype(float)
    expected = predictor.models.trained["1"].forecast(frame).to_dict("records")
    assert found["predictions"][0] == found["predictions"][3] == pytest.approx(expected[0])
    assert found["predictions"][2] == pytest.approx(expected[1])
    assert (len(found["predictions"]), found["model_version"]) == (4, "1")


def test_more_users_than_the_limit_are_refused_and_as_many_are_answered(shop: Shop) -> None:
    users = [f"user 'No. {number}' ☂" for number in range(100)]
    assert len(ask(shop, user_ids=users).json()["predictions"]) == 100
    answer = ask(shop, user_ids=[*users, "one more"])
    assert (answer.status_code, answer.json()) == (
        422,
        {"detail": "user_ids: got 101; at most 100 are forecast as of now in one request"},
    )


def test_without_clickhouse_the_answer_is_503_and_records_are_answered_on(
    shop: Shop, predictor: Predictor, clickhouse: ClickHouseProcess
) -> None:
    record = predictor.info()["feature_medians"]
    clickhouse.kill()
    try:
        answer = ask(shop, user_ids=["nobody"])
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert ask(shop, records=[record]).status_code == 200
    finally:
        clickhouse.start()
    eventually(lambda: ask(shop, user_ids=["nobody"]).status_code == 200, 20)


def test_before_the_tables_are_made_the_answer_says_how_to_make_them(
    clickhouse: ClickHouseProcess, predictor: Predictor, guardian: Guardian, tmp_path: Path
) -> None:
    shop = start_gateway(clickhouse, tmp_path, guardian, predictor.stage.url, clickhouse.database())
    answer = ask(shop, user_ids=["ann"])
    shop.stage.kill()
    assert (answer.status_code, answer.json()) == (
        503,
        {"detail": "ClickHouse has no tables yet: run `anmodel migrate`"},
    )
