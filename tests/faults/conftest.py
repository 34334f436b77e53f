"""Engines for the tests of faults: they are killed, and started again by whoever killed them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anmodel.laptop.guardian import Guardian
from clickhouse_process import ClickHouseProcess
from exactness import RESULTS, keep_every_row
from full_disk import SmallDisk
from injected import KillAt
from proxied_kafka import ProxiedKafka
from streaming import Stream

Streams = Callable[..., Stream]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, cache: Path, guardian: Guardian) -> Iterator[ProxiedKafka]:
    """One Kafka for all faults, with a way in that can be cut, slowed or held up."""
    kafka = ProxiedKafka(tmp_path_factory.mktemp("kafka"), cache, guardian)
    kafka.start()
    yield kafka
    kafka.kill()
    kafka.line.close()


@pytest.fixture(autouse=True)
def engines_run(kafka: ProxiedKafka, clickhouse: ClickHouseProcess) -> Iterator[None]:
    """A test that failed in the middle of a fault leaves nothing broken to the next."""
    yield
    kafka.line.heal()
    for engine in (kafka, clickhouse):
        if not engine.runs():
            engine.end(None)
            engine.start()


@pytest.fixture
def streams(kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian) -> Iterator[Streams]:
    """Makes streams whose tables show each row that was ever inserted; settings are given by name."""
    made: list[Stream] = []

    def make(kafka: Any = kafka, clickhouse: Any = clickhouse, **variables: object) -> Stream:
        folder = tmp_path / f"stream-{len(made)}"
        folder.mkdir()
        made.append(keep_every_row(Stream(kafka, clickhouse, folder, guardian, **variables)))
        return made[-1]

    yield make
    for stream in made:
        stream.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk that can be filled."""
    with SmallDisk.mounted(tmp_path / "disk", megabytes=160) as disk:
        yield disk


@pytest.fixture(scope="session")
def kill_at(tmp_path_factory: pytest.TempPathFactory) -> KillAt:
    """Kills a program at a chosen system call."""
    return KillAt(tmp_path_factory.mktemp("kill_at"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was counted: the table of docs/faults.md."""
    if RESULTS:
        terminalreporter.section("counted")
        terminalreporter.line("accepted  sent again    stored  test")
    for result in RESULTS:
        numbers = f"{result.accepted:>8,}{result.repeats:>12,}{result.rows:>10,}"
        terminalreporter.line(f"{numbers}  {result.test.removeprefix('test_')}")
