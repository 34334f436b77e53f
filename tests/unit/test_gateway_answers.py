"""The gateway's answers, exactly, over forecasts, users and a predictor of our own."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from anmodel.errors import NotReadyError, UsersError, WarehouseError
from anmodel.gateway.agreement import Agreement
from anmodel.gateway.answers import UserDetail, UserPage
from anmodel.gateway.app import create_app, openapi_document
from anmodel.gateway.fresh_features import FreshFeatures
from anmodel.gateway.parts import ListedUser, Parts
from anmodel.gateway.prediction_log import Answered
from anmodel.gateway.predictor_client import PredictorClient
from anmodel.gateway.selection import Run, Selection, ordering, page_sql
from anmodel.gateway.services import NO_MODEL, OnePredictor
from anmodel.snapshots import FEATURE_NAMES, snapshot_version

RUN = Run(1_795_500_000_000, 1_795_500_060_000, "2026-11-24", "context_aware", "3", 7)
NO_FORECASTS = "there are no forecasts yet: run `anmodel forecast`"
JSON = {"content-type": "application/json"}
SECRET = "Code: 210. refused by 10.1.2.3:8123 (/var/lib/clickhouse)"
EVENT = {"ts": "2026-11-23T10:00:00.000Z", "event_type": "click", "item_id": "", "price": None, "region": "UA-40"}


AHEAD = {
    "purchase_proba_1d": 0.1,
    "purchase_proba_7d": 0.4,
    "purchase_proba_14d": 0.5,
    "purchase_proba_30d": 0.6,
    "spend_median": 0.0,
    "spend_mean": 48.5,
}
"""Of every forecast."""


def forecast(user_id: str, proba: float, segment: str = "hot") -> dict[str, Any]:
    return {
        "user_id": user_id,
        "region": "UA-30",
        "segment": segment,
        "percentile": 90.0,
        "purchase_proba": proba,
        "will_purchase_pred": int(proba > 0.5),
        "days_to_next_pred": 2.5,
        "next_purchase_amount_pred": 120.0,
        **AHEAD,
        "features": '{"total_events": 12, "last_item": "item_1", "days_between_orders": null}',
        "days_to_next_low": 1.0,
        "days_to_next_high": 4.0,
        "next_purchase_amount_low": 60.0,
        "next_purchase_amount_high": 200.0,
        "reasons": '[{"feature": "total_events", "value": 12, "effect": 0.4, "text": "events ever: 12"}]',
    }


def measured(metric: str, value: float, level: str, feature: str = "") -> dict[str, Any]:
    """A row of the monitor's findings."""
    at = {"snapshot_date": "2026-11-24", "measured_at": "2026-11-24T01:00:00.000Z"}
    return {"metric": metric, "feature": feature, "value": value, "level": level, **at}


PAST_RUNS: list[dict[str, Any]] = [
    {
        "snapshot_date": "2026-11-17",
        "model_version": "3",
        "levels": ["ok", "warn"],
        "measured": [("live_users", 900.0), ("live_buyers", 120.0), ("live_roc_auc", 0.81), ("live_ece", 0.01)],
    },
    {
        "snapshot_date": "2026-11-16",
        "model_version": "2",
        "levels": ["ok"],
        "measured": [("live_users", 9.0), ("live_buyers", 1.0)],
    },
]
"""As the store has them: the newest first."""


