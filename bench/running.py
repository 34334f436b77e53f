"""What measurements run on: a Kafka of their own, the laptop's, on the core that the server does not have."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from anmodel.laptop.kafka import KafkaNode, free_port
from anmodel.settings import KafkaSettings
from anmodel.topic import create_topics
from bench.cores import OTHERS, pinned

PATIENCE = 120.0


def cache() -> Path:
    """Where downloads are kept between runs."""
    return Path(os.environ.get("ANMODEL_CACHE") or "~/.cache/anmodel").expanduser()


@contextmanager
def process(command: list[str], log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block: by SIGTERM, at last by SIGKILL."""
    with log.open("ab") as output:
        started = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **variables})
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def wait_until(answers: Callable[[], bool], what: str, log: Path, seconds: float = PATIENCE) -> None:
    """Wait for a condition; SystemExit with the log's end when it does not come."""
    deadline = time.monotonic() + seconds
    while not _true(answers):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} does not answer after {seconds:g} s:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


def _true(answers: Callable[[], bool]) -> bool:
    try:
        return answers()
    except OSError:
        return False


@contextmanager
def kafka(folder: Path, core: int | str = OTHERS) -> Iterator[str]:
    """A broker of its own, pinned; its bootstrap address."""
    node = KafkaNode(folder / "kafka", cache(), free_port())
    node.prepare()
    log = folder / "kafka.log"
    with process(pinned(core, node.command()), log):
        wait_until(node.ready, "Kafka", log)
        yield node.bootstrap


def topic(bootstrap: str, name: str, partitions: int = 3) -> Mapping[str, str]:
    """Create a topic; the variables by which a stage uses it."""
    create_topics(KafkaSettings.load(kafka_bootstrap=bootstrap), partitions, [name])
    return {"KAFKA_BOOTSTRAP": bootstrap, "KAFKA_TOPIC": name}


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder that goes away; BENCH_HOME says where (a disk, not memory, to measure what is real)."""
    with tempfile.TemporaryDirectory(prefix="anmodel-bench-", dir=os.environ.get("BENCH_HOME")) as folder:
        yield Path(folder)
