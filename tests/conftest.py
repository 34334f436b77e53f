"""Engines that several folders of tests use."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from anmodel.laptop.guardian import Guardian
from clickhouse_process import ClickHouseProcess
from kafka_process import Kafka


def pytest_configure(config: pytest.Config) -> None:
    """What `make demo` left in the folder that tests run in is not theirs: none takes its addresses."""
    os.environ["ANMODEL_HOME"] = str(Path(tempfile.gettempdir(), "anmodel-tests-have-no-home"))


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
