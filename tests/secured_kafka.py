"""A real Kafka that lets in only who proves who they are, and asks an access list what they may.

Its listeners: `clients` takes passwords over TLS (SASL_SSL, SCRAM-SHA-512), `mutual` takes certificates. Over the plain
one of the laptop's node the tests administer it: whoever comes there is a super user.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import HOST, KafkaNode, free_port
from certificates import Authority
from kafka_process import KafkaProcess

PROPERTIES = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
listener.name.mutual.ssl.client.auth=required
connection.failed.authentication.delay.ms=50
"""


@dataclass(frozen=True)
class SecuredNode(KafkaNode):
    """The laptop's node with two more listeners."""

    clients_port: int = field(default_factory=free_port)
    mutual_port: int = field(default_factory=free_port)

    def _write_configuration(self, data: Path) -> Path:
        path = super()._write_configuration(data)
        listeners = f"CLIENTS://{HOST}:{self.clients_port},MUTUAL://{HOST}:{self.mutual_port}"
        lines = []
        for line in path.read_text().splitlines():
            name = line.partition("=")[0]
            if name in ("listeners", "advertised.listeners"):
                line = f"{line},{listeners}"
            elif name == "listener.security.protocol.map":
                line = f"{line},CLIENTS:SASL_SSL,MUTUAL:SSL"
            lines.append(line)
        more = PROPERTIES.format(
            keystore=self.folder / "keystore.pem",
            truststore=self.folder / "truststore.pem",
        )
        path.write_text("\n".join(lines) + "\n" + more)
        return path


class SecuredKafka(KafkaProcess):
    """`bootstrap` is the tests' own way in; at `clients` and `mutual` stages must show a password or a certificate."""

    def __init__(self, folder: Path, cache: Path, guardian: Guardian) -> None:
        node = SecuredNode(folder, cache, free_port())
        super().__init__(node, guardian)
        self.clients = f"{HOST}:{node.clients_port}"
        self.mutual = f"{HOST}:{node.mutual_port}"
        self.authority = Authority()

    def start(self) -> None:
        """Start it with a certificate of `authority` and wait until it answers."""
        folder = self._node.folder
        folder.joinpath("keystore.pem").write_text("".join(reversed(self.authority.issue("kafka"))))
        folder.joinpath("truststore.pem").write_text(self.authority.certificate)
        super().start()

    def set_password(self, user: str, password: str) -> None:
        """Make a user, or give one another password."""
        information = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(user, information, password.encode())
        admin = self._admin()  # held: its answers end with it
        admin.alter_user_scram_credentials([change])[user].result(20)

    def allow(self, user: str, kind: ResourceType, name: str, operations: Iterable[AclOperation]) -> None:
        """Let a user do these to one resource."""
        rules = [
            AclBinding(kind, name, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
            for operation in operations
        ]
        admin = self._admin()
        for outcome in admin.create_acls(rules).values():
            outcome.result(20)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap})
