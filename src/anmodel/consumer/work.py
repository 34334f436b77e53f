"""What is done with one block, in a thread of its own."""

import threading
from collections.abc import Sequence

import structlog

from anmodel.consumer.assigned import Cut
from anmodel.consumer.blocks import Partition, Refused, make_block
from anmodel.consumer.dead import DeadLetters
from anmodel.consumer.metrics import ConsumerMetrics
from anmodel.consumer.past import Past
from anmodel.consumer.storing import MAX_PAUSE_SECONDS, Stopped, Storage
from anmodel.consumer.streams import Stream
from anmodel.errors import TopicError

log = structlog.get_logger()


class Work:
    """Reads, stores and counts blocks of one stream. Safe to share between threads."""

    def __init__(self, stream: Stream, storage: Storage, dead: DeadLetters, metrics: ConsumerMetrics) -> None:
        self._stream = stream
        self._storage = storage
        self._dead = dead
        self._metrics = metrics

    def do(self, cut: Cut, past: Past, gone: threading.Event) -> bool:
        """True once every message of the block is in the table or among the dead letters; False if `gone` was set."""
        try:
            block = make_block(self._stream, past.partition, cut.first, cut.last, cut.messages)
            with self._metrics.insert_seconds.time():
                refused = [*block.refused, *self._storage.store(block, past, gone)]
            self._write_dead(past.partition, refused, gone)
        except Stopped:
            return False
        self._metrics.note(block, refused)
        return True

    def _write_dead(self, partition: Partition, refused: Sequence[Refused], gone: threading.Event) -> None:
        attempt = 0
        while True:
            try:
                return self._dead.write(partition, refused)
            except TopicError as error:
                log.warning("dead letters not acknowledged", partition=partition.number, error=str(error))
                self._metrics.trouble = str(error)
                if gone.wait(min(MAX_PAUSE_SECONDS, 0.2 * 2 ** min(attempt, 6))):
                    raise Stopped from error
                attempt += 1
