"""The consumer's loop: fetch, cut blocks, write them down, store them, commit."""

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import groupby

import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from anmodel.consumer.assigned import Assigned
from anmodel.consumer.blocks import Partition, offset_of
from anmodel.consumer.fetching import Fetching
from anmodel.consumer.metrics import ConsumerMetrics
from anmodel.consumer.positions import Positions
from anmodel.consumer.work import Work
from anmodel.settings import ConsumerSettings

INSERT_THREADS = "insert"
_FINISH_SECONDS = 5.0
_LAG_SECONDS = 1.0

log = structlog.get_logger()


class ConsumerLoop:
    """Moves messages of one topic into its table, as part of a consumer group.

    A block's end is in Kafka before the block is tried, and an offset is committed once all before it is stored and its
    dead letters are written, never before. Fetching stops while as much waits as an insert takes, so memory stays
    bounded however slow ClickHouse is.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        topic: str,
        consumer: Consumer,
        work: Work,
        metrics: ConsumerMetrics,
        stop: threading.Event,
    ) -> None:
        self.topic = topic
        self.metrics = metrics
        self.last_turn = time.monotonic()
        self._settings = settings
        self._consumer = consumer
        self._work = work
        self._stop = stop
        self._positions = Positions(consumer)
        self._fetching = Fetching(consumer, settings.batch_size)
        self._assigned: dict[int, Assigned] = {}
        self._pool = ThreadPoolExecutor(settings.max_inflight_inserts, INSERT_THREADS)
        self._fault = ""
        self._lag_at = 0.0

    def run(self) -> None:
        """Loop until `stop` is set, then finish what is under way and leave the group."""
        self._consumer.subscribe([self.topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose)
        try:
            while not self._stop.is_set():
                self._turn()
        finally:
            self._finish(self._assigned.values())
            self._give_up(list(self._assigned))
            self._consumer.close()
            self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def partitions(self) -> int:
        """How many partitions are assigned."""
        return len(self._assigned)

    def group_fault(self) -> str:
        """What Kafka last complained of, empty if nothing has come since partitions were assigned.

        A member without partitions is no fault: it stands by until another leaves, as in a rolling update.
        """
        return "" if self._assigned else self._fault

    def _turn(self) -> None:
        self.last_turn = time.monotonic()
        many = list(self._assigned.values())
        self._positions.read(many)
        waiting = sum(assigned.waiting for assigned in many)
        busy = self._busy() if self._unfinished() >= self._most() else []
        self._take(self._fetching.fetch(waiting, sum(assigned.waiting_bytes for assigned in many), busy))
        self._cut()
        self._positions.write(self._assigned.values())
        self._begin()
        self._note_lag()

    def _take(self, messages: Sequence[Message]) -> None:
        """Keep what was fetched; partitions come in runs."""
        sought: set[int] = set()
        for number, run in groupby(messages, Message.partition):
            if number in sought:
                continue  # what was fetched before comes again, after what is missing
            good = [message for message in run if message.error() is None or self._note_fault(message)]
            assigned = None if number is None else self._assigned.get(number)
            if not good or assigned is None:
                continue
            self.metrics.fetched.inc(len(good))
            if not assigned.add(good) and self._begin_anew(assigned, good):
                sought.add(assigned.partition.number)

    def _note_fault(self, message: Message) -> bool:
        """Keep in mind what Kafka reports in a message's place; False: there is no message."""
        error = message.error()
        assert error is not None
        if error.code() != KafkaError._PARTITION_EOF:
            log.warning("Kafka reported a fault", topic=self.topic, error=error.str())
            self._fault = error.str()
        return False

    def _begin_anew(self, assigned: Assigned, messages: Sequence[Message]) -> bool:
        """Offsets went back: the topic was made anew, as a rule. What was written down says nothing of this one.

        All that is not stored must come once more: it does, if the messages begin no later than what is not stored.
        Otherwise the partition is read from there, and True is returned.
        """
        number, first = assigned.partition.number, offset_of(messages[0])
        log.warning("offsets went back", topic=self.topic, partition=number, offset=first)
        assigned.gone.set()
        fresh = self._assigned[number] = Assigned(assigned.partition)
        fresh.begin(None)
        if first <= (start := assigned.start(first)):
            fresh.add(messages)
            return False
        self._consumer.seek(TopicPartition(self.topic, number, start))
        return True

    def _most(self) -> int:
        """Blocks cut at once: those that are inserted, and one that follows without delay."""
        return self._settings.max_inflight_inserts + 1

    def _unfinished(self) -> int:
        return sum(assigned.unfinished for assigned in self._assigned.values())

    def _busy(self) -> list[Future[bool]]:
        return [result for assigned in self._assigned.values() for result in assigned.results() if not result.done()]

    def _cut(self) -> None:
        """Cut the blocks that are due, of the partition with most messages first; all are if too many wait together."""
        size = self._settings.batch_size
        many = sorted(self._assigned.values(), key=lambda assigned: -assigned.waiting)
        crowded = sum(assigned.waiting for assigned in many) >= 2 * size
        for assigned in many:
            while self._unfinished() < self._most():
                if not assigned.cut(size, 0 if crowded else self._settings.batch_timeout):
                    break

    def _begin(self) -> None:
        for assigned in self._assigned.values():
            while (cut := assigned.next_to_begin()) is not None:
                assert assigned.past is not None
                cut.result = self._pool.submit(self._work.do, cut, assigned.past, assigned.gone)

    def _note_lag(self) -> None:
        if self.last_turn - self._lag_at < _LAG_SECONDS:
            return
        self._lag_at = self.last_turn
        for number, assigned in self._assigned.items():
            _, end = self._consumer.get_watermark_offsets(TopicPartition(self.topic, number), cached=True)
            if end >= 0:
                self.metrics.lag.labels(str(number)).set(max(0, end - assigned.start(end)))

    def _finish(self, many: Iterable[Assigned]) -> None:
        """Wait for the blocks under way and commit them. What waits for its block comes again, to whoever is next."""
        many = list(many)
        wait([result for assigned in many for result in assigned.results()], timeout=_FINISH_SECONDS)
        self._positions.write(many)

    def _give_up(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if assigned := self._assigned.pop(number, None):
                assigned.gone.set()
                self.metrics.forget(number)
        self.metrics.partitions.set(len(self._assigned))

    def _assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._assigned[place.partition] = Assigned(Partition(self.topic, place.partition))
        self._fetching.renew()
        self._fault = ""
        self.metrics.partitions.set(len(self._assigned))
        self._tell("partitions assigned", places)

    def _revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._finish(assigned for place in places if (assigned := self._assigned.get(place.partition)))
        self._lose(consumer, places)

    def _lose(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._give_up(place.partition for place in places)
        self._tell("partitions revoked", places)

    def _tell(self, what: str, places: list[TopicPartition]) -> None:
        log.info(what, topic=self.topic, partitions=sorted(place.partition for place in places))
