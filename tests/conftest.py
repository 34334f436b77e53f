"""Engines that several folders of tests use."""

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import KafkaNode, free_port
from anmodel.laptop.logfile import open_log, tail
from clickhouse_process import ClickHouseProcess
from eventually import eventually

KAFKA_SECONDS = 90


class Kafka:
    """A real Kafka of the tests' own: killed, it can be started again with all it had."""

    def __init__(self, folder: Path, cache: Path, guardian: Guardian) -> None:
        self._node = KafkaNode(folder, cache, free_port())
        self._log = folder / "kafka.log"
        self._guardian = guardian
        self._process: subprocess.Popen[bytes] | None = None
        self._names = (f"test-{number}" for number in itertools.count(1))
        self.bootstrap = self._node.bootstrap

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._node.prepare()
        output = open_log(self._log)
        self._process = self._guardian.spawn(self._node.command(), output, dict(os.environ))
        os.close(output)
        try:
            eventually(self._node.ready, KAFKA_SECONDS)
        except AssertionError as error:
            raise AssertionError("Kafka does not start:\n" + "\n".join(tail(self._log, 20))) from error

    def kill(self) -> None:
        """End it as a crash would, with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._guardian.dismiss(self._process.pid)
            self._process = None

    def topic(self, partitions: int = 3) -> str:
        """Create a topic nobody else uses and return its name."""
        from anmodel.settings import KafkaSettings
        from anmodel.topic import create_topics

        name = next(self._names)
        create_topics(KafkaSettings.load(kafka_bootstrap=self.bootstrap), partitions, [name])
        return name


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where downloads are kept between test runs."""
    return Path(os.environ.get("ANMODEL_CACHE") or "~/.cache/anmodel").expanduser()


@pytest.fixture(scope="session")
def guardian() -> Iterator[Guardian]:
    """Ends what tests have started, even when the test run itself is killed."""
    guardian = Guardian()
    guardian.start()
    yield guardian
    guardian.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, cache: Path, guardian: Guardian) -> Iterator[Kafka]:
    """One real Kafka for the whole run; each test takes a topic of its own."""
    kafka = Kafka(tmp_path_factory.mktemp("kafka"), cache, guardian)
    kafka.start()
    yield kafka
    kafka.kill()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory, guardian: Guardian) -> Iterator[ClickHouseProcess]:
    """One real ClickHouse for the whole run; each test takes a database of its own (`clickhouse.database()`)."""
    clickhouse = ClickHouseProcess(tmp_path_factory.mktemp("clickhouse"), guardian)
    clickhouse.start()
    yield clickhouse
    clickhouse.kill()
