"""The laptop's ClickHouse killed in the middle of inserts keeps what it said it had, whole blocks, each once."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from anmodel.laptop.guardian import Guardian
from clickhouse_process import ClickHouseProcess
from eventually import eventually

BLOCK = 500
KILLS = 5
BACK_SECONDS = 5.0  # of which a quiet machine needs less than one


@pytest.fixture
def own(tmp_path: Path, guardian: Guardian) -> Iterator[ClickHouseProcess]:
    """A ClickHouse of the test's own, with a table that knows tokens."""
    own = ClickHouseProcess(tmp_path / "clickhouse", guardian).start()
    own.ask(
        "CREATE TABLE t (block UInt32, number UInt32) ENGINE = MergeTree ORDER BY (block, number) "
        "SETTINGS non_replicated_deduplication_window = 1000"
    )
    yield own
    own.kill()


class Writer(threading.Thread):
    """Inserts block after block until the server dies under it; knows what was acknowledged."""

    def __init__(self, clickhouse: ClickHouseProcess, first: int) -> None:
        super().__init__(daemon=True)
        self._client = clickhouse.client()
        self._first = first
        self.acknowledged: list[int] = []
        self.unknown = first

    def run(self) -> None:
        """Insert until an insert fails."""
        while True:
            self.unknown = self._first + len(self.acknowledged)
            try:
                insert(self._client, self.unknown, range(BLOCK), token=True)
            except (ClickHouseError, HTTPError, OSError):
                return
            self.acknowledged.append(self.unknown)


def insert(client: Client, block: int, numbers: range | list[int], *, token: bool) -> None:
    """Insert rows of a block; with `token` a repeat is skipped."""
    settings = {"insert_deduplication_token": str(block)} if token else {}
    client.insert("t", [[block, number] for number in numbers], column_names=["block", "number"], settings=settings)


def stored(client: Client, block: int) -> list[int]:
    """The numbers of a block that are there."""
    return [row[0] for row in client.query(f"SELECT number FROM t WHERE block = {block} ORDER BY number").result_rows]


def test_after_each_kill_every_acknowledged_block_is_there_once_and_whole(own: ClickHouseProcess) -> None:
    expected = 0
    for kill in range(KILLS):
        writer = Writer(own, expected)
        writer.start()
        eventually(lambda writer=writer, kill=kill: len(writer.acknowledged) > 3 + 7 * kill)
        own.kill()
        writer.join(10)
        began = time.monotonic()
        own.start()
        assert time.monotonic() - began < BACK_SECONDS
        client = own.client()
        expected += len(writer.acknowledged)
        counts = "SELECT count(), uniqExact(block, number), max(block) FROM t WHERE block < "
        assert client.query(counts + str(expected)).result_rows == [(expected * BLOCK, expected * BLOCK, expected - 1)]
        assert len(stored(client, writer.unknown)) in (0, BLOCK)
        # It may have noted the token of a block that it then lost: whoever repeats it must look, and fill the gap.
        insert(client, writer.unknown, range(BLOCK), token=True)
        missing = sorted(set(range(BLOCK)) - set(stored(client, writer.unknown)))
        if missing:
            insert(client, writer.unknown, missing, token=False)
        expected += 1
    assert client.query("SELECT count(), uniqExact(block, number) FROM t").result_rows == [(expected * BLOCK,) * 2]


def test_a_killed_one_leaves_no_lock_and_no_spooled_bodies_behind(own: ClickHouseProcess) -> None:
    (own.folder / "spool" / "left-behind").write_bytes(b"half a body")
    own.kill()
    own.start()
    assert list((own.folder / "spool").iterdir()) == []