class FakeForecasts:
    """Forecasts in memory, best first; fails as told. It remembers the last selection."""

    def __init__(self) -> None:
        self.rows = [forecast("u/1 ☕", 0.9), forecast("u2", 0.4, "warm"), forecast("u3", 0.05, "ignore")]
        self.events: list[dict[str, Any]] = [EVENT]
        self.failure: Exception | None = None
        self.asked: Selection | None = None
        self.measured = [
            measured("mean_chance", 0.2, "ok"),
            measured("psi", 0.1, "ok", "total_events"),
            measured("psi", 0.3, "alarm", "days_since_last"),
            measured("live_roc_auc", 0.3, "alarm"),
            measured("null_share_change", 0.2, "warn", "total_spent"),
            measured("of_a_later_version", 1.0, "alarm"),
        ]
        self.features: dict[str, dict[str, Any]] = {}

    def newest_run(self) -> Run:
        self.ping()
        return RUN

    def count(self, run: Run, selection: Selection) -> int:
        return len(self.rows)

    def page(self, run: Run, selection: Selection) -> list[dict[str, Any]]:
        self.asked = selection
        return self.rows[selection.offset :][: selection.limit]

    def lines(self, run: Run, selection: Selection) -> Iterator[bytes]:
        self.asked = selection
        return (json.dumps(row).encode() + b"\n" for row in self.rows)

    def user(self, run: Run, user_id: str) -> dict[str, Any] | None:
        return next((row for row in self.rows if row["user_id"] == user_id), None)

    def recent_events(self, user_id: str) -> list[dict[str, Any]]:
        self.ping()
        return self.events

    def features_of(self, user_ids: Sequence[str], as_of: datetime) -> dict[str, dict[str, Any]]:
        self.ping()
        assert len(set(user_ids)) == len(user_ids)
        return {user: found for user, found in self.features.items() if user in user_ids}

    def segments(self, run: Run) -> list[dict[str, Any]]:
        return [
            {"segment": "hot", "users": 1, "expected_revenue": 108.004, "regions": ["UA-40", "", "UA-30"]},
            {"segment": "warm", "users": 2, "expected_revenue": 1, "regions": ["UA-30"]},
        ]

    def findings(self, version: str) -> list[dict[str, Any]]:
        assert version == RUN.model_version
        return self.measured

    def past_runs(self, limit: int) -> list[dict[str, Any]]:
        return PAST_RUNS[:limit]

    def ping(self) -> None:
        if self.failure:
            raise self.failure


class FakeUsers:
    """The users table in memory; fails as told."""

    def __init__(self) -> None:
        self.listed = [ListedUser("u1", "UA-30"), ListedUser("u9", None)]
        self.failure: Exception | None = None

    def count(self, selection: Selection) -> int:
        self.ping()
        return len(self.listed)

    def page(self, selection: Selection) -> Iterator[ListedUser]:
        return iter(self.listed[: selection.limit])

    def user(self, user_id: str) -> ListedUser | None:
        self.ping()
        return next((one for one in self.listed if one.user_id == user_id), None)

    def ping(self) -> None:
        if self.failure:
            raise self.failure


INFO = {
    "status": "loaded",
    "error": None,
    "version": "3",
    "snapshot_version": "ab12cd34ef56",
    "horizon_days": 7,
    "features": ["total_events", "last_item"],
    "optimal_threshold": 0.41,
    "feature_importance_top10": [{"feature": "total_events", "importance": 0.7}],
    "feature_medians": {"total_events": 12.0, "last_item": None},
    "metrics": {"roc_auc": 0.8},
    "notes": ["too few buyers"],
    "described": [
        {
            "name": "total_events",
            "type": "number",
            "unit": "events",
            "meaning": "events ever",
            "block": "volume",
            "categories": None,
        },
        {
            "name": "last_item",
            "type": "category",
            "unit": "",
            "meaning": "newest item",
            "block": "place",
            "categories": ["item_1"],
        },
    ],
}
PREDICTION = {
    "purchase_proba": 0.5,
    "will_purchase_pred": 1,
    "days_to_next_pred": 3.0,
    "next_purchase_amount_pred": 99.0,
    "days_to_next_low": 1.0,
    "days_to_next_high": 6.5,
    "next_purchase_amount_low": 40.0,
    "next_purchase_amount_high": 200.0,
    **AHEAD,
}


class FakePredictor:
    """A predictor of ours that answers as told: a status and a body, or a broken connection first."""

    def __init__(self) -> None:
        self.info: dict[str, Any] = INFO
        self.refusal: tuple[int, dict[str, Any]] | None = None
        self.broken = 0
        self.seen: list[dict[str, Any]] = []

    def client(self) -> httpx.AsyncClient:
        app = FastAPI()
        app.add_api_route("/v1/models/context_aware/info", lambda: self.info)

        @app.post("/v1/models/context_aware:predict")
        async def predict(request: Request) -> JSONResponse:
            self.seen.append(await request.json())
            if self.refusal:
                return JSONResponse(self.refusal[1], self.refusal[0])
            return JSONResponse({"predictions": [PREDICTION] * len(self.seen[-1]["instances"]), "model_version": "3"})

        return httpx.AsyncClient(transport=Unsteady(self, httpx.ASGITransport(app)), base_url="http://predictor")


