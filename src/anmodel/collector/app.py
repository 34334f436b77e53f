"""The collector's HTTP interface: `POST /collect` answers once the broker has acknowledged the events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from prometheus_client import generate_latest
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from anmodel import __version__
from anmodel.collector.answers import SCHEMAS, BatchAnswer, EventAnswer, batch_status, problem
from anmodel.collector.bodies import Body, event_id_of, split_body
from anmodel.collector.metrics import CollectorMetrics
from anmodel.errors import EventRefused, TopicError
from anmodel.events import Event, decode_event
from anmodel.rate import Limiter, RateLimited
from anmodel.settings import CollectorSettings
from anmodel.topic import EventTopic

RETRY_AFTER_SECONDS = "2"
_JSON = "application/json"

log = structlog.get_logger()


def build_app(topic: EventTopic, settings: CollectorSettings) -> FastAPI:
    """The application; it starts and stops `topic` with itself."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await topic.start()
        yield
        await topic.stop()

    app = FastAPI(
        title="AnModel collector", version=__version__, lifespan=lifespan, description=build_app.__doc__ or ""
    )
    metrics = CollectorMetrics()
    app.add_route("/collect", Collect(topic, settings, metrics).answer, methods=["POST"])
    if settings.rate_limit:
        limiter = Limiter(settings, metrics.registry)
        app.add_middleware(RateLimited, limiter=limiter, applies=_is_collect, refuse=_too_many)
    _add_watching(app, topic, metrics)
    app.openapi = _documented(app)  # type: ignore[method-assign]
    return app


class Collect:
    """`POST /collect`, past FastAPI's own parsing: a batch must be judged event by event."""

    def __init__(self, topic: EventTopic, settings: CollectorSettings, metrics: CollectorMetrics) -> None:
        self._topic = topic
        self._settings = settings
        self._metrics = metrics

    async def answer(self, request: Request) -> Response:
        """The route's endpoint."""
        with self._metrics.seconds.time():
            try:
                return await self._answer(request)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody is there to read it, and it is no error of ours to log

    async def _answer(self, request: Request) -> Response:
        if (encoding := request.headers.get("content-encoding", "identity").lower()) != "identity":
            return _refusal(415, "content-encoding", f"got {encoding}; allowed: an uncompressed body")
        try:
            async with asyncio.timeout(self._settings.collect_body_seconds):
                raw = await self._read(request)
        except TimeoutError:
            return _late(self._settings.collect_body_seconds)
        if raw is None:
            return _refusal(413, "body", f"larger than COLLECT_MAX_BYTES, {self._settings.collect_max_bytes} bytes")
        try:
            body = split_body(raw, request.headers.get("content-type", ""))
        except EventRefused as refused:
            self._count_refused(refused.field)
            return _refusal(422, refused.field, refused.reason)
        if len(body.events) > self._settings.collect_max_events:
            allowed = f"at most COLLECT_MAX_EVENTS, {self._settings.collect_max_events}"
            return _refusal(413, "body", f"{len(body.events)} events; allowed: {allowed}")
        return await (self._take_one(body.events[0]) if body.single else self._take_batch(body))

    async def _read(self, request: Request) -> bytes | None:
        """The body, or None once it is longer than allowed."""
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self._settings.collect_max_bytes:
                return None
            chunks.append(chunk)
        return b"".join(chunks)

    def _judge(self, raw: bytes, now: datetime) -> Event:
        if len(raw) > self._settings.event_max_bytes:
            raise EventRefused("body", f"{len(raw)} bytes; allowed: at most {self._settings.event_max_bytes} an event")
        return decode_event(raw, now=now, max_age_days=self._settings.event_max_age_days)

    async def _take_one(self, raw: bytes) -> Response:
        try:
            event = self._judge(raw, datetime.now(UTC))
        except EventRefused as refused:
            self._count_refused(refused.field)
            too_large = len(raw) > self._settings.event_max_bytes
            return _refusal(413 if too_large else 422, refused.field, refused.reason)
        (failure,) = await self._deliver([(event.user_id, raw)])
        if failure is not None:
            return _unavailable(problem("body", failure))
        return Response(status_code=201)

    async def _take_batch(self, body: Body) -> Response:
        now = datetime.now(UTC)
        answers: list[EventAnswer] = []
        sent: list[tuple[EventAnswer, str, bytes]] = []
        for index, raw in enumerate(body.events):
            try:
                event = self._judge(raw, now)
            except EventRefused as refused:
                self._count_refused(refused.field)
                answers.append(EventAnswer(index, "refused", event_id_of(raw), refused.field, refused.reason))
            else:
                answers.append(EventAnswer(index, "accepted", event.event_id))
                sent.append((answers[-1], event.user_id, raw))
        for (answer, _, _), failure in zip(
            sent, await self._deliver([(key, raw) for _, key, raw in sent]), strict=True
        ):
            if failure is not None:
                answer.status, answer.field, answer.reason = "unavailable", "body", failure
        return _batch_response(answers)

    async def _deliver(self, messages: list[tuple[str, bytes]]) -> list[str | None]:
        """Per message None if the broker has it, else why not."""
        try:
            outcomes = await self._topic.send(messages)
        except TopicError as error:
            outcomes = [str(error)] * len(messages)
        failures = sum(outcome is not None for outcome in outcomes)
        if failures:
            log.warning("events not acknowledged by Kafka", events=failures, reason=next(filter(None, outcomes)))
        self._metrics.events.labels("accepted").inc(len(messages) - failures)
        self._metrics.events.labels("unavailable").inc(failures)
        return outcomes

    def _count_refused(self, field: str) -> None:
        self._metrics.events.labels("refused").inc()
        self._metrics.refused.labels(field if field in _FIELDS else "other").inc()


