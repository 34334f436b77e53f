"""Kafka killed, stopped past every timeout, or with a full disk; a topic that grows."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from confluent_kafka.admin import AdminClient, NewPartitions

from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import KafkaNode, free_port
from anmodel.settings import KafkaSettings
from anmodel.topic import create_topics
from exactness import assert_exact
from full_disk import SmallDisk
from kafka_process import KafkaProcess
from passing import PATIENCE, pass_seconds, patiently, standing_still
from proxied_kafka import ProxiedKafka
from shop import APART, Shop
from streaming import Stream, events

Streams = Callable[..., Stream]
SMALL = {"BATCH_SIZE": 200, "BATCH_TIMEOUT": 0.1}
STOPPED_SECONDS = 15
# the shortest that librdkafka takes, so that a pause of seconds is past all of them
IMPATIENT = "socket.timeout.ms=3000;max.poll.interval.ms=8000"


def test_counts_are_exact_after_the_broker_was_killed_and_started_again_under_load(
    streams: Streams, kafka: ProxiedKafka
) -> None:
    stream = streams(**SMALL, DELIVERY_TIMEOUT=3)
    stream.collector.start()
    stream.consumer.start()
    with Shop(stream.collector.url).open(seed=11, clients=2) as shop:
        for _ in range(2):
            stored = stream.count()
            patiently(lambda stored=stored: stream.count() > stored + 500)
            kafka.kill()
            repeats = shop.repeats
            patiently(lambda repeats=repeats: shop.repeats > repeats)
            kafka.start()
    assert_exact(stream, shop.accepted, repeats=shop.repeats)


def test_no_row_is_stored_twice_when_the_broker_is_killed_under_the_consumer(
    streams: Streams, kafka: ProxiedKafka
) -> None:
    stream = streams(**SMALL)
    made = {event["event_id"]: event for event in events(12_000, seed=12, apart=APART)}
    stream.produce([json.dumps(e).encode() for e in made.values()], keys=[e["user_id"].encode() for e in made.values()])
    stream.consumer.start()
    for mark in (500, 3000):
        patiently(lambda mark=mark: stream.count() >= mark)
        kafka.kill()
        kafka.start()
    assert_exact(stream, made)


def test_counts_are_exact_after_the_broker_stood_still_past_every_timeout(
    streams: Streams, kafka: ProxiedKafka
) -> None:
    stream = streams(**SMALL, DELIVERY_TIMEOUT=3, KAFKA_OPTIONS=IMPATIENT)
    stream.collector.start()
    stream.consumer.start()
    with Shop(stream.collector.url).open(seed=13, clients=2) as shop:
        patiently(lambda: stream.count() > 500)
        with standing_still(kafka):
            began = time.monotonic()
            patiently(lambda: shop.repeats > 0)
            assert httpx.get(f"{stream.collector.url}/ready", timeout=30).status_code == 503
            assert stream.collector.answers()
            pass_seconds(STOPPED_SECONDS - (time.monotonic() - began))
    assert_exact(stream, shop.accepted, repeats=shop.repeats)


def test_a_full_disk_of_kafka_makes_no_client_believe_what_is_not_kept(
    streams: Streams, small_disk: SmallDisk, cache: Path, guardian: Guardian
) -> None:
    kafka = KafkaProcess(KafkaNode(small_disk.folder, cache, free_port()), guardian)
    kafka.start()
    try:
        stream = streams(kafka=kafka, **SMALL, DELIVERY_TIMEOUT=3)
        stream.collector.start()
        stream.consumer.start()
        with Shop(stream.collector.url).open(seed=14, clients=2) as shop:
            patiently(lambda: len(shop.accepted) > 1000)
            small_disk.fill(leave=64 << 10)
            patiently(lambda: shop.repeats > 0)
            patiently(lambda: not kafka.runs())  # it ends by itself when no log can be written any more
            small_disk.clear()
            kafka.end(None)
            kafka.start()
        assert_exact(stream, shop.accepted, repeats=shop.repeats)
        stream.close()
    finally:
        kafka.kill()


def test_counts_are_exact_while_the_topic_grows_from_three_to_six_partitions(
    streams: Streams, kafka: ProxiedKafka
) -> None:
    stream = streams(**SMALL, DELIVERY_TIMEOUT=60, KAFKA_OPTIONS="topic.metadata.refresh.interval.ms=1000")
    stream.collector.start()
    stream.consumer.start()
    with Shop(stream.collector.url).open(seed=15, clients=2) as shop:
        patiently(lambda: stream.count() > 500)
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        admin.create_partitions([NewPartitions(stream.topic, 6)])[stream.topic].result(30)
        patiently(lambda: stream.count("uniq(partition)") == 6)
    assert_exact(stream, shop.accepted, repeats=shop.repeats)
    assert len(stream.positions()) == 6


def test_counts_are_exact_after_the_topic_was_made_anew_under_the_consumer(
    streams: Streams, kafka: ProxiedKafka
) -> None:
    """Its offsets begin at 0 again, for other events."""
    stream = streams(**SMALL, KAFKA_OPTIONS="topic.metadata.refresh.interval.ms=1000")
    former, later = ({e["event_id"]: e for e in events(2000, seed=seed, apart=APART)} for seed in (16, 17))
    stream.consumer.start()
    stream.produce(json.dumps(event).encode() for event in former.values())
    stream.wait_for_rows(len(former), PATIENCE)
    stream.wait_until_committed(PATIENCE)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.delete_topics([stream.topic])[stream.topic].result(30)
    patiently(lambda: stream.topic not in admin.list_topics(timeout=10).topics)
    create_topics(KafkaSettings.load(kafka_bootstrap=kafka.bootstrap), 3, [stream.topic])
    stream.produce(json.dumps(event).encode() for event in later.values())
    stream.wait_for_rows(len(former) + len(later), PATIENCE)
    assert_exact(stream, former | later)
