"""`anmodel collector`."""

from anmodel.rotation import end_when_rotated
from anmodel.settings import CollectorSettings
from anmodel.telemetry import configure_logging


def command() -> None:
    """Take events over HTTP and put them on Kafka. SIGTERM finishes what was taken, then ends."""
    import uvicorn

    from anmodel.collector.app import build_app
    from anmodel.topic import EventTopic

    settings = CollectorSettings.load()
    configure_logging(settings)
    end_when_rotated(settings)
    topic = EventTopic(
        settings,
        settings.kafka_topic,
        delivery_timeout=settings.delivery_timeout,
        max_waiting=settings.max_waiting_events,
    )
    uvicorn.run(
        build_app(topic, settings),
        host=settings.collector_host,
        port=settings.collector_port,
        log_config=None,
        access_log=False,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=10,
    )
