"""The clocks of the collector, the consumer and the broker jump ahead and back while events flow."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from exactness import assert_exact
from passing import patiently
from proxied_kafka import ProxiedKafka
from shop import Shop
from stages import Stage
from streaming import Stream
from wrong_clock import WrongClock, clock_error

JUMPS = [timedelta(hours=5), timedelta(hours=-3), timedelta(0)]


@pytest.fixture
def clock(tmp_path: Path, kafka: ProxiedKafka) -> Iterator[WrongClock]:
    """One clock for all of them; the broker, which others share, gets its own back afterwards."""
    clock = WrongClock(tmp_path)
    kafka.kill()
    try:
        kafka.start(**clock.variables)
        yield clock
    finally:
        kafka.kill()
        kafka.start()


def test_counts_are_exact_when_clocks_jump(streams: Callable[..., Stream], clock: WrongClock) -> None:
    stream = streams(BATCH_SIZE=200, BATCH_TIMEOUT=0.1, **clock.variables)
    stream.collector.start()
    stream.consumer.start()
    with Shop(stream.collector.url).open(seed=61, clients=2) as shop:
        for jump in JUMPS:
            stored = stream.count()
            patiently(lambda stored=stored: stream.count() > stored + 500)
            clock.jump(jump)
            for stage in (stream.collector, stream.consumer):
                patiently(lambda stage=stage, jump=jump: goes_wrong_by(stage, jump))
            stored = stream.count()
            patiently(lambda stored=stored: stream.count() > stored + 500)
    assert_exact(stream, shop.accepted, repeats=shop.repeats)
    assert stream.count("date_diff('hour', min(received_at), max(received_at))") >= 7, "the broker's clock did not jump"


def goes_wrong_by(stage: Stage, offset: timedelta) -> bool:
    """Whether a stage's own clock shows the jump."""
    return abs(clock_error(f"{stage.url}/health") - offset) < timedelta(minutes=10)
