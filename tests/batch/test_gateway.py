"""The gateway as a process: real forecasts in a real ClickHouse, real users, a real predictor behind it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import schemathesis
from hypothesis import settings
from schemathesis import checks

from anmodel.findings import REPORTS_SCHEMA, Finding, finding
from anmodel.forecasts import CHANCES, FORECASTS_SCHEMA, segment
from anmodel.gateway.answers import ModelHealth, ModelInfo, UserDetail, UserPage
from anmodel.gateway.app import openapi_document
from anmodel.gateway.forecast_age import METRIC
from anmodel.gateway.selection import SHOWN
from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from anmodel.settings import MigrateSettings
from anmodel.users import UsersTable
from anmodel.warehouse import EVENTS_SCHEMA, Warehouse
from batch.serving import CONTRACT, NAME, Models, Predictor, records_of, start_predictor
from batch.synthetic import feature_rows
from clickhouse_process import ClickHouseProcess
from eventually import eventually
from stages import Stage

SNAPSHOT = datetime(2026, 11, 23, 23, 59, 59, 999000, UTC)
SCORED = SNAPSHOT + timedelta(hours=2)
STRANGE_IDS = (
    *("a/b//c", "☕ кава", "it's", 'quote"d', "back\\slash", "back\\nslash"),
    *("100%_", "{user:String}", "?q=1&x#y", "..", " ", "x" * 256),
)
REASON = {"feature": "total_events", "value": 3.0, "effect": 0.2, "text": "events ever: 3"}
REGIONS = ("UA-30", "UA-40", "")


def forecasts(ids: Sequence[str], seed: int = 5, **run: Any) -> pa.Table:
    """Rows of a run as score writes them; chances are rounded, so that many are equal."""
    features, _ = feature_rows(len(ids), seed)
    random = np.random.default_rng(seed)
    rows = []
    for place, user_id in enumerate(ids):
        seen = records_of(features.iloc[[place]])[0]
        proba = round(float(random.random()), 1)
        rows.append(
            {
                "snapshot_time": SNAPSHOT,
                "model_name": NAME,
                "model_version": "1",
                "snapshot_version": CONTRACT["version"],
                "horizon_days": 7,
                "scored_at": SCORED,
                "user_id": user_id,
                "region": REGIONS[place % 3],
                "purchase_proba": proba,
                "will_purchase_pred": int(proba > 0.5),
                "days_to_next_pred": round(float(random.uniform(0, 7)), 1),
                "days_to_next_low": 0.5,
                "days_to_next_high": 6.5,
                "next_purchase_amount_pred": round(float(random.gamma(2, 100)), 2),
                "next_purchase_amount_low": 10.0,
                "next_purchase_amount_high": 900.0,
                **dict.fromkeys(CHANCES.values(), proba),
                "spend_median": 0.0,
                "spend_mean": round(float(random.gamma(2, 50)), 2) if place % 5 else None,  # an older row has none
                "percentile": 100.0 * proba,
                "segment": segment(proba, seen["days_since_last"], seen["events_last_7d"]),
                "reasons": json.dumps(
                    [{"feature": "total_events", "value": 3.0, "effect": 0.2, "text": "events ever: 3"}]
                ),
                "features": json.dumps(seen | {"snapshot_date": "2026-11-23"}),
                **run,
            }
        )
    return pa.Table.from_pylist(rows, schema=FORECASTS_SCHEMA)


@dataclass
class Shop:
    """A database with forecasts, a users table, a predictor, and the gateway over them."""

    stage: Stage
    warehouse: Warehouse
    users: UsersTable
    rows: pd.DataFrame

    def get(self, path: str, **query: Any) -> httpx.Response:
        return httpx.get(f"{self.stage.url}{path}", params=query, timeout=30)

    def page(self, **query: Any) -> dict[str, Any]:
        answer = self.get("/users", **query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        UserPage.model_validate(found)
        return found

    def finish(self, table: pa.Table) -> None:
        """Write a run whole: its forecasts, then its row."""
        self.warehouse.insert_arrow("forecasts", table)
        names = ["snapshot_time", "model_name", "model_version", "snapshot_version", "horizon_days", "scored_at"]
        run = table.select(names).slice(0, 1)
        self.warehouse.insert_arrow("forecast_runs", run.append_column("users", pa.array([len(table)], pa.uint64())))


def start_gateway(clickhouse: ClickHouseProcess, folder: Path, guardian: Guardian, predictor: str, db: str) -> Shop:
    place = {
        "clickhouse_host": clickhouse.host,
        "clickhouse_port": clickhouse.port,
        "clickhouse_user": clickhouse.user,
        "clickhouse_password": clickhouse.password,
        "clickhouse_db": db,
    }
    folder.mkdir(exist_ok=True)
    url, port = f"sqlite:///{folder}/users.db", free_port()
    variables = {name.upper(): str(value) for name, value in place.items()} | {
        "USERS_URL": url,
        "PREDICTOR_URL": predictor,
        "GATEWAY_PORT": str(port),
    }
    stage = Stage("gateway", variables, folder, guardian, f"http://127.0.0.1:{port}")
    warehouse = Warehouse.connect(MigrateSettings.load(**place))
    return Shop(stage.start(), warehouse, UsersTable(url), pd.DataFrame())


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
    folder = tmp_path_factory.mktemp("shop")
    shop = start_gateway(clickhouse, folder, guardian, predictor.stage.url, clickhouse.database())
    shop.warehouse.migrate()
    shop.users.create()
    table = forecasts([f"User-{number:03}" for number in range(90)] + list(STRANGE_IDS))
    shop.finish(table)
    frame = table.to_pandas()
    decoded = pd.DataFrame([json.loads(text) for text in frame["features"]])
    shop.rows = pd.concat([frame.drop(columns="features"), decoded], axis=1)
    yield shop
    shop.stage.kill()


def ids(page: dict[str, Any]) -> list[str]:
    return [user["user_id"] for user in page["users"]]


def test_users_without_parameters_are_all_of_them_best_first(shop: Shop) -> None:
    page = shop.page()
    expected = shop.rows.sort_values(["purchase_proba", "user_id"], ascending=[False, True])
    assert ids(page) == expected["user_id"].tolist()
    assert (page["total"], page["mode"], page["reason"]) == (len(expected), "full", None)
    assert (page["snapshot_date"], page["model_version"]) == ("2026-11-23", "1")
    first, row = page["users"][0], expected.iloc[0]
    assert set(first["features"]) == {feature["name"] for feature in CONTRACT["features"]} | {"snapshot_date", *SHOWN}
    assert first["features"]["total_events"] == row["total_events"]
    assert first["features"]["trend_popularity_max"] is None
    assert (first["region"], first["segment"], first["percentile"]) == (
        row["region"] or None,
        row["segment"],
        row["percentile"],
    )


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    "sort",
    [
        "purchase_proba",
        "user_id",
        "total_spent",
        "days_since_last",
        "events_last_7d",
        "next_purchase_amount_pred",
        "days_to_next_pred",
    ],
)
def test_pages_put_together_are_all_users_in_the_order_asked_for(shop: Shop, sort: str, order: str) -> None:
    keys = [sort] if sort == "user_id" else [sort, "user_id"]
    directions = [order == "asc", True][: len(keys)]
    expected = shop.rows.sort_values(keys, ascending=directions, kind="stable")["user_id"].tolist()
    pages = [shop.page(sort=sort, order=order, limit=30, offset=offset) for offset in (0, 30, 60, 90, 120)]
    assert [user for page in pages for user in ids(page)] == expected
    assert {page["total"] for page in pages} == {len(shop.rows)}
    assert ids(shop.page(sort=sort, order=order, offset=95)) == expected[95:]


def test_filters_keep_who_they_say(shop: Shop) -> None:
    rows = shop.rows
    chance = rows["purchase_proba"].between(0.3, 0.6)
    for query, kept in (
        ({"segment": "warm"}, rows["segment"] == "warm"),
        ({"region": "UA-40"}, rows["region"] == "UA-40"),
        ({"region": ""}, rows["region"] == ""),
        ({"min_proba": 0.3, "max_proba": 0.6}, chance),
        ({"min_proba": 0.3, "max_proba": 0.6, "region": "UA-30"}, chance & (rows["region"] == "UA-30")),
        ({"search": "uSER-04"}, rows["user_id"].str.startswith("User-04")),
        ({"search": "nobody"}, rows["user_id"] == ""),
    ):
        page = shop.page(**query, limit=1000)
        assert sorted(ids(page)) == sorted(rows["user_id"][kept]), query
        assert page["total"] == kept.sum()


@pytest.mark.parametrize("user_id", STRANGE_IDS)
def test_a_user_is_found_whatever_the_id_is_made_of(shop: Shop, user_id: str) -> None:
    assert user_id in ids(shop.page(search=user_id[:128], limit=10))
    if user_id == "..":
        return  # an address of dots means another address, to every client
    answer = shop.get(f"/users/{quote(user_id, safe='')}")
    assert answer.status_code == 200
    found = answer.json()
    UserDetail.model_validate(found)
    assert found["user_id"] == user_id
    assert found["intervals"] == {"days_to_next": [0.5, 6.5], "next_purchase_amount": [10.0, 900.0]}
    assert found["reasons"] == [REASON]


def test_a_user_has_the_newest_twenty_events_each_once(shop: Shop) -> None:
    newest = datetime(2026, 11, 23, 12, tzinfo=UTC)
    events = [
        {
            "event_id": f"e{number}",
            "event_type": "click" if number else "page_view",
            "ts": newest - timedelta(days=number, milliseconds=5),
            "session_id": "s",
            "user_id": "User-001",
            "region": "UA-30",
            "item_id": f"item_{number}" if number else "",
            "price": 10.5 if number else None,
            "properties": "{}",
            "received_at": newest,
            "partition": 0,
            "offset": number,
        }
        for number in range(30)
    ]
    table = pa.Table.from_pylist(events, schema=EVENTS_SCHEMA)
    shop.warehouse.insert_arrow("events_raw", table)
    shop.warehouse.insert_arrow("events_raw", table)
    recent = shop.get("/users/User-001").json()["recent_events"]
    assert recent[0] == {"ts": "2026-11-23T11:59:59.995Z", "event_type": "page_view", "item_id": None, "price": None}
    assert [event["item_id"] for event in recent[1:]] == [f"item_{number}" for number in range(1, 20)]
    assert {event["price"] for event in recent[1:]} == {10.5}


def test_segments_sum_up_their_users(shop: Shop) -> None:
    answer = shop.get("/segments").json()
    assert (answer["total"], answer["mode"]) == (len(shop.rows), "full")
    assert answer["regions"] == ["UA-30", "UA-40"]
    for size in answer["segments"]:
        rows = shop.rows[shop.rows["segment"] == size["segment"]]
        revenue = rows["spend_mean"].fillna(rows["purchase_proba"] * rows["next_purchase_amount_pred"]).sum()
        assert size["users"] == len(rows)
        assert size["expected_revenue"] == pytest.approx(revenue, abs=0.01)


def test_nobody_exists_who_was_never_seen(shop: Shop) -> None:
    answer = shop.get("/users/nobody")
    assert (answer.status_code, answer.json()) == (404, {"detail": "nothing is known of user 'nobody'"})


def test_a_prediction_goes_all_the_way_to_the_model(shop: Shop, predictor: Predictor) -> None:
    info = shop.get(f"/model-info/{NAME}").json()
    ModelInfo.model_validate(info)
    assert shop.get("/services").json()["details"][NAME]["status"] == "loaded"
    record = {name: info["feature_medians"][name] for name in info["features"]}
    answer = httpx.post(f"{shop.stage.url}/predict", json={"records": [record]}, timeout=30)
    frame = pd.DataFrame([record]).astype({name: float for name in record if not isinstance(record[name], str)})
    expected = predictor.models.trained["1"].forecast(frame).to_dict("records")
    predictions = [pytest.approx(row) for row in expected]
    assert answer.json() == {"predictions": predictions, "model_version": "1", "as_of": None, "users": None}
    del record["total_events"]
    refused = httpx.post(f"{shop.stage.url}/predict/{NAME}", json={"records": [{**record, "foo": 1}]}, timeout=30)
    assert (refused.status_code, refused.json()["unknown"], refused.json()["missing"]) == (
        422,
        ["foo"],
        ["total_events"],
    )


def test_everything_there_is_ready(shop: Shop) -> None:
    answer = shop.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "missing": [], "mode": "full"})


def keep_findings(shop: Shop, snapshot: datetime, version: str, findings: list[Finding]) -> None:
    """Write findings as monitor does."""
    rows = [
        {"snapshot_time": snapshot, "model_name": NAME, "model_version": version, "made_at": SCORED} | vars(item)
        for item in findings
    ]
    shop.warehouse.insert_arrow("monitor_reports", pa.Table.from_pylist(rows, schema=REPORTS_SCHEMA))


def test_findings_are_the_newest_of_the_version_that_is_shown(shop: Shop) -> None:
    empty = shop.get("/monitor").json()
    assert (empty["level"], empty["past_runs"]) == (None, [])
    assert "run `anmodel monitor`" in empty["reason"]

    psi, auc, users = "psi", "live_roc_auc", [finding("live_users", 300), finding("live_buyers", 60)]
    keep_findings(shop, SNAPSHOT, "1", [finding(psi, 0.3, "total_events"), finding(psi, 0.0, "total_spent")])
    keep_findings(shop, SNAPSHOT - timedelta(days=1), "1", [finding(psi, 0.9, "total_clicks")])
    keep_findings(shop, SNAPSHOT, "2", [finding(psi, 0.8, "total_clicks")])
    keep_findings(shop, SNAPSHOT - timedelta(days=7), "1", [finding(auc, 0.55), *users])
    keep_findings(shop, SNAPSHOT - timedelta(days=8), "1", [finding(auc, 0.4), *users])
    keep_findings(shop, SNAPSHOT - timedelta(days=6), "2", [finding(auc, 0.3), *users])
    keep_findings(shop, SNAPSHOT - timedelta(days=7), "1", [finding("live_online_roc_auc", 0.2)])

    health = ModelHealth.model_validate(shop.get("/monitor").json())
    assert [(item.metric, item.feature, item.level, item.snapshot_date) for item in health.findings] == [
        ("live_online_roc_auc", None, "alarm", "2026-11-16"),
        ("psi", "total_events", "alarm", "2026-11-23"),
        ("live_roc_auc", None, "warn", "2026-11-16"),
        ("live_buyers", None, "ok", "2026-11-16"),
        ("live_users", None, "ok", "2026-11-16"),
    ]
    assert (health.well, health.model_version, health.measured_at) == (3, "1", "2026-11-24T01:59:59.999Z")
    assert [(run.snapshot_date, run.model_version, run.roc_auc, run.level) for run in health.past_runs] == [
        ("2026-11-15", "1", 0.4, "alarm"),
        ("2026-11-16", "1", 0.55, "warn"),
        ("2026-11-17", "2", 0.3, "alarm"),
    ]
    assert [run["snapshot_date"] for run in shop.get("/monitor", runs=1).json()["past_runs"]] == ["2026-11-17"]


@pytest.fixture
def empty_shop(clickhouse: ClickHouseProcess, guardian: Guardian, tmp_path: Path) -> Iterator[Shop]:
    """A shop before its first forecast: a database without tables, no predictor, three users."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    shop = start_gateway(clickhouse, tmp_path, guardian, nowhere, clickhouse.database())
    shop.users.create()
    shop.users.add([("anna", "UA-30"), ("boris", "UA-40"), ("hanna", "UA-30")])
    yield shop
    assert shop.stage.stop() in (0, -15)


