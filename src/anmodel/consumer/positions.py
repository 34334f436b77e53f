"""Where the consumer stands in its topic, as Kafka keeps it: committed offsets, with the plans beside them."""

from collections.abc import Iterable

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from anmodel.consumer.assigned import Assigned
from anmodel.consumer.plan import Plan, read_plan

_SECONDS = 10.0

log = structlog.get_logger()


class Positions:
    """Reads and writes the positions of a group's member. What fails is tried again at the next call."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def read(self, many: Iterable[Assigned]) -> None:
        """Find what was written down of partitions that were just assigned."""
        unknown = {assigned.partition: assigned for assigned in many if not assigned.found}
        if not unknown:
            return
        places = [TopicPartition(partition.topic, partition.number) for partition in unknown]
        try:
            found = self._consumer.committed(places, _SECONDS)
        except KafkaException as error:
            log.warning("committed offsets not known yet", error=error.args[0].str())
            return
        for assigned, place in zip(unknown.values(), found, strict=True):
            if place.error is not None:
                log.warning("committed offset not known yet", partition=place.partition, error=place.error.str())
                continue
            assigned.begin(read_plan(place.offset, place.metadata))

    def write(self, many: Iterable[Assigned]) -> None:
        """Commit what was stored, and write down the blocks that were cut; returns once Kafka has it."""
        changed = [(assigned, plan) for assigned in many if (plan := assigned.to_write())]
        if not changed:
            return
        try:
            answers = self._consumer.commit(offsets=[_place(*each) for each in changed], asynchronous=False)
        except KafkaException as error:
            # no block begins without it; what is stored but not committed comes again, and is found in the table
            log.warning("commit failed", error=error.args[0].str())
            return
        refused = {answer.partition for answer in answers or () if answer.error is not None}
        for assigned, plan in changed:
            if assigned.partition.number in refused:
                log.warning("commit refused", partition=assigned.partition.number)
            else:
                assigned.written(plan)


def _place(assigned: Assigned, plan: Plan) -> TopicPartition:
    return TopicPartition(assigned.partition.topic, assigned.partition.number, plan.start, plan.metadata())
