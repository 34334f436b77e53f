"""A stream of a test's own: collector and consumer as processes, on the tests' real Kafka and ClickHouse."""

import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from anmodel.settings import KafkaSettings, MigrateSettings
from anmodel.topic import create_topics
from anmodel.warehouse import Warehouse
from eventually import eventually
from stages import Stage

_numbers = itertools.count(1)


class Stream:
    """Its own topics, its own database; `collector` and `consumer` are started by the test."""

    def __init__(self, kafka: Any, clickhouse: Any, folder: Path, guardian: Guardian, **variables: object) -> None:
        self.number = next(_numbers)
        self.bootstrap: str = kafka.bootstrap
        self.topic = f"events-{self.number}"
        self.dead_topic = f"{self.topic}-dead"
        self.predictions_topic = f"{self.topic}-predictions"
        names = [self.topic, self.dead_topic, self.predictions_topic]
        create_topics(KafkaSettings.load(kafka_bootstrap=self.bootstrap), 3, names)
        self._settings = {
            "clickhouse_host": clickhouse.host,
            "clickhouse_port": clickhouse.port,
            "clickhouse_user": clickhouse.user,
            "clickhouse_password": clickhouse.password,
            "clickhouse_db": f"stream_{self.number}",
        }
        self.warehouse = Warehouse.connect(MigrateSettings.load(**self._settings))
        self.warehouse.migrate()
        ports = {"COLLECTOR_PORT": free_port(), "CONSUMER_PORT": free_port()}
        environment: Mapping[str, object] = {
            **{name.upper(): value for name, value in self._settings.items()},
            **ports,
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "KAFKA_TOPIC": self.topic,
            "KAFKA_DEAD_TOPIC": self.dead_topic,
            "PREDICTIONS_TOPIC": self.predictions_topic,
            "CONSUMER_GROUP": self.topic,
            "DELIVERY_TIMEOUT": 5,
            **variables,
        }
        self.variables = {name: str(value) for name, value in environment.items()}
        urls = [f"http://127.0.0.1:{port}" for port in ports.values()]
        self.collector = Stage("collector", self.variables, folder, guardian, urls[0])
        self.consumer = Stage("consumer", self.variables, folder, guardian, urls[1])

    def close(self) -> None:
        """End both stages."""
        self.collector.kill()
        self.consumer.kill()

    def post(self, events: Iterable[Mapping[str, Any]] | bytes) -> httpx.Response:
        """Send a batch, or a body as it is, to the collector."""
        content = events if isinstance(events, bytes) else json.dumps(list(events)).encode()
        return httpx.post(f"{self.collector.url}/collect", content=content, timeout=30)

    def post_until_accepted(self, events: list[Mapping[str, Any]]) -> None:
        """Send a batch as a good client does: again after a 503 or a broken connection, with the same ids."""

        def accepted() -> bool:
            answer = self.post(events)
            assert answer.status_code in (201, 503), answer.text
            return answer.status_code == 201

        eventually(accepted, 60)

    def produce(self, values: Iterable[bytes | None], topic: str = "", keys: Iterable[bytes] = ()) -> None:
        """Put messages on a topic, that of events as a rule, past the collector."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "message.max.bytes": 4_000_000})
        for value, key in zip(values, itertools.chain(keys, itertools.repeat(b"key")), strict=False):
            producer.produce(topic or self.topic, value, key)
            producer.poll(0)
        assert producer.flush(20) == 0

    def count(self, what: str = "count()", final: bool = True, table: str = "events_raw") -> int:
        """An aggregate over the stored events, or predictions."""
        source = f"{self.warehouse.db}.{table}{' FINAL' if final else ''}"
        return int(self.warehouse.query(f"SELECT {what} AS n FROM {source}")[0]["n"])

    def wait_for_rows(self, rows: int, seconds: float = 60, table: str = "events_raw") -> None:
        """Wait until the table has that many different rows; more is a fault at once."""

        def there() -> bool:
            found = self.count(table=table)
            if found > rows:
                raise SystemError(f"{found} rows, expected {rows}")
            return found == rows

        eventually(there, seconds)

    def wait_until_committed(self, seconds: float = 60, topic: str = "") -> None:
        """Wait until the consumer has committed a whole topic, that of events as a rule."""

        def done() -> bool:
            return all(committed == end for committed, end in self.positions(topic))

        eventually(done, seconds, pause=0.1)

    def positions(self, topic: str = "") -> list[tuple[int, int]]:
        """How far the consumer has committed each partition, and its end."""
        name = topic or self.topic
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.topic})
        try:
            partitions = consumer.list_topics(name, 10).topics[name].partitions
            places = consumer.committed([TopicPartition(name, number) for number in partitions], 10)
            return [(max(0, place.offset), consumer.get_watermark_offsets(place, 10)[1]) for place in places]
        finally:
            consumer.close()

    def forget_commits(self) -> None:
        """Put the consumer group, which must have no member, back to the topic's beginning."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.topic})
        start = [TopicPartition(self.topic, number, 0) for number in range(3)]

        def forgotten() -> bool:
            try:
                return all(place.error is None for place in consumer.commit(offsets=start, asynchronous=False) or [])
            except KafkaException:
                return False  # the killed member has not been given up yet

        try:
            eventually(forgotten, 30)
        finally:
            consumer.close()

    def dead_letters(self, expected: int) -> list[dict[str, Any]]:
        """The dead letters, as many as expected: value and headers of each."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": f"{self.topic}-reader", "auto.offset.reset": "earliest"}
        )
        consumer.subscribe([self.dead_topic])
        letters: list[dict[str, Any]] = []

        def all_there() -> bool:
            for message in consumer.consume(1000, 0.5):
                if not message.error():
                    headers = {name: value.decode() for name, value in message.headers() or []}
                    letters.append({"value": message.value(), **headers})
            return len(letters) >= expected

        try:
            eventually(all_there, 120)
        finally:
            consumer.close()
        return letters


def events(
    count: int, *, seed: int = 1, newest: datetime | None = None, apart: timedelta = timedelta(minutes=1)
) -> Iterator[dict[str, Any]]:
    """Good events, one every `apart` back from `newest`, of a hundred users. The same seed makes the same ones."""
    chance = random.Random(seed)
    newest = newest or datetime.now(UTC).replace(microsecond=0)
    for number in range(count):
        yield {
            "event_id": f"{seed}-{number}",
            "event_type": chance.choice(["page_view", "add_to_cart", "purchase"]),
            "timestamp": (newest - number * apart).isoformat(),
            "session_id": f"s{number // 10}",
            "user_id": f"user-{chance.randrange(100)}",
            "region": "UA-30",
            "properties": {"item_id": f"item_{chance.randrange(50)}", "price": chance.randrange(1, 500)},
        }


def logged_predictions(count: int, *, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Good messages of the prediction log. The same seed makes the same ones, but for when they were made."""
    chance = random.Random(seed)
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(count):
        yield {
            "prediction_id": f"{seed}-{number}",
            "service": "context_aware",
            "model_version": "3",
            "predicted_at": (now - timedelta(milliseconds=250 * number)).isoformat(timespec="milliseconds"),
            "records": 1,
            "record": {"total_events": chance.randrange(100), "last_item": "item_1", "share": None},
            "prediction": {
                "purchase_proba": round(chance.random(), 3),
                "will_purchase_pred": chance.randrange(2),
                "days_to_next_pred": 2.5,
                "next_purchase_amount_pred": 120.0,
            },
            "user_id": f"user-{chance.randrange(100)}",
        }
