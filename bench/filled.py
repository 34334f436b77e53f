"""A full topic and an empty table: what the consumer's measurements begin with."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from confluent_kafka import Producer

from anmodel.laptop.kafka import free_port
from anmodel.settings import MigrateSettings
from anmodel.warehouse import Warehouse
from bench.cores import OTHERS, SERVER, pinned, processor_seconds
from bench.running import process, wait_until

PASSWORD = "bench"  # noqa: S105
PATIENCE = 600.0


@dataclass(frozen=True)
class Engine:
    """The laptop's ClickHouse, with empty tables."""

    warehouse: Warehouse
    variables: dict[str, str]
    pid: int

    def rows(self) -> int:
        """Rows of the events' table."""
        return int(self.warehouse.query(f"SELECT count() AS n FROM {self.warehouse.db}.events_raw")[0]["n"])

    def empty(self) -> None:
        """Forget all events."""
        self.warehouse.command(f"TRUNCATE TABLE {self.warehouse.db}.events_raw SYNC")


@contextmanager
def clickhouse(folder: Path, core: int | str = OTHERS) -> Iterator[Engine]:
    """A ClickHouse of its own, pinned."""
    port, log = free_port(), folder / "clickhouse.log"
    variables = {"CLICKHOUSE_PORT": str(port), "CLICKHOUSE_PASSWORD": PASSWORD, "CLICKHOUSE_HOST": "127.0.0.1"}
    module = [sys.executable, "-m", "anmodel.laptop.clickhouse"]
    command = [*module, "--path", str(folder / "clickhouse"), "--port", str(port)]
    with process(pinned(core, command), log, **variables) as running:
        settings = MigrateSettings.load(clickhouse_port=port, clickhouse_password=PASSWORD)
        wait_until(lambda: _answers(settings), "ClickHouse", log)
        warehouse = Warehouse.connect(settings)
        warehouse.migrate()
        yield Engine(warehouse, variables, running.pid)


def _answers(settings: MigrateSettings) -> bool:
    try:
        return Warehouse.connect(settings).ping()
    except Exception as error:
        raise OSError(str(error)) from error


def fill(bootstrap: str, topic: str, values: Sequence[bytes], times: int = 1) -> None:
    """Put messages on a topic, `times` over."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
        }
    )
    for _ in range(times):
        for value in values:
            while True:
                try:
                    producer.produce(topic, value)
                    break
                except BufferError:
                    producer.poll(0.1)
        producer.poll(0)
    if producer.flush(120):
        raise SystemExit("the topic could not be filled")


@contextmanager
def consumer(folder: Path, variables: dict[str, str], core: int | str = SERVER, **more: str) -> Iterator[Popen[bytes]]:
    """The consumer as a process, pinned."""
    command = pinned(core, [sys.executable, "-m", "anmodel", "consumer"])
    with process(command, folder / "consumer.log", **variables, **more) as running:
        yield running


@dataclass(frozen=True)
class Pace:
    """How fast rows came, and what processor time they took, in microseconds a row."""

    rate: float
    consumer: float
    engine: float


def pace(engine: Engine, running: Popen[bytes], rows: int, before: int = 0) -> Pace:
    """From the first rows that are seen to the last of `rows`, beside those there were before."""
    first, began = _wait(engine, running, before + 1)
    used = processor_seconds(running.pid), processor_seconds(engine.pid)
    last, ended = _wait(engine, running, before + rows)
    spent = (processor_seconds(pid) - before for pid, before in zip((running.pid, engine.pid), used, strict=True))
    ours, theirs = (seconds / (last - first) * 1e6 for seconds in spent)
    return Pace((last - first) / (ended - began), ours, theirs)


def _wait(engine: Engine, running: Popen[bytes], rows: int) -> tuple[int, float]:
    deadline = time.monotonic() + PATIENCE
    while (found := engine.rows()) < rows:
        if running.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{found} of {rows} rows came, and no more")
        time.sleep(0.05)
    return found, time.monotonic()
