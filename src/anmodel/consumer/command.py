"""`anmodel consumer`."""

import os
import signal
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Annotated

import typer

from anmodel.errors import InputError
from anmodel.garbage import calm_the_garbage_collector
from anmodel.rotation import end_when_rotated
from anmodel.settings import ConsumerSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from anmodel.consumer.streams import Stream
    from anmodel.consumer.watching import Watched
    from anmodel.warehouse import Warehouse


def command(
    replay: Annotated[bool, typer.Option("--replay", help="Put dead letters back on their topics, and end.")] = False,
    reason: Annotated[str, typer.Option(help="With --replay: those whose field or reason has this in it.")] = "",
    stage: Annotated[str, typer.Option(help="With --replay: those that this stage refused.")] = "",
    since: Annotated[str, typer.Option(help="With --replay: those refused at this time or later (ISO 8601).")] = "",
    until: Annotated[str, typer.Option(help="With --replay: those refused before this time.")] = "",
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="With --replay: this event id, or origin topic:partition:offset; may be repeated."),
    ] = None,
    reset_to: Annotated[
        str, typer.Option(help="Read again from the first message that Kafka took at this time, and end (ISO 8601).")
    ] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, --replay and --reset-to only tell.")] = False,
) -> None:
    """Move events and logged predictions from Kafka to ClickHouse. SIGTERM stores what was fetched and ends."""
    settings = ConsumerSettings.load()
    configure_logging(settings)
    chosen = {"--reason": reason, "--stage": stage, "--since": since, "--until": until, "--id": ids}
    if not replay and (given := [name for name, value in chosen.items() if value]):
        raise InputError(f"{given[0]} goes with --replay only.")
    if replay and reset_to:
        raise InputError("--replay and --reset-to are two things: give one of them.")
    if apply and not (replay or reset_to):
        raise InputError("--apply goes with --replay or --reset-to only.")
    if replay:
        _replay(settings, reason, stage, since, until, ids or [], apply)
    elif reset_to:
        _reset(settings, reset_to, apply)
    else:
        _consume(settings)


def _replay(
    settings: ConsumerSettings, reason: str, stage: str, since: str, until: str, ids: list[str], apply: bool
) -> None:
    from anmodel.consumer.letters import Choice, instant
    from anmodel.consumer.replaying import choose, send_back, summary

    choice = Choice(
        reason,
        stage,
        instant(since, "--since") if since else None,
        instant(until, "--until") if until else None,
        frozenset(ids),
    )
    selection = choose(settings, choice, [stream for _, stream, _ in _streams(settings)])
    if apply:
        send_back(settings, selection.letters)
    for line in summary(selection, sent=apply):
        typer.echo(line)


def _reset(settings: ConsumerSettings, reset_to: str, apply: bool) -> None:
    from anmodel.consumer.letters import instant
    from anmodel.consumer.resetting import Desk, summary

    when = instant(reset_to, "--reset-to")
    desk = Desk(settings)
    try:
        moves = [move for _, stream, _ in _streams(settings) for move in desk.moves(stream.topic, when)]
        if apply:
            desk.apply(moves)
    finally:
        desk.close()
    for line in summary(moves, applied=apply):
        typer.echo(line)


def _consume(settings: ConsumerSettings) -> None:
    from prometheus_client import CollectorRegistry

    from anmodel.consumer.loop import INSERT_THREADS
    from anmodel.consumer.watching import Watch
    from anmodel.warehouse import Warehouse

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
    calm_the_garbage_collector()
    run(watched, stop)
    if any(thread.name.startswith(INSERT_THREADS) for thread in threading.enumerate()):
        # inserts that ClickHouse does not answer: their blocks come again, and nobody waits for them here
        sys.stdout.flush()
        os._exit(0)


def _streams(settings: ConsumerSettings) -> "list[tuple[str, Stream, str]]":
    """The streams, each with its name in /ready and how the names of its metrics begin; that of events first."""
    from anmodel.consumer.metrics import EVENTS, PREDICTIONS
    from anmodel.consumer.streams import events_stream, predictions_stream

    streams = [("kafka", events_stream(settings), EVENTS)]
    if settings.predictions_topic:
        streams.append(("predictions", predictions_stream(settings), PREDICTIONS))
    return streams


def loops(
    settings: ConsumerSettings, warehouse: "Warehouse", registry: "CollectorRegistry", stop: threading.Event
) -> "list[Watched]":
    """A loop for each stream. They share nothing that one could hold up the other by: each has a Kafka client, inserts
    and retries of its own, so that events flow whatever becomes of predictions."""
    from confluent_kafka import Consumer

    from anmodel.brokers import client, consumer_options
    from anmodel.consumer.dead import DeadLetters
    from anmodel.consumer.loop import ConsumerLoop
    from anmodel.consumer.metrics import EVENTS, ConsumerMetrics
    from anmodel.consumer.present import Present
    from anmodel.consumer.storing import Storage
    from anmodel.consumer.watching import Watched
    from anmodel.consumer.work import Work
    from anmodel.topic import TopicCheck

    def watched(part: str, stream: "Stream", prefix: str, needed: bool) -> Watched:
        metrics = ConsumerMetrics(prefix, registry)
        storage = Storage(warehouse, Present(warehouse, stream), stream, metrics)
        work = Work(stream, storage, DeadLetters(settings, stream.dead_topic), metrics)
        consumer = client(Consumer, consumer_options(settings, settings.consumer_group))
        loop = ConsumerLoop(settings, stream.topic, consumer, work, metrics, stop)
        return Watched(part, loop, TopicCheck(settings, stream.topic).fault, needed)

    return [watched(part, stream, prefix, needed=prefix == EVENTS) for part, stream, prefix in _streams(settings)]


def run(watched: "list[Watched]", stop: threading.Event) -> None:
    """Run the loops until `stop` is set, or until one fails: then the others are ended, and its error is raised."""
    with ThreadPoolExecutor(len(watched), "loop") as pool:
        running = [pool.submit(one.loop.run) for one in watched]
        wait(running, return_when=FIRST_COMPLETED)
        stop.set()
    for future in running:
        future.result()
