"""From accepted to readable, at a steady rate, with the default settings: collector, Kafka, consumer and ClickHouse.

Batches are posted at a steady pace. One event of each is looked for in ClickHouse from the moment its batch was
answered with 201: the figures hold the looks (every 5 ms) too. Nothing is pinned: everything shares the machine.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import httpx

from anmodel.laptop.kafka import free_port
from bench.filled import Engine, clickhouse, consumer
from bench.result import Row, report
from bench.running import kafka, process, topic, wait_until, workspace
from bench.traffic import events

BOTH = "0,1"
WARM_SECONDS = 5.0
PATIENCE = 30.0


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    options = _options(arguments)
    with workspace() as folder, kafka(folder, BOTH) as bootstrap, clickhouse(folder, BOTH) as engine:
        variables = {**topic(bootstrap, "raw-events"), **engine.variables}
        topic(bootstrap, "raw-events-dead")
        with consumer(folder, variables, BOTH), _collector(folder, variables) as url:
            _Sender(url, options.rate, options.batch).send(WARM_SECONDS)
            waits = _measured(engine, _Sender(url, options.rate, options.batch), options.seconds)
    cuts = quantiles(waits, n=100)
    rows = [
        Row("latency", cuts[94], "s p95", 0.5, 0.2, lower=True),
        Row("latency_p99", cuts[98], "s p99", 1.0, 0.5, lower=True),
    ]
    return report(rows, p50=round(cuts[49], 4), looked_for=len(waits), rate=options.rate)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench latency", description=__doc__)
    parser.add_argument("--rate", type=int, default=2000, help="events a second")
    parser.add_argument("--batch", type=int, default=20, help="events in a request")
    parser.add_argument("--seconds", type=float, default=60.0)
    return parser.parse_args(arguments)


@contextmanager
def _collector(folder: Path, variables: dict[str, str]) -> Iterator[str]:
    port, log = free_port(), folder / "collector.log"
    url = f"http://127.0.0.1:{port}"
    with process([sys.executable, "-m", "anmodel", "collector"], log, **variables, COLLECTOR_PORT=str(port)):
        wait_until(lambda: _lives(url), "the collector", log)
        yield url


def _lives(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error


class _Sender:
    """Posts batches at a steady pace; of each the first event is one to be looked for."""

    def __init__(self, url: str, rate: int, batch: int) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)
        self._pause = batch / rate
        self._events = events(batch)
        self.accepted: dict[str, float] = {}
        self._run = f"{time.time_ns()}"

    def send(self, seconds: float) -> None:
        """Send for so long; a batch that is late is sent at once."""
        began = time.monotonic()
        for number in range(int(seconds / self._pause)):
            time.sleep(max(0.0, began + number * self._pause - time.monotonic()))
            looked_for = f"{self._run}-{number}"
            answer = self._client.post("/collect", content=self._body(looked_for))
            if answer.status_code != 201:
                raise SystemExit(f"the collector answered {answer.status_code}: {answer.text[:500]}")
            self.accepted[looked_for] = time.monotonic()

    def _body(self, looked_for: str) -> bytes:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        batch = [
            {**event, "event_id": f"{looked_for}-{place}", "timestamp": now} for place, event in enumerate(self._events)
        ]
        number = int(looked_for.rpartition("-")[2])
        batch[0] |= {"event_id": looked_for, "user_id": f"probe-{number % 9}"}
        return json.dumps(batch).encode()


def _measured(engine: Engine, sender: _Sender, seconds: float) -> list[float]:
    """Seconds from each answer until its event was seen."""
    sending = threading.Thread(target=sender.send, args=(seconds,), daemon=True)
    sending.start()
    seen: dict[str, float] = {}
    deadline = time.monotonic() + seconds + PATIENCE
    while sending.is_alive() or sender.accepted.keys() - seen.keys():
        for event_id in _there(engine):
            seen.setdefault(event_id, time.monotonic())
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(sender.accepted) - len(seen)} accepted events were not seen")
        time.sleep(0.005)
    return [max(0.0, seen[event_id] - accepted) for event_id, accepted in sender.accepted.items()]


def _there(engine: Engine) -> Iterator[str]:
    """The events of the last seconds that are looked for: a look by the table's key."""
    users = ", ".join(f"'probe-{number}'" for number in range(9))
    sql = f"SELECT event_id FROM {engine.warehouse.db}.events_raw WHERE user_id IN ({users}) AND ts > now() - 5"
    return (row["event_id"] for row in engine.warehouse.query(sql))
