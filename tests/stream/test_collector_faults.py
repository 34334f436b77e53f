"""The collector and a real Kafka that stands still, refuses, or has to be left: what clients are told."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from anmodel.collector.keys import line_of
from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from eventually import eventually
from stages import Stage
from streaming import events

DEADLINE = 4
"""Seconds for a delivery; the answer may take some more to be noticed and written on a busy machine."""
SLACK = 8


class Receiving:
    """A collector of the test's own, on a topic of its own."""

    def __init__(self, kafka: Any, folder: Path, guardian: Guardian, **variables: object) -> None:
        self.kafka = kafka
        self.topic: str = kafka.topic()
        given = {"KAFKA_BOOTSTRAP": kafka.bootstrap, "KAFKA_TOPIC": self.topic, "COLLECTOR_PORT": free_port()}
        given |= {"DELIVERY_TIMEOUT": DEADLINE} | variables
        self.url = f"http://127.0.0.1:{given['COLLECTOR_PORT']}"
        named = {name: str(value) for name, value in given.items()}
        self.stage = Stage("collector", named, folder, guardian, self.url).start()

    def post(self, batch: list[dict[str, Any]], **headers: str) -> httpx.Response:
        return httpx.post(f"{self.url}/collect", json=batch, headers=headers, timeout=60)

    def ready(self) -> httpx.Response:
        return httpx.get(f"{self.url}/ready", timeout=20)

    def stored(self) -> list[str]:
        """The ids of the events on the topic."""
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": self.topic})
        try:
            ends = {number: self._end(consumer, number) for number in range(3)}
            consumer.assign([TopicPartition(self.topic, number, 0) for number in range(3)])
            found: list[str] = []
            while len(found) < sum(ends.values()):
                message = consumer.poll(10)
                assert message is not None
                found.append(json.loads(message.value() or b"")["event_id"])
            return found
        finally:
            consumer.close()

    def _end(self, consumer: Consumer, number: int) -> int:
        # a broker that stood still may be without its partitions for a moment
        marks = eventually(lambda: consumer.get_watermark_offsets(TopicPartition(self.topic, number), 10), 60)
        return int(marks[1])


@pytest.fixture
def receiving(kafka: Any, tmp_path: Path, guardian: Guardian) -> Iterator[Receiving]:
    made = Receiving(kafka, tmp_path, guardian, MAX_WAITING_EVENTS=50)
    yield made
    made.stage.kill()


@pytest.fixture
def still(receiving: Receiving) -> Iterator[Receiving]:
    """The same, with a broker that stands still: it takes connections and never answers."""
    assert receiving.post(list(events(1))).status_code == 201
    receiving.kafka.signal(signal.SIGSTOP)
    yield receiving
    receiving.kafka.signal(signal.SIGCONT)
    eventually(receiving.kafka.topic, 180)  # it may be without its partitions for a while: nothing for other tests


def test_a_broker_that_stands_still_is_answered_for_in_time_and_taken_up_again_without_a_restart(
    still: Receiving,
) -> None:
    started = time.monotonic()
    answer = still.post(list(events(10, seed=2)))
    assert time.monotonic() - started < DEADLINE + SLACK
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert {event["status"] for event in answer.json()["events"]} == {"unavailable"}
    ready = still.ready()
    assert ready.status_code == 503
    assert ready.json()["missing"][0]["part"] == "kafka"
    assert still.stage.answers()
    still.kafka.signal(signal.SIGCONT)
    eventually(lambda: still.post(list(events(10, seed=2))).status_code == 201, 60)
    eventually(lambda: still.ready().status_code == 200, 20)
    assert {f"2-{number}" for number in range(10)} <= set(still.stored())


def test_past_the_bound_of_waiting_events_the_answer_comes_at_once_and_nothing_is_sent(still: Receiving) -> None:
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(still.post, list(events(45, seed=2)))
        eventually(lambda: "anmodel_collector_waiting_events 45.0" in httpx.get(f"{still.url}/metrics").text, 5)
        started = time.monotonic()
        refused = still.post(list(events(10, seed=3)))
        assert time.monotonic() - started < DEADLINE - 1
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert "45 events wait for Kafka already; at most 50 may" in refused.text
        assert waits.result().status_code == 503
    still.kafka.signal(signal.SIGCONT)
    eventually(lambda: still.post(list(events(1, seed=4))).status_code == 201, 60)
    assert not {name for name in still.stored() if name.startswith("3-")}


def test_a_broker_that_refuses_events_makes_the_collector_not_ready_until_it_takes_them_again(
    receiving: Receiving,
) -> None:
    set_largest_message(receiving, 100)
    eventually(lambda: receiving.post(list(events(5))).status_code == 503, 30)
    ready = receiving.ready()
    assert ready.status_code == 503
    assert "events were not delivered" in ready.json()["missing"][0]["reason"]
    assert receiving.stage.answers()
    set_largest_message(receiving, 1_000_000)
    eventually(lambda: receiving.post(list(events(5))).status_code == 201, 30)
    assert receiving.ready().status_code == 200


def set_largest_message(receiving: Receiving, size: int) -> None:
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, receiving.topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": receiving.kafka.bootstrap})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(20)


def test_on_sigterm_under_load_what_was_accepted_is_stored_and_no_more_is_taken(receiving: Receiving) -> None:
    seeds = count(10)
    accepted: list[str] = []

    def client(_: int) -> None:
        """Sends small batches until nobody listens any more."""
        while True:
            batch = list(events(5, seed=next(seeds)))
            try:
                answer = receiving.post(batch)
            except httpx.TransportError:
                return
            assert answer.status_code in (201, 503), answer.text
            if answer.status_code == 201:
                accepted.extend(event["event_id"] for event in batch)

    with ThreadPoolExecutor(8) as pool:
        clients = pool.map(client, range(8))
        eventually(lambda: len(accepted) > 200, 60)
        started = time.monotonic()
        assert receiving.stage.stop() in (0, -signal.SIGTERM)
        assert time.monotonic() - started < 15
        list(clients)
    with (
        pytest.raises(OSError, match="refused"),
        socket.create_connection(("127.0.0.1", httpx.URL(receiving.url).port)),
    ):
        pass
    assert set(accepted) <= set(receiving.stored())


def test_on_sigterm_with_a_broker_that_stands_still_clients_are_answered_and_the_end_comes_in_time(
    still: Receiving,
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(still.post, list(events(5, seed=2)))
        eventually(lambda: "anmodel_collector_waiting_events 5.0" in httpx.get(f"{still.url}/metrics").text, 5)
        started = time.monotonic()
        assert still.stage.stop() in (0, -signal.SIGTERM)
        assert time.monotonic() - started < 20
        assert waits.result().status_code == 503


def test_write_keys_change_in_a_running_collector(kafka: Any, tmp_path: Path, guardian: Guardian) -> None:
    keys = tmp_path / "write_keys"
    keys.write_text(line_of("erp", "amk_old"))
    receiving = Receiving(kafka, tmp_path, guardian, WRITE_KEYS=keys, SECRETS_POLL_SECONDS=0.1)
    try:

        def status(key: str) -> int:
            return receiving.post(list(events(1)), Authorization=f"Bearer {key}").status_code

        process = receiving.stage.process
        assert (status("amk_old"), status("amk_new")) == (201, 401)
        keys.write_text(line_of("erp", "amk_new"))
        eventually(lambda: status("amk_new") == 201)
        assert status("amk_old") == 401
        assert receiving.stage.process is process
        assert process is not None
        assert process.poll() is None
    finally:
        receiving.stage.kill()
