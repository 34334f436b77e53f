"""The collector, batches of 500 events, on one core: events a second, `acks=all`, idempotent.

The server on core 0, loader and broker on core 1; 16 connections, so that some batches are always on their way.
"""

import argparse
from pathlib import Path
from statistics import median

from confluent_kafka import Consumer, TopicPartition

from bench import loaders, running, servers
from bench.cores import used_while
from bench.result import Row, report
from bench.traffic import lines

BATCH = 500
CONNECTIONS = 16


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    options = _options(arguments)
    with running.workspace() as folder, running.kafka(folder) as bootstrap:
        variables = running.topic(bootstrap, "raw-events")
        bodies = _bodies(folder)
        with servers.collector(folder, variables) as server:
            loaders.wrk(server.url, bodies, 2, connections=CONNECTIONS)
            loads: list[loaders.Load] = []
            before = _messages(bootstrap)
            used = used_while(server.pid, lambda: loads.extend(_rounds(server.url, bodies, options)))
            there = _messages(bootstrap) - before
    assert not any(load.failed for load in loads), "the collector refused batches under load"
    answered = BATCH * sum(load.requests for load in loads)
    assert there >= answered, f"{answered} events were answered, {there} are in Kafka"
    rate = BATCH * median(load.rate for load in loads)
    row = Row("collector_batch", rate, "events/s", must=80_000, aim=200_000)
    return report([row], cpu_us_per_event=round(1e6 * used / answered, 2), p99_seconds=loads[0].p99)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench collector_batch", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each round")
    return parser.parse_args(arguments)


def _rounds(url: str, bodies: Path, options: argparse.Namespace) -> list[loaders.Load]:
    return [loaders.wrk(url, bodies, options.seconds, connections=CONNECTIONS) for _ in range(options.rounds)]


def _bodies(folder: Path) -> Path:
    """Twenty batches, each a JSON array on one line."""
    made = lines(20 * BATCH)
    path = folder / "bodies.txt"
    path.write_text("".join(f"[{','.join(made[at : at + BATCH])}]\n" for at in range(0, len(made), BATCH)))
    return path


def _messages(bootstrap: str, topic: str = "raw-events") -> int:
    """How many messages the topic has."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench"})
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, number), 10)[1] for number in partitions]
        return sum(ends)
    finally:
        consumer.close()