def test_a_shop_before_its_first_forecast_lists_its_users_and_says_what_is_missing(empty_shop: Shop) -> None:
    shop = empty_shop
    page = shop.page()
    assert (ids(page), page["mode"]) == (["anna", "boris", "hanna"], "fallback")
    assert page["reason"] == "ClickHouse has no tables yet: run `anmodel migrate`"
    shop.warehouse.migrate()
    assert shop.page()["reason"] == "there are no forecasts yet: run `anmodel forecast`"
    assert shop.get("/monitor").json()["reason"] == "there are no forecasts yet: run `anmodel forecast`"
    assert (ids(shop.page(search="ANNA", limit=1, offset=1)), shop.page(search="ANNA")["total"]) == (["hanna"], 2)
    assert ids(shop.page(region="UA-40")) == ["boris"]
    assert ids(shop.page(limit=2)) == ["anna", "boris"]
    assert shop.get("/segments").json() == {
        "segments": [],
        "total": 3,
        "regions": ["UA-30", "UA-40"],
        "mode": "fallback",
    }
    missing = {part["part"]: part["reason"] for part in shop.get("/ready").json()["missing"]}
    assert missing == {
        "forecasts": "there are no forecasts yet: run `anmodel forecast`",
        "predictor": "the predictor does not answer; try again in a few seconds",
    }
    answer = httpx.post(f"{shop.stage.url}/predict", json={"records": [{}]}, timeout=30)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_only_the_newest_finished_run_is_shown(empty_shop: Shop) -> None:
    shop = empty_shop
    shop.warehouse.migrate()
    shop.finish(forecasts(["anna", "boris", "gone"]))
    eventually(lambda: ids(shop.page(sort="user_id", order="asc")) == ["anna", "boris", "gone"])
    shop.warehouse.insert_arrow("forecasts", forecasts(["anna"], snapshot_time=SNAPSHOT + timedelta(days=1)))
    assert shop.page()["total"] == 3
    again = {"scored_at": SCORED + timedelta(hours=1)}
    shop.warehouse.insert_arrow("forecasts", forecasts(["anna"], **again))
    assert sorted(ids(shop.page())) == ["anna", "boris", "gone"]
    shop.finish(forecasts(["anna", "boris"], **again))
    eventually(lambda: sorted(ids(shop.page())) == ["anna", "boris"])
    shop.finish(forecasts(["anna"], snapshot_time=SNAPSHOT + timedelta(days=1), model_version="2"))
    eventually(lambda: shop.page()["snapshot_date"] == "2026-11-24")
    page = shop.page()
    assert (ids(page), page["total"], page["model_version"]) == (["anna"], 1, "2")
    assert shop.get("/segments").json()["regions"] == ["UA-30"]


