"""Engines of the stream's tests."""

from collections.abc import Iterator

import pytest

from anmodel.laptop.guardian import Guardian
from clickhouse_process import ClickHouseProcess


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory, guardian: Guardian) -> Iterator[ClickHouseProcess]:
    """One real ClickHouse for the whole run; each test takes a database of its own (`clickhouse.database()`)."""
    clickhouse = ClickHouseProcess(tmp_path_factory.mktemp("clickhouse"), guardian)
    clickhouse.start()
    yield clickhouse
    clickhouse.kill()
