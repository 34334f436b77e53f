"""What surrounds every request: its time and status counted, its size bounded, its crash turned into an answer."""

import time

import structlog
from prometheus_client import CollectorRegistry, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anmodel.gateway.problems import problem

MAX_BODY_BYTES = 8 * 1024 * 1024

log = structlog.get_logger()


class Observed:
    """Counts requests by route, method and status; a crash becomes a 500 without its text, and a line in the log."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._seconds = Histogram(
            "anmodel_gateway_request_seconds",
            "Time to answer, by route, method and status.",
            ["route", "method", "status"],
            registry=registry,
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            log.exception("request crashed", path=scope["path"], method=scope["method"])
            if status:
                raise  # the answer is under way: all that is left is to break the connection
            await problem(500, "internal error")(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            self._seconds.labels(route, scope["method"], str(status)).observe(seconds)
            log.debug(
                "request answered", route=route, method=scope["method"], status=status, ms=round(seconds * 1000, 1)
            )


class BodyLimit:
    """Stops reading a body after `limit` bytes; the answer is then 413."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise HTTPException(413, f"the body is larger than {self._limit:,} bytes; send fewer records at once")
            return message

        await self._app(scope, counted if scope["type"] == "http" else receive, send)
