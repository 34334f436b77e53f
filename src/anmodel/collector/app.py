"""The collector's application: the front, and behind it what the framework answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import msgspec
from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest

from anmodel import __version__
from anmodel.collector.access import Access
from anmodel.collector.collecting import Collect
from anmodel.collector.documented import documented
from anmodel.collector.front import Front
from anmodel.collector.keyring import Keyring
from anmodel.collector.metrics import CollectorMetrics
from anmodel.errors import TopicError
from anmodel.event_topic import EventTopic
from anmodel.rate import Limiter
from anmodel.settings import CollectorSettings

_JSON = "application/json"


def build_app(topic: EventTopic, settings: CollectorSettings) -> Front:
    """The application; it starts and stops `topic` with itself, and watches the file of write keys."""
    keyring = Keyring(Path(settings.write_keys), settings.secrets_poll_seconds) if settings.write_keys else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await topic.start()
        watching = asyncio.create_task(keyring.watch()) if keyring else None
        yield
        if watching:
            watching.cancel()
        await topic.stop()

    metrics = CollectorMetrics()
    rest = FastAPI(title="AnModel collector", version=__version__, lifespan=lifespan, description=DESCRIPTION)
    _add_watching(rest, topic, metrics)
    _add_snippet(rest)
    rest.openapi = documented(rest)  # type: ignore[method-assign]
    access = Access(keyring, Limiter(settings, metrics.registry))
    return Front(Collect(topic, settings, metrics, access), metrics, rest)


DESCRIPTION = "Takes a shop's events and answers once Kafka has acknowledged them."


def _add_watching(app: FastAPI, topic: EventTopic, metrics: CollectorMetrics) -> None:
    """/health (the process lives), /ready (Kafka takes events), /metrics."""

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process lives."""
        return {"status": "ok"}

    @app.get("/ready", responses={503: {"description": "Kafka does not take events; the body says why."}})
    async def ready() -> Response:
        """Whether Kafka takes events."""
        try:
            await topic.check()
        except TopicError as error:
            content = msgspec.json.encode(
                {"status": "unavailable", "missing": [{"part": "kafka", "reason": str(error)}]}
            )
            return Response(content, 503, media_type=_JSON)
        return Response(b'{"status":"ready","missing":[]}', media_type=_JSON)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def show_metrics() -> Response:
        """Counters in Prometheus' text form."""
        metrics.waiting = topic.waiting
        return Response(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")


class _Script(Response):
    media_type = "text/javascript"


def _add_snippet(app: FastAPI) -> None:
    """/anmodel.js, what a page needs to send its events."""
    content = files("anmodel.collector").joinpath("anmodel.js").read_bytes()
    headers = {"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"}

    @app.get("/anmodel.js", response_class=_Script)
    async def snippet() -> Response:
        """The snippet for web pages."""
        return _Script(content, headers=headers)
