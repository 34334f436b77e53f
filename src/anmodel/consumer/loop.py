"""The consumer's loop: fetch, cut blocks, store them, commit."""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from anmodel.consumer.assigned import Assigned
from anmodel.consumer.blocks import Block, Message, Partition, make_block, offset_of
from anmodel.consumer.dead import DeadLetters
from anmodel.consumer.metrics import ConsumerMetrics
from anmodel.consumer.storing import Stopped, Storage
from anmodel.consumer.streams import Stream
from anmodel.errors import TopicError
from anmodel.settings import ConsumerSettings

_POLL_SECONDS = 0.05
_FINISH_SECONDS = 5.0

log = structlog.get_logger()


class ConsumerLoop:
    """Moves messages of one stream from its topic into its table, as part of a consumer group.

    An offset is committed after its block is stored and its dead letters are written, never before. Fetching pauses
    while as many blocks are under way as may be, so memory stays bounded however slow ClickHouse is.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        stream: Stream,
        consumer: Consumer,
        storage: Storage,
        dead: DeadLetters,
        metrics: ConsumerMetrics,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._stream = stream
        self._consumer = consumer
        self._storage = storage
        self._dead = dead
        self._metrics = metrics
        self._stop = stop
        self._assigned: dict[Partition, Assigned] = {}
        self._started: set[Partition] = set()
        self._pool = ThreadPoolExecutor(settings.max_inflight_inserts, "insert")
        self._slots = settings.max_inflight_inserts
        self._paused: bool | None = False  # None: new partitions are fetched, old ones perhaps not
        self._fault = ""
        self.last_turn = time.monotonic()

    def run(self) -> None:
        """Loop until `stop` is set, then finish what is under way and leave the group."""
        self._consumer.subscribe(
            [self._stream.topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
        )
        try:
            while not self._stop.is_set():
                self._turn()
        finally:
            self._finish(self._assigned.values())
            self._consumer.close()
            self._pool.shutdown(wait=False, cancel_futures=True)

    def group_fault(self) -> str:
        """What Kafka last complained of, empty if nothing has come since partitions were assigned.

        A member without partitions is no fault: it stands by until another leaves, as in a rolling update.
        """
        return "" if self._assigned else self._fault

    def _turn(self) -> None:
        self.last_turn = time.monotonic()
        self._pause_or_resume()
        for message in self._consumer.consume(self._settings.batch_size, _POLL_SECONDS):
            self._take(message)
        for assigned in self._assigned.values():
            self._start_blocks(assigned)
        self._commit(self._assigned.values())

    def _take(self, message: KafkaMessage) -> None:
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                log.warning("Kafka reported a fault", topic=self._stream.topic, error=error.str())
                self._fault = error.str()
            return
        partition = Partition(str(message.topic()), int(message.partition() or 0))
        if assigned := self._assigned.get(partition):
            assigned.add(message)

    def _busy(self) -> int:
        return sum(not future.done() for assigned in self._assigned.values() for future in assigned.futures())

    def _pause_or_resume(self) -> None:
        """Stop fetching while a block's worth of messages waits that no insert can take, and go on after."""
        waiting = sum(assigned.waiting for assigned in self._assigned.values())
        full = self._busy() >= self._slots and waiting >= self._settings.batch_size
        if full == self._paused:
            return
        self._paused = full
        places = self._consumer.assignment()
        (self._consumer.pause if full else self._consumer.resume)(places)

    def _start_blocks(self, assigned: Assigned) -> None:
        size, timeout = self._settings.batch_size, self._settings.batch_timeout
        while assigned.is_due(size, timeout) and self._busy() < self._slots:
            messages = assigned.cut(size)
            if assigned.partition not in self._started:
                self._storage.begin(assigned.partition, offset_of(messages[0]))
                self._started.add(assigned.partition)
            future = self._pool.submit(self._store, assigned.partition, messages)
            assigned.track(offset_of(messages[-1]), future)

    def _store(self, partition: Partition, messages: list[Message]) -> None:
        """One block, in a thread of its own."""
        block = make_block(self._stream, partition, messages)
        with self._metrics.insert_seconds.time():
            self._storage.store(block)
        self._write_dead(block)
        self._metrics.note(block)

    def _write_dead(self, block: Block) -> None:
        attempt = 0
        while True:
            try:
                return self._dead.write(block)
            except TopicError as error:
                log.warning("dead letters not acknowledged", block=block.name, error=str(error))
                if self._stop.wait(min(10.0, 0.2 * 2**attempt)):
                    raise Stopped from error
                attempt = min(attempt + 1, 6)

    def _commit(self, many: Iterable[Assigned]) -> None:
        offsets = []
        for assigned in many:
            offset = _finished(assigned)
            if offset is not None:
                offsets.append(TopicPartition(assigned.partition.topic, assigned.partition.number, offset))
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # what is stored but not committed comes again, and is found in the table then
            log.warning("commit failed", error=error.args[0].str())

    def _finish(self, many: Iterable[Assigned]) -> None:
        """Wait for the blocks under way and commit them. What waits for its block comes again, to whoever is next."""
        many = list(many)
        wait(_futures(many), timeout=_FINISH_SECONDS)
        self._commit(many)

    def _assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            partition = Partition(place.topic, place.partition)
            self._assigned[partition] = Assigned(partition)
            self._started.discard(partition)
        self._paused = None
        self._fault = ""
        self._metrics.partitions.set(len(self._assigned))
        self._tell("partitions assigned", places)

    def _revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        leaving = [a for place in places if (a := self._assigned.get(Partition(place.topic, place.partition)))]
        self._finish(leaving)
        self._lose(consumer, places)

    def _lose(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._assigned.pop(Partition(place.topic, place.partition), None)
        self._metrics.partitions.set(len(self._assigned))
        self._tell("partitions revoked", places)

    def _tell(self, what: str, places: list[TopicPartition]) -> None:
        log.info(what, topic=self._stream.topic, partitions=sorted(place.partition for place in places))


def _futures(many: Iterable[Assigned]) -> list[Future[None]]:
    return [future for assigned in many for future in assigned.futures()]


def _finished(assigned: Assigned) -> int | None:
    try:
        return assigned.finished()
    except Stopped:
        return None
