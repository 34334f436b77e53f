"""`anmodel consumer`."""

import signal
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from anmodel.rotation import end_when_rotated
from anmodel.settings import ConsumerSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from anmodel.consumer.watching import Watched
    from anmodel.warehouse import Warehouse


def command() -> None:
    """Move events and logged predictions from Kafka to ClickHouse. SIGTERM stores what was fetched and ends."""
    from prometheus_client import CollectorRegistry

    from anmodel.consumer.watching import Watch
    from anmodel.warehouse import Warehouse

    settings = ConsumerSettings.load()
    configure_logging(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    end_when_rotated(settings)
    registry = CollectorRegistry()
    watch = Watch(registry)
    watch.start(settings.consumer_host, settings.consumer_port)
    warehouse = Warehouse.connect_persistently(
        settings, stop.wait, timeout=settings.insert_timeout, tell=watch.wait_for_clickhouse
    )
    if warehouse is None:
        return
    watched = loops(settings, warehouse, registry, stop)
    watch.follow(watched, warehouse.fault)
    run(watched, stop)


def loops(
    settings: ConsumerSettings, warehouse: "Warehouse", registry: "CollectorRegistry", stop: threading.Event
) -> "list[Watched]":
    """A loop for each stream. They share nothing that one could hold up the other by: each has a Kafka client, inserts
    and retries of its own, so that events flow whatever becomes of predictions."""
    from confluent_kafka import Consumer

    from anmodel.brokers import consumer_options
    from anmodel.consumer.dead import DeadLetters
    from anmodel.consumer.loop import ConsumerLoop
    from anmodel.consumer.metrics import EVENTS, PREDICTIONS, ConsumerMetrics
    from anmodel.consumer.present import Present
    from anmodel.consumer.storing import Storage
    from anmodel.consumer.streams import Stream, events_stream, predictions_stream
    from anmodel.consumer.watching import Watched
    from anmodel.consumer.work import Work
    from anmodel.topic import TopicCheck

    def watched(part: str, stream: Stream, prefix: str, needed: bool) -> Watched:
        metrics = ConsumerMetrics(prefix, registry)
        storage = Storage(warehouse, Present(warehouse, stream), stream, metrics)
        work = Work(stream, storage, DeadLetters(settings, stream.dead_topic), metrics)
        consumer = Consumer(consumer_options(settings, settings.consumer_group))
        loop = ConsumerLoop(settings, stream.topic, consumer, work, metrics, stop)
        return Watched(part, loop, TopicCheck(settings, stream.topic).fault, needed)

    made = [watched("kafka", events_stream(settings), EVENTS, needed=True)]
    if settings.predictions_topic:
        made.append(watched("predictions", predictions_stream(settings), PREDICTIONS, needed=False))
    return made


def run(watched: "list[Watched]", stop: threading.Event) -> None:
    """Run the loops until `stop` is set, or until one fails: then the others are ended, and its error is raised."""
    with ThreadPoolExecutor(len(watched), "loop") as pool:
        running = [pool.submit(one.loop.run) for one in watched]
        wait(running, return_when=FIRST_COMPLETED)
        stop.set()
    for future in running:
        future.result()
