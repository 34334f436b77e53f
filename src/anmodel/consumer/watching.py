"""/health, /ready and /metrics of the consumer, on a thread of their own."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest

from anmodel.consumer.loop import ConsumerLoop

_STUCK_SECONDS = 120.0
_JSON = "application/json"

Answer = tuple[int, str, str]
"""Status, body and media type."""


class Watch:
    """What is known of the consumer from outside.

    It answers before there is a loop, so that a consumer that waits for ClickHouse is seen to wait and not taken for
    dead; `follow` tells it of the loop.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._loop: ConsumerLoop | None = None
        self._kafka: Callable[[], str] = lambda: "not asked before ClickHouse has answered"
        self._clickhouse: Callable[[], str] = lambda: "not asked yet"

    def wait_for_clickhouse(self, reason: str) -> None:
        """Tell why ClickHouse cannot be had, until there is a loop to follow."""
        self._clickhouse = lambda: reason

    def follow(self, loop: ConsumerLoop, kafka: Callable[[], str], clickhouse: Callable[[], str]) -> None:
        """From now on tell of `loop`; `kafka` and `clickhouse` say what is wrong with them, or nothing."""
        self._kafka = kafka
        self._clickhouse = clickhouse
        self._loop = loop

    def start(self, host: str, port: int) -> None:
        """Answer on `host:port` until the process ends."""
        routes = {"/health": self._health, "/ready": self._ready, "/metrics": self._metrics}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text, kind = routes.get(self.path, _unknown)()
                content = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Requests are not logged."""

        server = ThreadingHTTPServer((host, port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="watching", daemon=True).start()

    def _health(self) -> Answer:
        alive = self._loop is None or time.monotonic() - self._loop.last_turn < _STUCK_SECONDS
        return 200 if alive else 503, json.dumps({"status": "ok" if alive else "stuck"}), _JSON

    def _ready(self) -> Answer:
        faults = {
            "kafka": (self._loop.group_fault() if self._loop else "") or self._kafka(),
            "clickhouse": self._clickhouse(),
        }
        missing = [{"part": part, "reason": reason} for part, reason in faults.items() if reason]
        status = "unavailable" if missing else "ready"
        return 503 if missing else 200, json.dumps({"status": status, "missing": missing}), _JSON

    def _metrics(self) -> Answer:
        return 200, generate_latest(self._registry).decode(), "text/plain; version=0.0.4"


def _unknown() -> Answer:
    return 404, json.dumps({"detail": "allowed: /health, /ready, /metrics"}), _JSON
