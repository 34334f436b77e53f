"""A real Kafka of the tests' own."""

import itertools
import os
from pathlib import Path

from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import KafkaNode, free_port
from anmodel.laptop.logfile import tail
from eventually import eventually
from guarded import GuardedProcess

KAFKA_SECONDS = 180


class KafkaProcess(GuardedProcess):
    """The laptop's node, or another kind of it; killed, it can be started again with all it had."""

    def __init__(self, node: KafkaNode, guardian: Guardian) -> None:
        super().__init__(guardian)
        self.bootstrap = node.bootstrap
        self._node = node
        self._log = node.folder / "kafka.log"

    def start(self, **variables: str) -> None:
        """Start it, with these variables too, and wait until it answers."""
        self._node.prepare()
        self.spawn(self._node.command(), self._log, {**os.environ, **variables})
        try:
            eventually(self._node.ready, KAFKA_SECONDS)
        except AssertionError as error:
            raise AssertionError("Kafka does not start:\n" + "\n".join(tail(self._log, 20))) from error


class Kafka(KafkaProcess):
    """The laptop's node; each test takes a topic of its own."""

    def __init__(self, folder: Path, cache: Path, guardian: Guardian) -> None:
        super().__init__(KafkaNode(folder, cache, free_port()), guardian)
        self._names = (f"test-{number}" for number in itertools.count(1))

    def topic(self, partitions: int = 3) -> str:
        """Create a topic nobody else uses and return its name."""
        from anmodel.settings import KafkaSettings
        from anmodel.topic import create_topics

        name = next(self._names)
        create_topics(KafkaSettings.load(kafka_bootstrap=self.bootstrap), partitions, [name])
        return name
