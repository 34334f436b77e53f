"""Kill -9 for consumers, at random instants and at the worst one."""

import itertools
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from anmodel.laptop.guardian import Guardian
from consumers import another_consumer, partitions_of
from exactness import assert_exact, keep_every_row
from line import OFFSET_COMMIT
from passing import pass_seconds, patiently
from proxied_kafka import ProxiedKafka
from shop import APART, Shop
from streaming import Stream, events, logged_predictions

KILLS = int(os.environ.get("FAULTS_KILLS", "30"))
SMALL = {"BATCH_SIZE": 200, "BATCH_TIMEOUT": 0.1, "DELIVERY_TIMEOUT": 60}  # so that a kill finds many blocks under way
Streams = Callable[..., Stream]


@pytest.mark.timeout(120 + 30 * KILLS)
def test_counts_are_exact_after_the_consumer_was_killed_at_random_instants(streams: Streams) -> None:
    stream = streams(**SMALL)
    stream.collector.start()
    chance = random.Random(7)
    with Shop(stream.collector.url).open(seed=7) as shop:
        for kill in range(KILLS):
            stream.consumer.start(wait=False)
            (at_some_progress if kill % 2 else at_some_time)(stream, chance)
            stream.consumer.kill()
    stream.consumer.start()
    assert_exact(stream, shop.accepted, repeats=shop.repeats)


def at_some_time(stream: Stream, chance: random.Random) -> None:
    """Return at a random instant in the two seconds after it has come up: it joins, looks and inserts then."""
    patiently(stream.consumer.answers)
    pass_seconds(chance.uniform(0, 2))


def at_some_progress(stream: Stream, chance: random.Random) -> None:
    """Return once it has stored a random number of rows more."""
    mark = stream.count() + chance.randint(1, 2000)
    patiently(lambda: stream.count() >= mark)


def test_logged_predictions_are_exact_after_the_consumer_was_killed_again_and_again(streams: Streams) -> None:
    stream = keep_every_row(streams(**SMALL), "predictions")
    logged = {each["prediction_id"]: json.dumps(each).encode() for each in logged_predictions(10_000)}
    stream.produce(logged.values(), stream.predictions_topic, [name.encode() for name in logged])
    for mark in sorted(random.Random(8).sample(range(1, 8000), 4)):
        stream.consumer.start(wait=False)
        patiently(lambda mark=mark: stream.count(table="predictions") >= mark)
        stream.consumer.kill()
    stream.consumer.start()
    assert_exact(stream, logged, table="predictions")


def test_counts_are_exact_when_the_consumer_is_killed_between_insert_and_commit(
    streams: Streams, kafka: ProxiedKafka
) -> None:
    stream = streams(**SMALL, KAFKA_BOOTSTRAP=kafka.proxied)
    stream.consumer.start()
    for seed in (1, 2, 3):
        sent = seed * 900
        kafka.line.hold(OFFSET_COMMIT, when=lambda sent=sent: stream.count() >= sent)
        produce(stream, seed, 900)
        kill_once_held(stream, kafka)
        assert stream.count() == sent
    assert_exact(stream, {f"{seed}-{number}" for seed in (1, 2, 3) for number in range(900)})


def test_counts_are_exact_when_the_consumer_is_killed_at_the_first_commit_of_new_events(
    streams: Streams, kafka: ProxiedKafka
) -> None:
    """Before its blocks are inserted, if it writes down first what it is about to do."""
    stream = streams(**SMALL, KAFKA_BOOTSTRAP=kafka.proxied)
    stream.consumer.start()
    for seed in (1, 2, 3):
        kafka.line.hold(OFFSET_COMMIT)
        produce(stream, seed, 900)
        kill_once_held(stream, kafka)
    assert_exact(stream, {f"{seed}-{number}" for seed in (1, 2, 3) for number in range(900)})


def kill_once_held(stream: Stream, kafka: ProxiedKafka) -> None:
    """Kill the consumer while its commit is on the way, which then never arrives; start it again."""
    patiently(kafka.line.held.is_set)
    assert sum(committed for committed, _ in stream.positions()) < sum(end for _, end in stream.positions())
    stream.consumer.kill()
    kafka.line.drop_held()
    stream.consumer.start()


def produce(stream: Stream, seed: int, count: int) -> None:
    made = list(events(count, seed=seed, apart=APART * 20))
    stream.produce([json.dumps(e).encode() for e in made], keys=[e["user_id"].encode() for e in made])


def test_counts_are_exact_while_two_consumers_share_the_topic_and_one_or_the_other_is_killed(
    streams: Streams, tmp_path: Path, guardian: Guardian
) -> None:
    stream = streams(**SMALL)
    other = another_consumer(stream, tmp_path, guardian)
    stream.collector.start()
    try:
        both = [stream.consumer.start(), other.start()]
        with Shop(stream.collector.url).open(seed=3) as shop:
            for victim in itertools.islice(itertools.cycle(both), 4):
                patiently(lambda: all(partitions_of(member) for member in both))
                at_some_progress(stream, random.Random(3))
                victim.kill()
                at_some_progress(stream, random.Random(3))
                victim.start()
        assert_exact(stream, shop.accepted, repeats=shop.repeats)
    finally:
        other.kill()
