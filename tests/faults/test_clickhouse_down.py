"""ClickHouse killed in the middle of inserts, stopped for a while, or with a full disk."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import httpx
import pytest

from anmodel.laptop.guardian import Guardian
from clickhouse_process import ClickHouseProcess
from exactness import assert_exact
from full_disk import SmallDisk
from injected import KillAt
from passing import pass_seconds, patiently, standing_still
from shop import Shop
from streaming import Stream

Streams = Callable[..., Stream]
SMALL = {"BATCH_SIZE": 200, "BATCH_TIMEOUT": 0.1, "DELIVERY_TIMEOUT": 60}
STOPPED_SECONDS = 20
GRACE_SECONDS = 30


def test_counts_are_exact_after_clickhouse_was_killed_in_the_middle_of_writing_parts(
    streams: Streams, clickhouse: ClickHouseProcess, kill_at: KillAt
) -> None:
    stream = streams(**SMALL)
    under = kill_at.words("open", "tmp_insert_")
    clickhouse.kill()
    clickhouse.start(under=under)
    stream.collector.start()
    stream.consumer.start()
    chance = random.Random(5)
    with Shop(stream.collector.url).open(seed=5, clients=2) as shop:
        for _ in range(6):
            number = chance.randint(1, 60)
            kill_at.arm(number)
            kill_at.await_the_kill(clickhouse, number)
            clickhouse.start(under=under)
    assert_exact(stream, shop.accepted, repeats=shop.repeats)


@pytest.mark.parametrize("insert_timeout", [4, 60])
def test_counts_are_exact_after_clickhouse_stood_still_for_twenty_seconds(
    streams: Streams, clickhouse: ClickHouseProcess, insert_timeout: int
) -> None:
    """Within the time that an insert may take, and past it: then the engine takes up inserts that were given up."""
    stream = streams(**SMALL, INSERT_TIMEOUT=insert_timeout, MAX_INFLIGHT_INSERTS=4)
    stream.collector.start()
    stream.consumer.start()
    with Shop(stream.collector.url).open(seed=6, clients=2) as shop:
        patiently(lambda: stream.count() > 500)
        with standing_still(clickhouse):
            pass_seconds(STOPPED_SECONDS)
            assert stream.consumer.answers()
    assert_exact(stream, shop.accepted, repeats=shop.repeats)


@pytest.mark.parametrize("number", [SIGTERM, SIGKILL], ids=lambda number: number.name)
def test_counts_are_exact_after_the_consumer_ended_while_clickhouse_stood_still(
    streams: Streams, clickhouse: ClickHouseProcess, number: Signals
) -> None:
    """Its blocks are written down and sent, and the engine may still take them in after it has gone."""
    stream = streams(**SMALL, INSERT_TIMEOUT=120, MAX_INFLIGHT_INSERTS=4)
    stream.collector.start()
    stream.consumer.start()
    with Shop(stream.collector.url).open(seed=8, clients=2) as shop:
        patiently(lambda: stream.count() > 500)
        with standing_still(clickhouse):
            accepted = len(shop.accepted)
            patiently(lambda: len(shop.accepted) > accepted + 1000)
            stream.consumer.signal(number)
            began = time.monotonic()
            assert stream.consumer.end(None) == (0 if number == SIGTERM else -SIGKILL)
            assert time.monotonic() - began < GRACE_SECONDS
        stream.consumer.start()
    assert_exact(stream, shop.accepted, repeats=shop.repeats)


def test_a_full_disk_of_clickhouse_loses_nothing_and_is_told(
    streams: Streams, small_disk: SmallDisk, guardian: Guardian, tmp_path: Path
) -> None:
    clickhouse = ClickHouseProcess(small_disk.folder / "clickhouse", guardian, log=tmp_path / "clickhouse.log").start()
    try:
        stream = streams(clickhouse=clickhouse, **SMALL)
        stream.collector.start()
        stream.consumer.start()
        with Shop(stream.collector.url).open(seed=7, clients=2) as shop:
            patiently(lambda: stream.count() > 500)
            small_disk.fill()
            patiently(lambda: "insert not confirmed" in stream.consumer.log.read_text())
            accepted = len(shop.accepted)
            patiently(lambda: len(shop.accepted) > accepted + 1000)
            assert httpx.get(f"{stream.collector.url}/ready", timeout=30).status_code == 200
            small_disk.clear()
            if not clickhouse.runs():
                clickhouse.end(None)
                clickhouse.start()
        assert_exact(stream, shop.accepted, repeats=shop.repeats)
        stream.close()
    finally:
        clickhouse.kill()