class Unsteady(httpx.AsyncBaseTransport):
    """A connection that breaks `predictor.broken` times."""

    def __init__(self, predictor: FakePredictor, inner: httpx.AsyncBaseTransport) -> None:
        self._predictor, self._inner = predictor, inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._predictor.broken:
            self._predictor.broken -= 1
            raise httpx.ConnectError("connection refused", request=request)
        return await self._inner.handle_async_request(request)


class FakeLog:
    """Keeps what is noted down."""

    def __init__(self) -> None:
        self.noted: list[Answered] = []

    def note(self, answered: Answered) -> None:
        self.noted.append(answered)


class Gateway:
    """The gateway over fakes."""

    def __init__(self) -> None:
        self.forecasts, self.users, self.predictor = FakeForecasts(), FakeUsers(), FakePredictor()
        self.log = FakeLog()

        @asynccontextmanager
        async def open_parts() -> AsyncIterator[Parts]:
            async with self.predictor.client() as client:
                services = OnePredictor("context_aware", PredictorClient(client, "context_aware"))
                fresh = FreshFeatures(self.forecasts.features_of)
                yield Parts(services, self.forecasts, self.users, Agreement(services), fresh, self.log)

        self.app = create_app(open_parts, ["http://localhost:5173"])


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(gateway.app)
    async with (
        gateway.app.router.lifespan_context(gateway.app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=JSON) as made,
    ):
        yield made