_FIELDS = frozenset(Event.__struct_encode_fields__) | {"body", "properties.item_id", "properties.price"}


def _batch_response(answers: list[EventAnswer]) -> Response:
    counts = {status: sum(a.status == status for a in answers) for status in ("accepted", "refused", "unavailable")}
    answer = BatchAnswer(counts["accepted"], counts["refused"], counts["unavailable"], answers)
    content = msgspec.json.encode(answer)
    if answer.unavailable:
        return _unavailable(content)
    return Response(content, batch_status(answer), media_type=_JSON)


def _refusal(status: int, field: str, reason: str) -> Response:
    return Response(problem(field, reason), status, media_type=_JSON)


def _late(seconds: float) -> Response:
    """The connection ends with it: what may still come of the body is no request."""
    content = problem("body", f"not whole after COLLECT_BODY_SECONDS, {seconds:g} s")
    return Response(content, 408, {"Connection": "close"}, _JSON)


def _unavailable(content: bytes) -> Response:
    return Response(content, 503, {"Retry-After": RETRY_AFTER_SECONDS}, _JSON)


def _too_many(reason: str, seconds: int) -> Response:
    return Response(problem("client", reason), 429, {"Retry-After": str(seconds)}, _JSON)


def _is_collect(scope: Scope) -> bool:
    return bool(scope["path"] == "/collect" and scope["method"] == "POST")


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

    @app.get("/metrics")
    async def show_metrics() -> Response:
        """Counters in Prometheus' text form."""
        metrics.waiting.set(topic.waiting)
        return Response(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")


def _documented(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """OpenAPI with `/collect` in it, which FastAPI does not see."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        schemas = msgspec.json.schema_components((Event,), ref_template="#/components/schemas/{name}")[1] | SCHEMAS
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
        document["paths"]["/collect"] = {"post": _COLLECT_OPERATION}
        return document

    return openapi


def _answered(description: str, schema: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


_COLLECT_OPERATION: dict[str, Any] = {
    "summary": "Take one event, an array of events, or NDJSON",
    "description": "Answers after Kafka has acknowledged. A single event is answered with an empty 201; a batch with"
    " what became of each event. On 429 and 503 send the same events again, with the same event_id: they count once.",
    "operationId": "collect",
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {
                "schema": {
                    "oneOf": [
                        {"$ref": "#/components/schemas/Event"},
                        {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Event"}},
                    ]
                }
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    },
    "responses": {
        "201": _answered("All accepted (empty for a single event).", "BatchAnswer"),
        "207": _answered("Some accepted, some refused.", "BatchAnswer"),
        "408": _answered("The body did not arrive in time.", "ProblemAnswer"),
        "413": _answered("Too large: an event, the body, or the number of events.", "ProblemAnswer"),
        "415": _answered("A compressed body.", "ProblemAnswer"),
        "422": _answered("Refused, with field and reason (for a batch: a BatchAnswer).", "ProblemAnswer"),
        "429": _answered("Too many requests of this client; try again after Retry-After.", "ProblemAnswer"),
        "503": _answered("Kafka did not confirm; try again after Retry-After.", "ProblemAnswer"),
    },
}
