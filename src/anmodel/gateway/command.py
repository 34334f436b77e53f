"""`anmodel gateway`: serve the API, or write its description."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anmodel.errors import InputError
from anmodel.rotation import end_when_rotated
from anmodel.settings import GatewaySettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    import httpx
    from prometheus_client import CollectorRegistry

    from anmodel.gateway.parts import Parts
    from anmodel.gateway.prediction_log import PredictionNotes
    from anmodel.gateway.services import Services


def command(
    openapi: Annotated[
        Path | None, typer.Option(help="Write the OpenAPI document to this file and end; nothing is connected to.")
    ] = None,
) -> None:
    """Serve users, forecasts and predictions over HTTP until SIGTERM or Ctrl-C."""
    if openapi is not None:
        write_openapi(openapi)
        return
    settings = GatewaySettings.load()
    configure_logging(settings)
    end_when_rotated(settings)
    serve(settings)


def write_openapi(file: Path) -> None:
    """Write the OpenAPI document; InputError when the file cannot be written."""
    from anmodel.gateway.app import openapi_document

    text = json.dumps(openapi_document(), indent=2) + "\n"
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}. Give a file in a folder that exists") from error
    typer.echo(f"wrote {file}")


def serve(settings: GatewaySettings) -> None:
    """Serve until told to end; requests under way are answered first, for at most five seconds."""
    import uvicorn
    from prometheus_client import CollectorRegistry

    from anmodel.gateway.app import create_app

    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    metrics = CollectorRegistry()
    app = create_app(lambda: open_parts(settings, metrics), origins, settings if settings.rate_limit else None, metrics)
    uvicorn.run(
        app,
        host=settings.gateway_host,
        port=settings.gateway_port,
        log_config=None,
        access_log=False,
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


@asynccontextmanager
async def open_parts(settings: GatewaySettings, metrics: "CollectorRegistry") -> "AsyncIterator[Parts]":
    """The clients; none connects before it is asked, so the gateway starts whatever is missing."""
    import httpx

    from anmodel.gateway.agreement import Agreement
    from anmodel.gateway.forecast_age import ForecastAge
    from anmodel.gateway.forecast_store import ForecastStore
    from anmodel.gateway.fresh_features import FreshFeatures
    from anmodel.gateway.model_news import ModelNews
    from anmodel.gateway.parts import Parts
    from anmodel.gateway.shop_users import ShopUsers
    from anmodel.users import UsersTable

    forecasts = ForecastStore(settings, settings.model_name)
    timeout = httpx.Timeout(settings.predict_timeout, connect=min(settings.predict_timeout, 2.0))
    # The predictor is ours and near: a proxy meant for the internet must not come between.
    async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
        stack = ExitStack()
        stack.callback(forecasts.close)
        services = _services(settings, client, stack)
        agreement = Agreement(services)

        def heard() -> None:
            services.refresh()
            agreement.forget()
            forecasts.forget()

        stack.enter_context(ModelNews(settings, heard).listening())
        stack.enter_context(ForecastAge(forecasts.newest_run, metrics).looking())
        notes = _prediction_notes(settings, metrics, stack)
        try:
            fresh = FreshFeatures(forecasts.features_of)
            yield Parts(services, forecasts, ShopUsers(UsersTable.of(settings)), agreement, fresh, notes)
        finally:
            await asyncio.to_thread(stack.close)


def _services(settings: GatewaySettings, client: "httpx.AsyncClient", stack: ExitStack) -> "Services":
    if settings.services == "predictor":
        from anmodel.gateway.predictor_client import PredictorClient
        from anmodel.gateway.services import OnePredictor

        url, host = settings.predictor_url, settings.predictor_route_host
        return OnePredictor(settings.model_name, PredictorClient(client, settings.model_name, url=url, host=host))
    from anmodel.gateway.kserve_services import ClusterLook, KServeServices

    services = KServeServices(settings, client, ClusterLook(settings.kubernetes_namespace))
    stack.enter_context(services.looking())
    return services


def _prediction_notes(settings: GatewaySettings, metrics: "CollectorRegistry", stack: ExitStack) -> "PredictionNotes":
    from anmodel.gateway.prediction_log import NoLog, PredictionLog

    if not settings.predictions_topic:
        return NoLog()
    notes = PredictionLog(settings, settings.predictions_topic, metrics)
    stack.enter_context(notes.writing())
    return notes
