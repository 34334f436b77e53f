"""A real Kafka with two ways in: `bootstrap` is the tests' own, `proxied` goes through a line that can be broken."""

from dataclasses import dataclass, field
from pathlib import Path

from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import HOST, KafkaNode, free_port
from kafka_process import KafkaProcess
from line import Line

# A killed consumer is given up sooner than on a laptop, so that there is time for many kills.
PROPERTIES = """\
group.consumer.min.heartbeat.interval.ms=250
group.consumer.heartbeat.interval.ms=250
group.consumer.min.session.timeout.ms=1500
group.consumer.session.timeout.ms=1500
"""


@dataclass(frozen=True)
class ProxiedNode(KafkaNode):
    """The laptop's node with one more listener, which tells clients to come through `line_port`."""

    line_port: int = field(default_factory=free_port)
    listener_port: int = field(default_factory=free_port)

    def _write_configuration(self, data: Path) -> Path:
        path = super()._write_configuration(data)
        more = {
            "listeners": f",PROXIED://{HOST}:{self.listener_port}",
            "advertised.listeners": f",PROXIED://{HOST}:{self.line_port}",
            "listener.security.protocol.map": ",PROXIED:PLAINTEXT",
        }
        lines = [line + more.get(line.partition("=")[0], "") for line in path.read_text().splitlines()]
        path.write_text("\n".join(lines) + "\n" + PROPERTIES)
        return path


class ProxiedKafka(KafkaProcess):
    """`line` is what clients of `proxied` come through."""

    def __init__(self, folder: Path, cache: Path, guardian: Guardian) -> None:
        node = ProxiedNode(folder, cache, free_port())
        super().__init__(node, guardian)
        self.line = Line(node.line_port, node.listener_port, framed=True)
        self.proxied = f"{HOST}:{node.line_port}"