async def test_users_without_parameters_are_all_users_best_first_in_the_shape_of_the_original(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    answer = (await client.get("/users")).json()
    assert UserPage.model_validate(answer).total == 3
    assert [user["user_id"] for user in answer["users"]] == ["u/1 ☕", "u2", "u3"]
    assert answer["users"][0]["features"] == {
        "total_events": 12,
        "last_item": "item_1",
        "days_between_orders": None,
        "snapshot_date": "2026-11-24",
        "purchase_proba": 0.9,
        "will_purchase_pred": 1,
        "days_to_next_pred": 2.5,
        "next_purchase_amount_pred": 120.0,
        **AHEAD,
    }
    assert gateway.forecasts.asked == Selection()
    assert {key: answer[key] for key in ("limit", "offset", "mode", "reason", "snapshot_date", "model_version")} == {
        "limit": None,
        "offset": 0,
        "mode": "full",
        "reason": None,
        "snapshot_date": "2026-11-24",
        "model_version": "3",
    }


async def test_a_page_passes_its_filters_and_order_to_the_store(client: httpx.AsyncClient, gateway: Gateway) -> None:
    query = "limit=1&offset=1&search=U&sort=total_spent&order=asc&segment=warm&region=UA-30&min_proba=0.1&max_proba=0.5"
    answer = (await client.get(f"/users?{query}")).json()
    assert gateway.forecasts.asked == Selection(1, 1, "U", "total_spent", "asc", "warm", "UA-30", 0.1, 0.5)
    assert [user["user_id"] for user in answer["users"]] == ["u2"]
    assert (answer["total"], answer["limit"], answer["offset"]) == (3, 1, 1)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("offset=-1", "offset"),
        ("search=" + "x" * 129, "search"),
        ("sort=user_id;DROP", "sort"),
        ("order=up", "order"),
        ("segment=lukewarm", "segment"),
        ("min_proba=nan", "min_proba"),
    ],
)
async def test_a_wrong_parameter_is_refused_by_name(client: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await client.get(f"/users?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize("failure", [NotReadyError(NO_FORECASTS), WarehouseError(SECRET)])
async def test_without_forecasts_users_are_listed_and_the_reason_is_told_without_its_hosts_and_paths(
    client: httpx.AsyncClient, gateway: Gateway, failure: Exception
) -> None:
    gateway.forecasts.failure = failure
    answer = (await client.get("/users?limit=50")).json()
    reason = NO_FORECASTS if isinstance(failure, NotReadyError) else "forecasts cannot be read from ClickHouse now"
    assert answer == {
        "users": [
            {"user_id": "u1", "region": "UA-30", "segment": None, "percentile": None, "features": {}},
            {"user_id": "u9", "region": None, "segment": None, "percentile": None, "features": {}},
        ],
        "total": 2,
        "limit": 50,
        "offset": 0,
        "mode": "fallback",
        "reason": reason,
        "snapshot_date": None,
        "model_version": None,
    }
    assert (await client.get("/segments")).json() == {
        "segments": [],
        "total": 2,
        "regions": ["UA-30"],
        "mode": "fallback",
    }
    filtered = (await client.get("/users?min_proba=0.5")).json()
    assert filtered["reason"] == reason + "; filters by segment or chance do not apply"


async def test_without_forecasts_and_users_the_answer_is_503_and_says_what_is_missing(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    gateway.forecasts.failure, gateway.users.failure = WarehouseError(SECRET), UsersError(SECRET)
    gateway.forecasts.events = []
    for path in ("/users", "/users/u1", "/segments"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json() == {
            "detail": "forecasts cannot be read from ClickHouse now, and neither can the users table; try again later"
        }


async def test_a_user_has_reasons_intervals_and_recent_events_whatever_the_id_looks_like(
    client: httpx.AsyncClient,
) -> None:
    answer = (await client.get("/users/u%2F1%20%E2%98%95")).json()
    assert UserDetail.model_validate(answer).user_id == "u/1 ☕"
    assert answer["reasons"] == [{"feature": "total_events", "value": 12, "effect": 0.4, "text": "events ever: 12"}]
    assert answer["intervals"] == {"days_to_next": [1.0, 4.0], "next_purchase_amount": [60.0, 200.0]}
    assert answer["recent_events"] == [
        {"ts": "2026-11-23T10:00:00.000Z", "event_type": "click", "item_id": None, "price": None}
    ]
    assert (answer["mode"], answer["reason"]) == ("full", None)


async def test_a_user_without_a_forecast_is_known_by_the_users_table_or_by_events(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    listed, seen = (await client.get("/users/u1")).json(), (await client.get("/users/stranger")).json()
    assert (listed["region"], listed["mode"], listed["intervals"]) == ("UA-30", "fallback", None)
    assert (seen["region"], seen["mode"], len(seen["recent_events"])) == ("UA-40", "fallback", 1)
    assert listed["reason"].startswith("the newest forecasts do not hold this user")
    gateway.forecasts.events = []
    answer = await client.get("/users/stranger")
    assert (answer.status_code, answer.json()) == (404, {"detail": "nothing is known of user 'stranger'"})


async def test_a_user_is_listed_when_clickhouse_is_away(client: httpx.AsyncClient, gateway: Gateway) -> None:
    gateway.forecasts.failure = WarehouseError(SECRET)
    answer = (await client.get("/users/u1")).json()
    assert (answer["recent_events"], answer["mode"]) == ([], "fallback")
    assert answer["reason"] == "forecasts cannot be read from ClickHouse now"


async def test_segments_come_all_four_in_order(client: httpx.AsyncClient) -> None:
    assert (await client.get("/segments")).json() == {
        "segments": [
            {"segment": "hot", "users": 1, "expected_revenue": 108.0},
            {"segment": "warm", "users": 2, "expected_revenue": 1.0},
            {"segment": "cold", "users": 0, "expected_revenue": 0.0},
            {"segment": "ignore", "users": 0, "expected_revenue": 0.0},
        ],
        "total": 3,
        "regions": ["UA-30", "UA-40"],
        "mode": "full",
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {}),
        ("/predict", {"service": "context_aware"}),
        ("/predict?service=context_aware", {}),
        ("/predict?service=context_aware", {"service": "context_aware"}),
        ("/predict/context_aware", {"service": "context_aware"}),
    ],
)
async def test_a_prediction_is_the_predictors(
    client: httpx.AsyncClient, gateway: Gateway, path: str, body: dict[str, str]
) -> None:
    records = [{"total_events": 3, "last_item": None}, {"total_events": 2.5, "last_item": "item_1"}]
    answer = await client.post(path, json={"records": records, **body})
    assert answer.json() == {
        "predictions": [PREDICTION, PREDICTION],
        "model_version": "3",
        "as_of": None,
        "users": None,
    }
    assert gateway.predictor.seen == [{"instances": records}]


async def test_an_answered_request_is_noted_down_with_its_records_and_users(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    records = [{"total_events": 3}, {"total_events": 4}]
    await client.post("/predict", json={"records": records, "user_ids": ["ann", ""]})
    await client.post("/predict", json={"records": records[:1]})
    gateway.predictor.refusal = (503, {"error": "in words"})
    await client.post("/predict", json={"records": records})
    first, second = gateway.log.noted
    assert (first.service, first.records, list(first.user_ids)) == ("context_aware", records, ["ann", ""])
    assert [said.model_dump() for said in first.answer.predictions] == [PREDICTION, PREDICTION]
    assert (first.answer.model_version, list(second.user_ids)) == ("3", [])


async def test_users_that_are_not_as_many_as_records_are_refused(client: httpx.AsyncClient, gateway: Gateway) -> None:
    answer = await client.post("/predict", json={"records": [{}, {}], "user_ids": ["ann"]})
    assert (answer.status_code, answer.json()) == (
        422,
        {"detail": "user_ids: got 1 for 2 records; give one for each record, or leave it out"},
    )
    assert not gateway.predictor.seen


UNKNOWN = dict.fromkeys(FEATURE_NAMES)


async def test_users_are_forecast_as_of_now_each_in_its_place_and_who_is_unknown_by_an_empty_record(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    gateway.predictor.info = {**INFO, "snapshot_version": snapshot_version(7)}
    ann = {**UNKNOWN, "total_events": 3.0, "last_item": "item_1"}
    gateway.forecasts.features = {"ann": ann}
    before = datetime.now(UTC) - timedelta(milliseconds=1)  # the answer is cut to whole ones
    answer = (await client.post("/predict/context_aware", json={"user_ids": ["ann", "новий", "ann"]})).json()
    assert gateway.predictor.seen == [{"instances": [ann, UNKNOWN, ann]}]
    known = {"user_id": "ann", "known": True}
    assert answer["users"] == [known, {"user_id": "новий", "known": False}, known]
    assert (answer["predictions"], answer["model_version"]) == ([PREDICTION] * 3, "3")
    assert before <= datetime.fromisoformat(answer["as_of"]) <= datetime.now(UTC)
    (noted,) = gateway.log.noted
    assert (noted.records, list(noted.user_ids)) == ([ann, UNKNOWN, ann], ["ann", "новий", "ann"])


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "records and user_ids are both missing; give records to forecast, or user_ids to forecast as of now"),
        ({"user_ids": []}, "records and user_ids are both missing"),
        ({"user_ids": ["ann"] * 101}, "user_ids: got 101; at most 100 are forecast as of now in one request"),
        ({"user_ids": ["ann", ""]}, "user_ids.1: got an empty text"),
    ],
)
async def test_users_that_cannot_be_forecast_as_of_now_are_refused_in_words(
    client: httpx.AsyncClient, gateway: Gateway, body: dict[str, Any], detail: str
) -> None:
    gateway.predictor.info = {**INFO, "snapshot_version": snapshot_version(7)}
    answer = await client.post("/predict", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(detail)
    assert not gateway.predictor.seen


async def test_a_model_of_other_features_is_not_sent_those_of_this_gateway(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    answer = await client.post("/predict", json={"user_ids": ["ann"]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    told = f"model 3 reads features of version ab12cd34ef56, this gateway computes {snapshot_version(7)}"
    assert answer.json()["detail"].startswith(told)
    gateway.predictor.info = {**INFO, "status": "pending", "version": None, "error": None}
    answer = await client.post("/predict", json={"user_ids": ["ann"]})
    assert (answer.status_code, answer.json()) == (503, {"detail": NO_MODEL})
    assert not gateway.predictor.seen
    assert (await client.post("/predict", json={"records": [{}]})).status_code == 200


async def test_a_model_that_comes_in_the_midst_is_asked_what_features_it_reads(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    gateway.predictor.info = {**INFO, "version": "2", "snapshot_version": snapshot_version(7)}
    answer = await client.post("/predict", json={"user_ids": ["ann"]})  # 3 answers, of which nothing is known
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["detail"].startswith("the model is being changed")
    assert gateway.log.noted == []
    gateway.predictor.info = {**INFO, "version": "3", "snapshot_version": snapshot_version(7)}
    assert (await client.post("/predict", json={"user_ids": ["ann"]})).status_code == 200
    assert len(gateway.log.noted) == 1
    gateway.predictor.refusal = (422, {"error": "unknown features", "unknown": ["a"], "missing": []})
    assert (await client.post("/predict", json={"user_ids": ["ann"]})).status_code == 503  # nobody gave features


async def test_without_clickhouse_users_are_not_forecast_as_of_now_but_records_are(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    gateway.predictor.info = {**INFO, "snapshot_version": snapshot_version(7)}
    gateway.forecasts.failure = WarehouseError(SECRET)
    answer = await client.post("/predict", json={"user_ids": ["ann"]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json() == {"detail": "a part that is needed does not answer"}
    assert (await client.post("/predict", json={"records": [{}]})).status_code == 200


async def test_a_body_without_its_content_type_is_told_so(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict", content=b'{"records":[{}]}', headers={"content-type": "text/plain"})
    assert answer.status_code == 422
    assert answer.json() == {"detail": "the body is no JSON object; send one, with Content-Type: application/json"}


async def test_the_services_in_address_and_body_must_agree(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict?service=context_aware", json={"records": [{}], "service": "other"})
    assert answer.status_code == 422
    assert "the address says 'context_aware', the body 'other'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body"), [("/predict/x", {}), ("/predict?service=x", {}), ("/predict", {"service": "x"})]
)
async def test_an_unknown_service_is_404_and_the_known_one_is_named(
    client: httpx.AsyncClient, path: str, body: dict[str, str]
) -> None:
    answer = await client.post(path, json={"records": [{}], **body})
    assert (answer.status_code, answer.json()) == (404, {"detail": "there is no service 'x'; there is: context_aware"})
    assert (await client.get("/model-info/x")).status_code == 404


async def test_features_that_do_not_fit_are_named_to_the_client(client: httpx.AsyncClient, gateway: Gateway) -> None:
    gateway.predictor.refusal = (
        422,
        {"error": "unknown features: foo; missing: bar", "unknown": ["foo"], "missing": ["bar"]},
    )
    answer = await client.post("/predict", json={"records": [{"foo": 1}]})
    assert answer.status_code == 422
    assert answer.json() == {"detail": "unknown features: foo; missing: bar", "unknown": ["foo"], "missing": ["bar"]}


@pytest.mark.parametrize("value", ["true", "NaN", "1e999", "1" + "0" * 400, "[1]", "{}", '"' + "x" * 1025 + '"'])
async def test_a_value_that_is_no_number_text_or_null_is_refused_by_name(
    client: httpx.AsyncClient, gateway: Gateway, value: str
) -> None:
    answer = await client.post("/predict", content=f'{{"records":[{{"a":1}},{{"total_events":{value}}}]}}')
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("records[1].total_events: got ")
    assert answer.json()["detail"].count("records[1]") == 1
    assert not gateway.predictor.seen


@pytest.mark.parametrize(("name", "shown"), [("\\ud800", "'\\ud800'"), ("x" * 257, f"'{'x' * 56}…")])
async def test_a_name_that_no_feature_can_have_is_refused(
    client: httpx.AsyncClient, gateway: Gateway, name: str, shown: str
) -> None:
    answer = await client.post("/predict", content=f'{{"records":[{{"a":1}},{{"{name}":1}}]}}')
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"records[1]: got the name {shown}; a text of at most 256 characters is needed"
    assert not gateway.predictor.seen


async def test_a_whole_number_of_any_finite_size_is_passed_on(client: httpx.AsyncClient, gateway: Gateway) -> None:
    assert (await client.post("/predict", json={"records": [{"total_events": 10**30}]})).status_code == 200
    assert gateway.predictor.seen == [{"instances": [{"total_events": 1e30}]}]


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (b"{", 422, "the body is no JSON"),
        (b"[]", 422, "the body is no JSON object"),
        (b'{"records":[]}', 422, "records: List should have at least 1 item"),
        (json.dumps({"records": [{}] * 1001}).encode(), 422, "records: List should have at most 1000 items"),
        (b'{"records":[{}],"service":"\\ud800"}', 404, "there is no service"),
        (b'{"\xff": 1}', 400, "error parsing the body"),
        (b" " * (8 * 1024 * 1024 + 1), 413, "the body is larger than 8,388,608 bytes"),
    ],
    ids=["broken JSON", "a list", "no records", "too many records", "half a surrogate pair", "no UTF-8", "too large"],
)
async def test_a_body_that_cannot_be_answered_is_refused_in_words(
    client: httpx.AsyncClient, content: bytes, status: int, detail: str
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    for body in (content, chunks()):  # with a declared length, and without
        answer = await client.post("/predict", content=body)
        assert answer.status_code == status
        assert detail in answer.json()["detail"]


async def test_a_broken_connection_to_the_predictor_is_tried_once_more(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    gateway.predictor.broken = 1
    assert (await client.post("/predict", json={"records": [{}]})).status_code == 200
    gateway.predictor.broken = 2
    answer = await client.post("/predict", json={"records": [{}]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json() == {"detail": "the predictor does not answer; try again in a few seconds"}


@pytest.mark.parametrize(("came", "told"), [(500, 502), (503, 503), (400, 422)])
async def test_a_fault_of_the_predictor_is_not_called_a_forecast(
    client: httpx.AsyncClient, gateway: Gateway, came: int, told: int
) -> None:
    gateway.predictor.refusal = (came, {"error": "in words"})
    answer = await client.post("/predict", json={"records": [{}]})
    assert answer.status_code == told
    assert ("in words" in answer.json()["detail"]) == (came != 500)


async def test_services_and_model_info_are_the_predictors(client: httpx.AsyncClient) -> None:
    assert (await client.get("/services")).json() == {
        "services": ["context_aware"],
        "details": {
            "context_aware": {
                "status": "loaded",
                "version": "3",
                "snapshot_version": "ab12cd34ef56",
                "model_path": None,
                "error": None,
            }
        },
        "reason": None,
    }
    expected = {key: value for key, value in INFO.items() if key not in ("status", "error")} | {
        "service": "context_aware"
    }
    assert (await client.get("/model-info/context_aware")).json() == expected


@pytest.mark.parametrize(("status", "error"), [("pending", None), ("error", "columns differ: foo")])
async def test_a_model_that_is_not_loaded_is_told_as_such(
    client: httpx.AsyncClient, gateway: Gateway, status: str, error: str | None
) -> None:
    gateway.predictor.info = {"status": status, "error": error, "version": None, "snapshot_version": None}
    detail = (await client.get("/services")).json()["details"]["context_aware"]
    assert (detail["status"], detail["version"], detail["error"]) == (status, None, error)
    answer = await client.get("/model-info/context_aware")
    assert (answer.status_code, answer.json()["detail"]) == (
        503,
        error or "no model is registered yet: run `anmodel forecast`",
    )


async def test_services_tell_when_the_predictor_is_away(client: httpx.AsyncClient, gateway: Gateway) -> None:
    gateway.predictor.broken = 2
    detail = (await client.get("/services")).json()["details"]["context_aware"]
    assert (detail["status"], detail["error"]) == ("error", "the predictor does not answer; try again in a few seconds")


async def test_the_monitors_findings_come_worst_first_in_words_and_past_runs_oldest_first(
    client: httpx.AsyncClient,
) -> None:
    answer = (await client.get("/monitor")).json()
    assert {key: answer[key] for key in ("service", "model_version", "level", "measured_at", "well", "reason")} == {
        "service": "context_aware",
        "model_version": "3",
        "level": "alarm",
        "measured_at": "2026-11-24T01:00:00.000Z",
        "well": 2,
        "reason": None,
    }
    assert [(item["level"], item["metric"], item["feature"]) for item in answer["findings"]] == [
        ("alarm", "live_roc_auc", None),
        ("alarm", "psi", "days_since_last"),
        ("warn", "null_share_change", "total_spent"),
        ("ok", "mean_chance", None),
    ]
    assert answer["findings"][1] | {"advice": ""} == {
        "metric": "psi",
        "kind": "drift",
        "feature": "days_since_last",
        "level": "alarm",
        "value": 0.3,
        "text": "spread otherwise than in training (PSI 0.30)",
        "limits": "a warning from 0.1, an alarm from 0.25",
        "advice": "",
        "snapshot_date": "2026-11-24",
    }
    assert "train anew" in answer["findings"][1]["advice"]
    assert (answer["findings"][3]["advice"], answer["findings"][3]["limits"]) == (None, None)
    older, newer = answer["past_runs"]
    assert (older["snapshot_date"], older["roc_auc"], older["level"]) == ("2026-11-16", None, "ok")
    assert newer == {
        "snapshot_date": "2026-11-17",
        "model_version": "3",
        "level": "warn",
        "users": 900,
        "buyers": 120,
        "roc_auc": 0.81,
        "lift_10": None,
        "calibration_error": 0.01,
        "predicted_to_actual": None,
    }
    assert len((await client.get("/monitor?runs=1")).json()["past_runs"]) == 1


async def test_what_was_not_measured_yet_is_said_and_what_cannot_be_read_is_a_503(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    gateway.forecasts.measured = []
    answer = (await client.get("/monitor")).json()
    assert (answer["level"], answer["findings"], answer["measured_at"]) == (None, [], None)
    assert answer["reason"] == "nothing has been measured of this version yet: run `anmodel monitor`"
    assert len(answer["past_runs"]) == 2

    gateway.forecasts.failure = NotReadyError(NO_FORECASTS)
    answer = (await client.get("/monitor")).json()
    assert (answer["model_version"], answer["past_runs"], answer["reason"]) == (None, [], NO_FORECASTS)

    gateway.forecasts.failure = WarehouseError(SECRET)
    refused = await client.get("/monitor")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert refused.json() == {"detail": "a part that is needed does not answer"}


async def test_ready_is_200_when_nothing_is_missing(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "missing": [], "mode": "full"})


async def test_ready_names_each_missing_part_and_health_does_not_care(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    gateway.forecasts.failure, gateway.users.failure = WarehouseError(SECRET), UsersError(SECRET)
    gateway.predictor.broken = 2
    answer = await client.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["mode"] == "fallback"
    assert {part["part"]: part["reason"] for part in answer.json()["missing"]} == {
        "clickhouse": "ClickHouse does not answer",
        "predictor": "the predictor does not answer; try again in a few seconds",
        "users": "the users table cannot be read now",
    }
    assert (await client.get("/health")).json() == {"status": "ok"}


async def test_ready_tells_missing_forecasts_and_a_missing_model_apart(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    gateway.predictor.info = {"status": "pending", "error": None, "version": None}
    assert (await client.get("/ready")).json() == {
        "status": "degraded",
        "missing": [{"part": "predictor", "reason": "no model is registered yet: run `anmodel forecast`"}],
        "mode": "full",
    }


async def test_a_crash_is_a_500_without_its_text_which_a_browser_may_read(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    gateway.forecasts.failure = RuntimeError(SECRET)
    with capture_logs() as lines:
        answer = await client.get("/users", headers={"Origin": "http://localhost:5173"})
    assert (answer.status_code, answer.json()) == (500, {"detail": "internal error"})
    assert [line["path"] for line in lines if line["event"] == "request crashed"] == ["/users"]
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"


async def test_only_the_named_origins_may_call_from_a_browser(client: httpx.AsyncClient) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    allowed = await client.options("/predict", headers={"Origin": "http://localhost:5173", **ask})
    refused = await client.options("/predict", headers={"Origin": "http://elsewhere", **ask})
    assert allowed.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert "Access-Control-Allow-Origin" not in refused.headers


async def test_requests_are_counted_by_route_and_not_by_user(client: httpx.AsyncClient) -> None:
    await client.get("/users/u2")
    await client.get("/nowhere")
    metrics = (await client.get("/metrics")).text
    assert (
        'anmodel_gateway_request_seconds_count{method="GET",route="/users/{user_id:path}",status="200"} 1.0' in metrics
    )
    assert 'anmodel_gateway_request_seconds_count{method="GET",route="unmatched",status="404"} 1.0' in metrics
    assert "u2" not in metrics


def test_the_openapi_document_needs_no_connection_and_holds_every_route() -> None:
    document = openapi_document()
    assert sorted(document["paths"]) == [
        "/health",
        "/model-info/{name}",
        "/monitor",
        "/predict",
        "/predict/{name}",
        "/ready",
        "/segments",
        "/services",
        "/users",
        "/users/{user_id}",
    ]
    assert document["paths"]["/users"]["get"]["operationId"] == "users"


def test_the_console_is_made_from_this_description() -> None:
    kept = json.loads((Path(__file__).parents[2] / "MarketApp" / "openapi.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(openapi_document())), "run: anmodel gateway --openapi MarketApp/openapi.json"


@given(st.text(max_size=128), st.text(max_size=128))
def test_what_a_client_writes_is_never_part_of_the_sql(search: str, region: str) -> None:
    plain, _ = page_sql("db", Selection(10, 0, "x", region="y"))
    sql, values = page_sql("db", Selection(10, 0, search or "x", region=region))
    assert sql == plain
    assert (values["search"], values["region"]) == (search or "x", region)


def test_users_of_equal_value_stand_in_the_order_of_their_ids() -> None:
    assert ordering(Selection(sort="days_to_next_pred", order="asc")) == "days_to_next_pred ASC NULLS LAST, user_id ASC"
    assert ordering(Selection(sort="total_spent")) == (
        "JSONExtract(features, 'total_spent', 'Nullable(Float64)') DESC NULLS LAST, user_id ASC"
    )
