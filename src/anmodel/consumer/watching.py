"""/health, /ready and /metrics of the consumer, on a thread of their own."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest

from anmodel.consumer.loop import ConsumerLoop

_STUCK_SECONDS = 120.0
_JSON = "application/json"

Answer = tuple[int, str, str]
"""Status, body and media type."""


@dataclass(frozen=True)
class Watched:
    """A loop, its name among the parts of /ready, and what asks whether its topic can be had.

    Without one that is not `needed` the consumer is still ready, for what it does without.
    """

    part: str
    loop: ConsumerLoop
    topic: Callable[[], str]
    needed: bool = True

    def fault(self) -> str:
        """Why no messages come or none is stored, empty when they can and are."""
        return self.loop.group_fault() or self.topic() or self.loop.metrics.trouble

    def position(self) -> dict[str, int]:
        """How many partitions it has, and how far behind it is in them."""
        return {"partitions": self.loop.partitions, "behind": self.loop.metrics.behind()}


class Watch:
    """What is known of the consumer from outside.

    It answers before there are loops, so that a consumer that waits for ClickHouse is seen to wait and not taken for
    dead; `follow` tells it of them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._watched: Sequence[Watched] = ()
        self._clickhouse: Callable[[], str] = lambda: "not asked yet"

    def wait_for_clickhouse(self, reason: str) -> None:
        """Tell why ClickHouse cannot be had, until there are loops to follow."""
        self._clickhouse = lambda: reason

    def follow(self, watched: Sequence[Watched], clickhouse: Callable[[], str]) -> None:
        """From now on tell of these loops; `clickhouse` says what is wrong with it, or nothing."""
        self._clickhouse = clickhouse
        self._watched = watched

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
        now = time.monotonic()
        alive = all(now - watched.loop.last_turn < _STUCK_SECONDS for watched in self._watched)
        return 200 if alive else 503, json.dumps({"status": "ok" if alive else "stuck"}), _JSON

    def _ready(self) -> Answer:
        faults = {watched.part: watched.fault() for watched in self._watched if watched.needed}
        faults = faults or {"kafka": "not asked before ClickHouse has answered"}
        faults["clickhouse"] = self._clickhouse()
        unavailable = any(faults.values())
        if not unavailable:  # one cause is said once, and nobody waits for a dead Kafka twice
            faults = {watched.part: watched.fault() for watched in self._watched if not watched.needed}
        missing = [{"part": part, "reason": reason} for part, reason in faults.items() if reason]
        status = "unavailable" if unavailable else "degraded" if missing else "ready"
        said = {"status": status, "missing": missing, "positions": {w.part: w.position() for w in self._watched}}
        return 503 if unavailable else 200, json.dumps(said), _JSON

    def _metrics(self) -> Answer:
        return 200, generate_latest(self._registry).decode(), "text/plain; version=0.0.4"


def _unknown() -> Answer:
    return 404, json.dumps({"detail": "allowed: /health, /ready, /metrics"}), _JSON
