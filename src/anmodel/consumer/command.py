"""`anmodel consumer`."""

import signal
import threading

from anmodel.settings import ConsumerSettings
from anmodel.telemetry import configure_logging


def command() -> None:
    """Move events from Kafka to ClickHouse. SIGTERM stores what was fetched, commits it and ends."""
    from confluent_kafka import Consumer

    from anmodel.consumer.dead import DeadLetters
    from anmodel.consumer.loop import ConsumerLoop
    from anmodel.consumer.metrics import ConsumerMetrics
    from anmodel.consumer.storing import Storage
    from anmodel.consumer.watching import start_watching
    from anmodel.topic import consumer_options
    from anmodel.warehouse import Warehouse

    settings = ConsumerSettings.load()
    configure_logging(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    warehouse = Warehouse.connect_persistently(settings, stop.wait, timeout=settings.insert_timeout)
    if warehouse is None:
        return
    metrics = ConsumerMetrics()
    loop = ConsumerLoop(
        settings,
        Consumer(consumer_options(settings, settings.consumer_group)),
        Storage(warehouse, stop.wait),
        DeadLetters(settings),
        metrics,
        stop,
    )
    start_watching(settings.consumer_host, settings.consumer_port, loop, metrics, warehouse.ping)
    loop.run()
