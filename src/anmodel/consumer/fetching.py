"""Takes messages from Kafka, and stops taking them when enough wait."""

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from confluent_kafka import Consumer, Message

from anmodel.consumer.assigned import BLOCK_BYTES
from anmodel.consumer.blocks import size_of

POLL_SECONDS = 0.02
_MOST = 10_000  # messages at once: between two fetches blocks are cut and committed
_PATIENCE = 1.0  # seconds of being full before fetching is paused: a pause throws away what was fetched ahead


class Fetching:
    """One consumer's fetching. librdkafka keeps 16 MB of its own (`brokers.consumer_options`)."""

    def __init__(self, consumer: Consumer, batch_size: int) -> None:
        self._consumer = consumer
        self._enough = batch_size
        self._mean = 1024.0  # bytes of a message, of late
        self._full_since: float | None = None
        self._paused: bool | None = False  # None: new partitions are fetched, old ones perhaps not

    def renew(self) -> None:
        """Partitions have come: they are not paused, whatever the others are."""
        self._paused = None

    def fetch(self, waiting: int, waiting_bytes: int, busy: Sequence[Future[bool]]) -> list[Message]:
        """Wait a moment for messages. None come while a block's worth of them waits and `busy` inserts take no more."""
        full = bool(busy) and (waiting >= self._enough or waiting_bytes >= BLOCK_BYTES)
        self._full_since = (self._full_since or time.monotonic()) if full else None
        self._pause(self._full_since is not None and time.monotonic() - self._full_since >= _PATIENCE)
        if full:
            wait(busy, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            return self._consumer.consume(1, 0) if self._paused else []  # callbacks are served, rebalances go on
        messages = self._consumer.consume(self._room(), POLL_SECONDS)
        if messages:
            self._mean = max(1.0, sum(map(size_of, messages)) / len(messages))
        return messages

    def _room(self) -> int:
        """How many messages a fetch may bring: a quarter of a block by size."""
        return max(1, min(_MOST, self._enough, int(BLOCK_BYTES / 4 / self._mean)))

    def _pause(self, paused: bool) -> None:
        if paused == self._paused:
            return
        self._paused = paused
        places = self._consumer.assignment()
        (self._consumer.pause if paused else self._consumer.resume)(places)
