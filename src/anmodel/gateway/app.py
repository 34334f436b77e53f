"""The gateway's application. Making it opens nothing; its parts are opened when it starts to serve."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from starlette.types import Scope

from anmodel import __version__
from anmodel.gateway import monitor_routes, predict_routes, problems, status_routes, users_routes
from anmodel.gateway.edge import BodyLimit, Observed
from anmodel.gateway.parts import Parts
from anmodel.rate import Limiter, RateLimited
from anmodel.settings import RateSettings

QUERIES_AT_ONCE = 8
"""Routes that ask a database run on so many threads: as many as the ClickHouse client keeps connections."""

UNLIMITED = frozenset({"/health", "/ready", "/metrics"})
"""What watches the gateway asks as often as it likes."""

OpenParts = Callable[[], AbstractAsyncContextManager[Parts]]


def create_app(
    open_parts: OpenParts,
    cors_origins: Sequence[str] = (),
    rates: RateSettings | None = None,
    metrics: CollectorRegistry | None = None,
) -> FastAPI:
    """The application over the parts that `open_parts` opens. `cors_origins` may call it from a browser.

    `rates` bounds how often one client may ask for anything but `UNLIMITED`; None sets no bound. What the parts count
    themselves is in `metrics`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = QUERIES_AT_ONCE
        async with open_parts() as parts:
            app.state.parts = parts
            yield

    app = FastAPI(
        title="AnModel gateway",
        version=__version__,
        description="Who will buy next, when, for how much and why.",
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.metrics = metrics or CollectorRegistry()
    ProcessCollector(registry=app.state.metrics)
    for module in (status_routes, monitor_routes, predict_routes, users_routes):
        app.include_router(module.router)
    app.add_api_route("/metrics", _metrics, include_in_schema=False)
    problems.install(app)
    # The last added is the outermost: a browser may read refusals and crashes too.
    app.add_middleware(BodyLimit)
    if rates is not None:
        limiter = Limiter(rates, app.state.metrics)
        app.add_middleware(RateLimited, limiter=limiter, applies=_is_limited, refuse=problems.too_many)
    app.add_middleware(Observed, registry=app.state.metrics)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type"],
        expose_headers=["Retry-After"],
    )
    return app


def _is_limited(scope: Scope) -> bool:
    return scope["path"] not in UNLIMITED


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document; nothing is connected to."""

    def never() -> AbstractAsyncContextManager[Parts]:
        raise AssertionError("this application only describes itself")

    return create_app(never).openapi()


async def _metrics(request: Request) -> Response:
    return Response(generate_latest(request.app.state.metrics), media_type=CONTENT_TYPE_LATEST)


def _operation_id(route: APIRoute) -> str:
    return route.name
