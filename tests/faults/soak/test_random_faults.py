"""Faults of every kind, one after another at random, for as long as is asked for (`make soak MINUTES=30 SEED=1`)."""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM

import pytest

from anmodel.laptop.guardian import Guardian
from clickhouse_process import ClickHouseProcess
from consumers import another_consumer
from exactness import assert_exact
from guarded import GuardedProcess
from hostile import hostile_messages
from injected import KillAt
from line import Line
from passing import pass_seconds, patiently
from proxied_kafka import ProxiedKafka
from shop import Shop
from stages import Stage
from streaming import Stream

SECONDS = 60 * float(os.environ.get("SOAK_MINUTES", "30"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
FAULTS_A_ROUND = 8


@dataclass
class World:
    """All that can be broken."""

    stream: Stream
    kafka: ProxiedKafka
    clickhouse: ClickHouseProcess
    other: Stage
    line: Line
    kill_at: KillAt
    chance: random.Random

    def stages(self) -> list[Stage]:
        return [self.stream.collector, self.stream.consumer, self.other]

    def parts(self) -> list[GuardedProcess]:
        return [self.kafka, self.clickhouse, *self.stages()]

    def start(self, part: GuardedProcess) -> None:
        """Start an ended part again, ClickHouse under what can kill it."""
        part.end(None)
        if part is self.clickhouse:
            self.clickhouse.start(under=self.kill_at.words("rename", "tmp_insert_"))
        else:
            part.start()


def kill(world: World) -> str:
    """Kill -9 for some parts at once."""
    victims = world.chance.sample(world.parts(), world.chance.choice([1, 1, 1, 2, 3]))
    for victim in victims:
        victim.signal(SIGTERM if world.chance.random() < 0.2 else 9)
    for victim in victims:
        patiently(lambda victim=victim: not victim.runs())
        world.start(victim)
    return f"ended {len(victims)}: {[world.parts().index(victim) for victim in victims]}"


def kill_at_a_rename(world: World) -> str:
    """Kill ClickHouse where its memory of a token and its rows disagree."""
    number = world.chance.randint(1, 12)
    world.kill_at.arm(number, world.chance.choice(["before", "after"]))
    world.kill_at.await_the_kill(world.clickhouse, number)
    world.start(world.clickhouse)
    return f"killed ClickHouse at rename {number}"


def stop(world: World) -> str:
    """Let one part stand still."""
    victim, seconds = world.chance.choice(world.parts()), world.chance.uniform(1, 25)
    victim.signal(SIGSTOP)
    pass_seconds(seconds)
    victim.signal(SIGCONT)
    return f"stopped {world.parts().index(victim)} for {seconds:.0f} s"


def break_a_line(world: World) -> str:
    """Cut a line, let it be silent, or slow it down."""
    line, how = world.chance.choice([world.line, world.kafka.line]), world.chance.choice(["cut", "stall", "slow"])
    seconds = world.chance.uniform(0.1, 10)
    getattr(line, how)(*([50_000] if how == "slow" else []))
    pass_seconds(seconds)
    line.heal()
    return f"{how} the line to {'ClickHouse' if line is world.line else 'Kafka'} for {seconds:.1f} s"


def write_garbage(world: World) -> str:
    """Another producer puts on the topic what is no event."""
    world.stream.produce(hostile_messages(2000, seed=world.chance.randrange(1000)))
    return "wrote 2000 messages that are no events"


@pytest.fixture
def lines(clickhouse: ClickHouseProcess) -> Iterator[Line]:
    """A line to ClickHouse."""
    line = Line(0, clickhouse.port)
    yield line
    line.close()


def test_counts_are_exact_whatever_happens_in_whatever_order(
    streams: Callable[..., Stream],
    kafka: ProxiedKafka,
    clickhouse: ClickHouseProcess,
    lines: Line,
    kill_at: KillAt,
    guardian: Guardian,
    tmp_path: Path,
) -> None:
    end = time.monotonic() + SECONDS
    chance = random.Random(SEED)
    clickhouse.kill()
    clickhouse.start(under=kill_at.words("rename", "tmp_insert_"))
    round_number = 0
    while time.monotonic() < end:
        round_number += 1
        stream = streams(
            BATCH_SIZE=chance.choice([50, 500, 5000]),
            BATCH_TIMEOUT=chance.choice([0.05, 0.5]),
            MAX_INFLIGHT_INSERTS=chance.choice([1, 2, 8]),
            INSERT_TIMEOUT=chance.choice([3, 60]),
            DELIVERY_TIMEOUT=5,
            KAFKA_BOOTSTRAP=kafka.proxied,
            CLICKHOUSE_PORT=lines.port,
        )
        folder = tmp_path / f"other-{round_number}"
        folder.mkdir()
        other = another_consumer(stream, folder, guardian)
        run_round(World(stream, kafka, clickhouse, other, lines, kill_at, chance), round_number)


def run_round(world: World, number: int) -> None:
    """Some faults on a stream of its own, then the count."""
    for stage in world.stages():
        stage.start()
    try:
        with Shop(world.stream.collector.url, patience=600).open(seed=SEED * 1000 + number, clients=2) as shop:
            for _ in range(FAULTS_A_ROUND):
                done = world.chance.choice([kill, kill, kill_at_a_rename, stop, break_a_line, write_garbage])(world)
                mark = world.stream.count() + world.chance.randint(1, 1000)
                patiently(lambda mark=mark: world.stream.count() >= mark)
                print(f"round {number}: {done}", flush=True)  # noqa: T201 - who waits for hours wants to see it
        assert_exact(world.stream, shop.accepted, repeats=shop.repeats, seconds=600)
        print(f"round {number}: {len(shop.accepted)} accepted, {shop.repeats} sent again: exact", flush=True)  # noqa: T201
    finally:
        for stage in world.stages():
            stage.kill()
