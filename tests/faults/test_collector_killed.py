"""Kill -9 for the collector under load, and batches sent again in other pieces."""

import random
from collections.abc import Callable

from exactness import assert_exact
from passing import patiently
from shop import APART, Shop
from streaming import Stream, events

Streams = Callable[..., Stream]


def test_counts_are_exact_after_the_collector_was_killed_again_and_again_under_load(streams: Streams) -> None:
    stream = streams(BATCH_TIMEOUT=0.1)
    stream.collector.start()
    stream.consumer.start()
    chance = random.Random(21)
    with Shop(stream.collector.url).open(seed=21, clients=3, pause=0.02) as shop:
        for _ in range(6):
            mark = len(shop.accepted) + chance.randint(1, 1500)
            patiently(lambda mark=mark: len(shop.accepted) >= mark)
            stream.collector.kill()
            stream.collector.start()
    assert shop.repeats > 0
    assert_exact(stream, shop.accepted, repeats=shop.repeats)


def test_a_batch_resent_five_times_in_other_pieces_is_counted_once(streams: Streams) -> None:
    stream = streams(BATCH_SIZE=300, BATCH_TIMEOUT=0.1, MAX_INFLIGHT_INSERTS=4)
    stream.collector.start()
    stream.consumer.start()
    shop = Shop(stream.collector.url)
    batch = list(events(2000, seed=22, apart=APART))
    chance = random.Random(22)
    sent = 0
    for size in (2000, 1, 37, 499, 1500):
        pieces = batch if size > 1 else batch[:50]
        shop.send(pieces, size)
        sent += len(pieces)
        chance.shuffle(batch)
    assert_exact(stream, shop.accepted, repeats=sent - len(batch))
    assert len(shop.accepted) == len(batch)
