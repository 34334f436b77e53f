"""/health, /ready and /metrics of the consumer, on a thread of their own."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import generate_latest

from anmodel.consumer.loop import ConsumerLoop
from anmodel.consumer.metrics import ConsumerMetrics

_STUCK_SECONDS = 120.0


def start_watching(
    host: str, port: int, loop: ConsumerLoop, metrics: ConsumerMetrics, ping: Callable[[], bool]
) -> None:
    """Answer on `host:port` until the process ends. `ping` says whether ClickHouse answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            routes = {"/health": self._health, "/ready": self._ready, "/metrics": self._metrics}
            routes.get(self.path, self._unknown)()

        def _health(self) -> None:
            alive = time.monotonic() - loop.last_turn < _STUCK_SECONDS
            self._send(200 if alive else 503, json.dumps({"status": "ok" if alive else "stuck"}))

        def _ready(self) -> None:
            missing = []
            if not loop.partitions_assigned():
                missing.append({"part": "kafka", "reason": "no partition is assigned"})
            if not ping():
                missing.append({"part": "clickhouse", "reason": "does not answer"})
            status = "unavailable" if missing else "ready"
            self._send(503 if missing else 200, json.dumps({"status": status, "missing": missing}))

        def _metrics(self) -> None:
            self._send(200, generate_latest(metrics.registry).decode(), "text/plain; version=0.0.4")

        def _unknown(self) -> None:
            self._send(404, json.dumps({"detail": "allowed: /health, /ready, /metrics"}))

        def _send(self, status: int, text: str, kind: str = "application/json") -> None:
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