def test_prometheus_is_told_what_instant_the_newest_forecasts_are_as_of(empty_shop: Shop) -> None:
    shop = empty_shop
    assert METRIC not in shop.get("/metrics").text
    shop.warehouse.migrate()
    for days in (1, 0):  # the newest is not the one that was finished last
        shop.finish(forecasts(["anna"], snapshot_time=SNAPSHOT - timedelta(days=days)))
    shop.finish(forecasts(["anna"], snapshot_time=SNAPSHOT - timedelta(days=7), scored_at=SCORED + timedelta(days=1)))
    shop.stage.stop()
    shop.stage.start()  # its first look
    eventually(lambda: told(shop) == [SNAPSHOT.timestamp()])


def told(shop: Shop) -> list[float]:
    lines = shop.get("/metrics").text.splitlines()
    return [float(line.split()[1]) for line in lines if line.startswith(f"{METRIC} ")]


def test_clickhouse_may_die_and_come_back_while_the_gateway_runs(shop: Shop, clickhouse: ClickHouseProcess) -> None:
    shop.users.add([("User-001", "UA-30")])
    clickhouse.kill()
    try:
        page = shop.page(limit=10)
        assert (ids(page), page["mode"]) == (["User-001"], "fallback")
        assert page["reason"] == "forecasts cannot be read from ClickHouse now"
        assert shop.get("/users/User-001").json()["mode"] == "fallback"
        assert shop.get("/monitor").status_code == 503
        assert [part["part"] for part in shop.get("/ready").json()["missing"]] == ["clickhouse"]
        assert shop.get("/health").status_code == 200
    finally:
        clickhouse.start()
    eventually(lambda: shop.page(limit=10)["mode"] == "full", 20)


DESCRIBED = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
schema = schemathesis.openapi.from_dict(openapi_document())


@schema.parametrize()
@settings(max_examples=25, derandomize=True)
def test_no_request_made_from_the_description_is_answered_outside_it(case: schemathesis.Case, shop: Shop) -> None:
    case.call_and_validate(base_url=shop.stage.url, checks=DESCRIBED)
