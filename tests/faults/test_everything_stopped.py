"""SIGTERM for every part at the same moment, as at a shutdown of the machine."""

from collections.abc import Callable
from signal import SIGTERM

from clickhouse_process import ClickHouseProcess
from eventually import eventually
from exactness import assert_exact
from passing import patiently
from proxied_kafka import ProxiedKafka
from shop import Shop
from streaming import Stream

GRACE_SECONDS = 30


def test_counts_are_exact_after_every_part_got_sigterm_at_once(
    streams: Callable[..., Stream], kafka: ProxiedKafka, clickhouse: ClickHouseProcess
) -> None:
    stream = streams(BATCH_SIZE=200, BATCH_TIMEOUT=0.1, DELIVERY_TIMEOUT=3)
    parts = [kafka, clickhouse, stream.collector, stream.consumer]
    stream.collector.start()
    stream.consumer.start()
    with Shop(stream.collector.url).open(seed=41, clients=2) as shop:
        patiently(lambda: stream.count() > 500)
        for part in parts:
            part.signal(SIGTERM)
        for part in parts:
            eventually(lambda part=part: not part.runs(), GRACE_SECONDS)
            part.end(None)
        for part in parts:
            part.start()
    assert_exact(stream, shop.accepted, repeats=shop.repeats)
