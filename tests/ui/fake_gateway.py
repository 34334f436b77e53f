"""A gateway of ours made up for the console's tests: the real routes, deterministic data, faults on request.

By hand: `python tests/ui/fake_gateway.py --port 8000 [--mode fallback] [--users 1000]`.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal

import fake_shoppers as shoppers
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse

from anmodel.forecasts import Segment
from anmodel.gateway import model_health
from anmodel.gateway.answers import (
    Health,
    Intervals,
    MissingPart,
    Mode,
    ModelHealth,
    ModelInfo,
    Predictions,
    PredictRequest,
    Readiness,
    Segments,
    SegmentSize,
    ServiceDetail,
    Services,
    SortKey,
    User,
    UserDetail,
    UserPage,
)

SERVICE = "context_aware"
NO_FORECASTS = "there are no forecasts yet: run `anmodel forecast`"
NO_MODEL = "no model is registered yet: run `anmodel forecast`"


@dataclass
class FakeState:
    """What a test may change while the gateway runs."""

    users: list[shoppers.Shopper]
    mode: Mode = "full"
    health: Literal["ok", "alarm", "unmeasured"] = "alarm"
    """What the monitor has found of the model."""
    failing: set[str] = field(default_factory=set)
    """First path segments that answer 503 (`users`, `predict`, …)."""
    delay: float = 0.0
    """Seconds before every answer."""
    regions: list[str] = field(default_factory=lambda: sorted(shoppers.REGIONS))
    """Regions that may be filtered by."""
    seen: list[str] = field(default_factory=list)
    """Path and query of every request, oldest first."""


def as_user(shopper: shoppers.Shopper, mode: Mode) -> User:
    if mode == "fallback":
        return User(user_id=shopper.user_id, region=shopper.region, segment=None, percentile=None, features={})
    features = (
        shopper.features | shopper.prediction.model_dump(exclude_none=True) | {"snapshot_date": shoppers.SNAPSHOT_DATE}
    )
    return User(
        user_id=shopper.user_id,
        region=shopper.region,
        segment=shopper.segment,
        percentile=shopper.percentile,
        features=features,
    )


def check_record(record: dict[str, object]) -> None:
    unknown = sorted(set(record) - set(shoppers.FEATURES))
    missing = [name for name in shoppers.FEATURES if name not in record]
    if unknown or missing:
        parts = [
            f"{word}: {', '.join(names)}"
            for word, names in (("unknown features", unknown), ("missing", missing))
            if names
        ]
        raise HTTPException(422, {"detail": "; ".join(parts), "unknown": unknown, "missing": missing})


def create_app(state: FakeState) -> FastAPI:
    """The fake gateway over `state`, which may change between requests."""
    app = FastAPI(title="AnModel gateway (fake)", version="0.1.0")
    by_id = {s.user_id: s for s in state.users}

    @app.middleware("http")
    async def misbehave(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        state.seen.append(request.url.path + query)
        await asyncio.sleep(state.delay)
        if request.url.path.split("/")[1] in state.failing:
            return JSONResponse({"detail": "the predictor does not answer"}, 503, {"Retry-After": "5"})
        return await call(request)

    # The last added is the outermost: a browser may read refusals too.
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])

    @app.exception_handler(HTTPException)
    async def flatten(_: Request, error: HTTPException) -> Response:
        body = error.detail if isinstance(error.detail, dict) else {"detail": error.detail}
        return JSONResponse(body, error.status_code)

    @app.get("/health")
    async def health() -> Health:
        return Health(status="ok")

    @app.get("/ready")
    async def ready(response: Response) -> Readiness:
        if state.mode == "full":
            return Readiness(status="ready", missing=[], mode="full")
        response.status_code = 503
        missing = [
            MissingPart(part="forecasts", reason=NO_FORECASTS),
            MissingPart(part="predictor", reason=NO_MODEL),
        ]
        return Readiness(status="degraded", missing=missing, mode="fallback")

    @app.get("/services")
    async def services() -> Services:
        loaded = state.mode == "full"
        detail = ServiceDetail(
            status="loaded" if loaded else "pending",
            version=shoppers.MODEL_VERSION if loaded else None,
            snapshot_version=shoppers.SNAPSHOT_VERSION if loaded else None,
            model_path=None,
            error=None,
        )
        return Services(services=[SERVICE], details={SERVICE: detail})

    @app.get("/model-info/{name}")
    async def model_info(name: str) -> ModelInfo:
        if name != SERVICE:
            raise HTTPException(404, f"no service {name!r}; there is {SERVICE!r}")
        if state.mode == "fallback":
            raise HTTPException(503, NO_MODEL)
        return shoppers.model_info(name, state.users)

    @app.get("/monitor")
    async def monitor() -> ModelHealth:
        if state.mode == "fallback":
            return model_health.no_health(SERVICE, NO_FORECASTS)
        if state.health == "unmeasured":
            return model_health.health(SERVICE, shoppers.MODEL_VERSION, [], [])
        return model_health.health(
            SERVICE, shoppers.MODEL_VERSION, shoppers.findings(state.health), shoppers.past_runs()
        )

    @app.post("/predict/{name}")
    async def predict_named(name: str, request: PredictRequest) -> Predictions:
        if name != SERVICE:
            raise HTTPException(404, f"no service {name!r}; there is {SERVICE!r}")
        if state.mode == "fallback":
            raise HTTPException(503, NO_MODEL)
        for record in request.records:
            check_record(dict(record))
        forecasts = [shoppers.predict(record) for record in request.records]
        return Predictions(predictions=forecasts, model_version=shoppers.MODEL_VERSION)

    @app.post("/predict")
    async def predict(request: PredictRequest, service: str = SERVICE) -> Predictions:
        return await predict_named(service, request)

    @app.get("/users")
    async def users(
        limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
        offset: Annotated[int, Query(ge=0)] = 0,
        search: str = "",
        sort: SortKey = "purchase_proba",
        order: Literal["asc", "desc"] = "desc",
        segment: Segment | None = None,
        region: str | None = None,
        min_proba: Annotated[float, Query(ge=0, le=1)] = 0,
        max_proba: Annotated[float, Query(ge=0, le=1)] = 1,
    ) -> UserPage:
        full = state.mode == "full"
        found = [
            s
            for s in state.users
            if search.lower() in s.user_id
            and (region is None or s.region == region)
            and (not full or segment in (None, s.segment))
            and (not full or min_proba <= s.prediction.purchase_proba <= max_proba)
        ]
        keyed = sort if full else "user_id"
        found.sort(
            key=lambda s: s.user_id if keyed == "user_id" else (s.features | s.prediction.model_dump())[keyed],
            reverse=order == "desc",
        )
        page = found[offset : None if limit is None else offset + limit]
        return UserPage(
            users=[as_user(s, state.mode) for s in page],
            total=len(found),
            limit=limit,
            offset=offset,
            mode=state.mode,
            reason=None if full else NO_FORECASTS,
            snapshot_date=shoppers.SNAPSHOT_DATE if full else None,
            model_version=shoppers.MODEL_VERSION if full else None,
        )

    @app.get("/users/{user_id:path}")
    async def user(user_id: str) -> UserDetail:
        shopper = by_id.get(user_id)
        if shopper is None:
            raise HTTPException(404, f"no user {user_id!r}")
        basis = as_user(shopper, state.mode).model_dump()
        events = shoppers.recent_events(shopper)
        if state.mode == "fallback":
            return UserDetail(
                **basis, reasons=[], intervals=None, recent_events=events, mode="fallback", reason=NO_FORECASTS
            )
        days, amount = shopper.prediction.days_to_next_pred, shopper.prediction.next_purchase_amount_pred
        return UserDetail(
            **basis,
            reasons=shoppers.reasons(shopper.features),
            intervals=Intervals(
                days_to_next=(round(days * 0.6, 1), round(days * 1.5, 1)),
                next_purchase_amount=(round(amount * 0.7, 2), round(amount * 1.4, 2)),
            ),
            recent_events=events,
            mode="full",
            reason=None,
        )

    @app.get("/segments")
    async def segments() -> Segments:
        if state.mode == "fallback":
            return Segments(segments=[], total=len(state.users), regions=state.regions, mode="fallback")
        order: tuple[Segment, ...] = ("hot", "warm", "cold", "ignore")
        rows = [
            SegmentSize(
                segment=name,
                users=sum(s.segment == name for s in state.users),
                expected_revenue=round(sum(s.prediction.spend_mean or 0 for s in state.users if s.segment == name), 2),
            )
            for name in order
        ]
        return Segments(segments=rows, total=len(state.users), regions=state.regions, mode="full")

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--mode", choices=["full", "fallback"], default="full")
    options = parser.parse_args()
    app = create_app(FakeState(users=shoppers.make_shoppers(options.users), mode=options.mode))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
