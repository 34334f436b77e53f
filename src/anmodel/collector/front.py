"""The collector's front: `/collect` is answered here, past the framework, whose routing costs more than all the rest.

Documentation, probes, metrics and the snippet are the framework's.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from anmodel.collector.answers import Answer, to_refused
from anmodel.collector.collecting import Collect
from anmodel.collector.metrics import CollectorMetrics
from anmodel.collector.reading import ClientGone
from anmodel.errors import RequestRefused

App = Callable[[Any, Any, Any], Awaitable[None]]

ANY_ORIGIN = [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", b"retry-after")]
"""Any page may read an answer: it shows nothing but what the page sent. Whether it may send is the key's matter."""

PREFLIGHT = Answer(
    204,
    [
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", b"authorization, content-encoding, content-type"),
        (b"access-control-max-age", b"86400"),
    ],
)


class Front:
    """The ASGI application."""

    def __init__(self, collect: Collect, metrics: CollectorMetrics, rest: App) -> None:
        self._collect = collect
        self._metrics = metrics
        self._rest = rest

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/collect":
            return await self._rest(scope, receive, send)
        started = time.perf_counter()
        came = dict(scope["headers"])
        try:
            if scope["method"] == "POST":
                status, headers, body = await self._collect.answer(scope, came, receive)
            else:
                status, headers, body = _other(scope["method"])
        except RequestRefused as refused:
            status, headers, body = to_refused(refused)
        except ClientGone:
            return None
        if b"origin" in came:
            headers = [*headers, *ANY_ORIGIN]
        self._metrics.answered(status, time.perf_counter() - started)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return None


def _other(method: str) -> Answer:
    if method == "OPTIONS":
        return PREFLIGHT
    raise RequestRefused(405, "method", f"got {method[:20]}; allowed: POST, and OPTIONS of a browser that asks first")
