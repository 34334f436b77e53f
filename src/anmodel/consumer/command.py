"""`anmodel consumer`."""

import signal
import threading

from anmodel.rotation import end_when_rotated
from anmodel.settings import ConsumerSettings
from anmodel.telemetry import configure_logging


def command() -> None:
    """Move events from Kafka to ClickHouse. SIGTERM stores what was fetched, commits it and ends."""
    from confluent_kafka import Consumer

    from anmodel.brokers import consumer_options
    from anmodel.consumer.dead import DeadLetters
    from anmodel.consumer.loop import ConsumerLoop
    from anmodel.consumer.metrics import ConsumerMetrics
    from anmodel.consumer.storing import Storage
    from anmodel.consumer.watching import Watch
    from anmodel.topic import TopicCheck
    from anmodel.warehouse import Warehouse

    settings = ConsumerSettings.load()
    configure_logging(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    end_when_rotated(settings)
    metrics = ConsumerMetrics()
    watch = Watch(metrics.registry)
    watch.start(settings.consumer_host, settings.consumer_port)
    warehouse = Warehouse.connect_persistently(
        settings, stop.wait, timeout=settings.insert_timeout, tell=watch.wait_for_clickhouse
    )
    if warehouse is None:
        return
    loop = ConsumerLoop(
        settings,
        Consumer(consumer_options(settings, settings.consumer_group)),
        Storage(warehouse, stop.wait),
        DeadLetters(settings),
        metrics,
        stop,
    )
    watch.follow(loop, TopicCheck(settings, settings.kafka_topic).fault, warehouse.fault)
    loop.run()
