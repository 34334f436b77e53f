"""The network between the parts cut, silent, or slow."""

from collections.abc import Callable, Iterator

import pytest

from clickhouse_process import ClickHouseProcess
from exactness import assert_exact
from line import Line
from passing import pass_seconds, patiently
from proxied_kafka import ProxiedKafka
from shop import Shop
from streaming import Stream

SILENT_SECONDS = 10
SLOW = 60_000  # bytes a second, of each connection
IMPATIENT = "socket.timeout.ms=3000"


@pytest.fixture
def clickhouse_line(clickhouse: ClickHouseProcess) -> Iterator[Line]:
    """A line to ClickHouse."""
    line = Line(0, clickhouse.port)
    yield line
    line.close()


@pytest.fixture
def stream(streams: Callable[..., Stream], kafka: ProxiedKafka, clickhouse_line: Line) -> Stream:
    """A stream whose stages reach Kafka and ClickHouse through lines only."""
    made = streams(
        BATCH_SIZE=200,
        BATCH_TIMEOUT=0.1,
        DELIVERY_TIMEOUT=3,
        INSERT_TIMEOUT=3,
        MAX_INFLIGHT_INSERTS=4,
        KAFKA_OPTIONS=IMPATIENT,
        KAFKA_BOOTSTRAP=kafka.proxied,
        CLICKHOUSE_PORT=clickhouse_line.port,
    )
    made.collector.start()
    made.consumer.start()
    return made


def stored_more(stream: Stream, rows: int = 500) -> None:
    mark = stream.count() + rows
    patiently(lambda: stream.count() >= mark)


def test_counts_are_exact_after_the_network_was_cut_again_and_again(
    stream: Stream, kafka: ProxiedKafka, clickhouse_line: Line
) -> None:
    with Shop(stream.collector.url).open(seed=51, clients=2) as shop:
        for lines in ([kafka.line], [clickhouse_line], [kafka.line, clickhouse_line]) * 2:
            stored_more(stream)
            for line in lines:
                line.cut()
            pass_seconds(1)
            for line in lines:
                line.heal()
    assert_exact(stream, shop.accepted, repeats=shop.repeats)


def test_counts_are_exact_after_the_network_was_silent_past_every_timeout(
    stream: Stream, kafka: ProxiedKafka, clickhouse_line: Line
) -> None:
    with Shop(stream.collector.url).open(seed=52, clients=2) as shop:
        for line in (clickhouse_line, kafka.line):
            stored_more(stream)
            line.stall()
            pass_seconds(SILENT_SECONDS)
            line.heal()
    assert shop.slowest < SILENT_SECONDS
    assert_exact(stream, shop.accepted, repeats=shop.repeats)


def test_counts_are_exact_over_a_slow_network(stream: Stream, kafka: ProxiedKafka, clickhouse_line: Line) -> None:
    with Shop(stream.collector.url).open(seed=53) as shop:
        for line in (kafka.line, clickhouse_line):
            line.slow(SLOW)
        stored_more(stream, 2000)
        for line in (kafka.line, clickhouse_line):
            line.heal()
    assert_exact(stream, shop.accepted, repeats=shop.repeats)
