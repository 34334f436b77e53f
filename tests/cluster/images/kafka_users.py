"""Keeps the topics, users and ACLs of the Kafka node in this pod, as Strimzi's entity operator would.

/run/kafka-users/<user>/password     its password; when the file changes, so does the password in Kafka
/run/kafka-acls/acls.json            {"topics": [name…], "users": {user: [[resource, name, pattern, operation]…]}}
"""

import json
import logging
import time
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

USERS = Path("/run/kafka-users")
WANTED = Path("/run/kafka-acls/acls.json")
ITERATIONS = 4096
log = logging.getLogger("kafka_users")


def create_topics(admin: AdminClient, names: list[str]) -> None:
    """Make what is missing; the broker's clock stamps the messages, as in the real platform."""
    config = {"message.timestamp.type": "LogAppendTime"}
    for future in admin.create_topics([NewTopic(name, 3, 1, config=config) for name in names]).values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def create_acls(admin: AdminClient, users: dict[str, list[list[str]]]) -> None:
    """Allow each user its operations. Safe to repeat."""
    bindings = [
        AclBinding(
            ResourceType[resource],
            name,
            ResourcePatternType[pattern],
            f"User:{user}",
            "*",
            AclOperation[operation],
            AclPermissionType.ALLOW,
        )
        for user, rules in users.items()
        for resource, name, pattern, operation in rules
    ]
    for future in admin.create_acls(bindings).values():
        future.result()


def set_password(admin: AdminClient, user: str, password: bytes) -> None:
    """Give a user this password, whatever it had."""
    how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
    for future in admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, how, password)]).values():
        future.result()


def passwords() -> dict[str, bytes]:
    """The passwords as the files have them now."""
    return {file.parent.name: file.read_bytes().strip() for file in USERS.glob("*/password")}


def main() -> None:
    """Bring Kafka to what is wanted, then follow the passwords."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    wanted = json.loads(WANTED.read_text())
    admin = AdminClient({"bootstrap.servers": "127.0.0.1:9093", "log_level": 0})
    given: dict[str, bytes] = {}
    prepared = False
    while True:
        try:
            if not prepared:
                create_topics(admin, wanted["topics"])
                create_acls(admin, wanted["users"])
                prepared = True
                log.info("topics and ACLs are there")
            for user, password in passwords().items():
                if given.get(user) != password:
                    set_password(admin, user, password)
                    given[user] = password
                    log.info("password set: %s", user)
        except (KafkaException, OSError) as error:
            log.info("not yet: %s", error)
        time.sleep(1)


if __name__ == "__main__":
    main()
