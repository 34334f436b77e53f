"""`anmodel consumer --reset-to TIME`: the group goes on from the first message that Kafka took at that time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import Consumer, KafkaException, TopicPartition

from anmodel.brokers import client, client_options
from anmodel.errors import TopicError
from anmodel.settings import ConsumerSettings

_SECONDS = 30.0


@dataclass(frozen=True)
class Move:
    """One partition: from which offset (None: none was committed) to which; `behind` messages are then to be read."""

    topic: str
    partition: int
    before: int | None
    after: int
    behind: int


class Desk:
    """Looks at a group's positions, and moves them while it has no member. Close it after."""

    def __init__(self, settings: ConsumerSettings) -> None:
        options = {"group.id": settings.consumer_group, "enable.auto.commit": False}
        self._group = settings.consumer_group
        self._client = client(Consumer, {**client_options(settings), **options})

    def moves(self, topic: str, when: datetime) -> list[Move]:
        """What going back, or on, to a time would be; changes nothing. Raises `TopicError`."""
        try:
            numbers = sorted(self._client.list_topics(topic, timeout=_SECONDS).topics[topic].partitions)
            places = [TopicPartition(topic, number) for number in numbers]
            committed = self._client.committed(places, timeout=_SECONDS)
            asked = [TopicPartition(topic, number, int(when.timestamp() * 1000)) for number in numbers]
            found = self._client.offsets_for_times(asked, timeout=_SECONDS)
            return [self._move(was, will) for was, will in zip(committed, found, strict=True)]
        except KafkaException as error:
            raise TopicError(f"{topic}: Kafka does not answer: {error.args[0].str()}") from error

    def _move(self, was: TopicPartition, will: TopicPartition) -> Move:
        _, end = self._client.get_watermark_offsets(TopicPartition(was.topic, was.partition), timeout=_SECONDS)
        after = will.offset if will.offset >= 0 else end  # nothing came since
        return Move(was.topic, was.partition, was.offset if was.offset >= 0 else None, after, end - after)

    def apply(self, moves: list[Move]) -> None:
        """Commit the moves. Nothing is written beside the offsets: the consumer finds what is stored in the table.

        Raises `TopicError` while a consumer of the group runs: Kafka refuses it.
        """
        places = [TopicPartition(move.topic, move.partition, move.after) for move in moves]
        try:
            answers = self._client.commit(offsets=places, asynchronous=False) or []
        except KafkaException as error:
            raise TopicError(self._refused(error.args[0].str())) from error
        if faults := [answer.error.str() for answer in answers if answer.error is not None]:
            raise TopicError(self._refused(faults[0]))

    def _refused(self, reason: str) -> str:
        return (
            f"Kafka does not let {self._group} be moved: {reason}. A consumer of the group still runs, as a rule, or "
            "ended a moment ago: stop all of them, wait some seconds, and try again."
        )

    def close(self) -> None:
        """Let go of Kafka."""
        self._client.close()


def summary(moves: list[Move], applied: bool) -> Iterator[str]:
    """What was found, for an operator."""
    for move in moves:
        before = "the beginning" if move.before is None else move.before
        verb = "goes" if applied else "would go"
        place = f"{move.topic} {move.partition}"
        yield f"{place}: {verb} on at {move.after} (was at {before}); {move.behind} messages to read"
    if not applied:
        yield "Nothing was changed. Add --apply to do it; no consumer of the group may run then."
