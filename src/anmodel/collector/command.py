"""`anmodel collector`."""

from typing import Annotated

import typer

from anmodel.garbage import calm_the_garbage_collector
from anmodel.rotation import end_when_rotated
from anmodel.settings import CollectorSettings
from anmodel.telemetry import configure_logging


def command(
    new_key: Annotated[
        str, typer.Option(metavar="NAME", help="Make a write key, print it and its line for WRITE_KEYS, and end.")
    ] = "",
    origins: Annotated[
        str, typer.Option(help="With --new-key: pages that may use it, as https://shop.example, separated by commas.")
    ] = "",
    rate: Annotated[str, typer.Option(help="With --new-key: most requests with it, as 600/minute.")] = "",
) -> None:
    """Take events over HTTP and put them on Kafka. SIGTERM finishes what was taken, then ends."""
    if new_key:
        make_key(new_key, origins, rate)
    else:
        serve()


def make_key(name: str, origins: str, rate: str) -> None:
    """Print a new key, which nothing keeps, to standard error, and its line to standard output, for `>> FILE`."""
    from anmodel.collector.keys import line_of, new_key

    key = new_key()
    line = line_of(name, key, origins, rate)
    typer.echo(f"The key, shown this once:\n  {key}\nIts line for the file of WRITE_KEYS:", err=True)
    typer.echo(line)


def serve() -> None:
    """Run until SIGTERM."""
    import uvicorn

    from anmodel.collector.app import build_app
    from anmodel.event_topic import EventTopic

    settings = CollectorSettings.load()
    configure_logging(settings)
    end_when_rotated(settings)
    topic = EventTopic(
        settings,
        settings.kafka_topic,
        delivery_timeout=settings.delivery_timeout,
        max_waiting=settings.max_waiting_events,
        max_bytes=settings.max_waiting_bytes,
    )
    topic.open()
    app = build_app(topic, settings)
    calm_the_garbage_collector()
    uvicorn.run(
        app,
        host=settings.collector_host,
        port=settings.collector_port,
        log_config=None,
        access_log=False,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=10,
    )
