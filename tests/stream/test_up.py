"""`anmodel up` with the real engines: Kafka and ClickHouse come up, survive and end as promised."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from anmodel.laptop import environment
from anmodel.laptop.board import UP
from anmodel.laptop.kafka import free_port
from anmodel.laptop.state import PartState, Stage, part_states, read_state
from anmodel.topic import TOPICS
from eventually import eventually

START_SECONDS = 120
STOP_SECONDS = 10
ENGINES = "kafka,clickhouse"


class Laptop:
    """`anmodel` as a user types it, with a home and ports of its own."""

    def __init__(self, home: Path, cache: Path) -> None:
        self.home = home
        self.variables = {
            **{name: value for name, value in os.environ.items() if name not in environment.read(home)},
            "ANMODEL_HOME": str(home),
            "ANMODEL_CACHE": str(cache),
            "KAFKA_PORT": str(free_port()),
            "CLICKHOUSE_PORT": str(free_port()),
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`anmodel up`, with its lines in `up.log` of the home."""
        with (self.home.parent / "up.log").open("ab") as log:
            up = subprocess.Popen(self._command("up", *arguments), env=self.variables, stdout=log, stderr=log)
        self._running.append(up)
        return up

    def up(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`anmodel up`, and wait until all is ready."""
        up = self.start(*arguments)

        def ready() -> bool:
            assert up.poll() is None, (self.home.parent / "up.log").read_text()
            state = read_state(self.home)
            return state["pid"] == up.pid and all(part.state in UP for part in part_states(state))

        eventually(ready, START_SECONDS)
        return up

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any `anmodel` command, to its end."""
        return subprocess.run(
            self._command(*arguments), env=self.variables, capture_output=True, text=True, check=False, timeout=120
        )

    def status(self) -> dict[str, Any]:
        """`anmodel status --json`."""
        status: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return status

    def pids(self) -> dict[str, int]:
        """Process ids of all living parts."""
        return {part.name: part.pid for part in part_states(read_state(self.home)) if part.pid}

    def part(self, name: str) -> PartState:
        """One part, as the supervisor has written it."""
        return next(part for part in part_states(read_state(self.home)) if part.name == name)

    def clickhouse(self) -> clickhouse_connect.driver.Client:
        """A client with the password that `laptop.env` holds."""
        return clickhouse_connect.get_client(
            host="127.0.0.1",
            port=int(self.variables["CLICKHOUSE_PORT"]),
            username="admin",
            password=environment.read(self.home)["CLICKHOUSE_PASSWORD"],
            autogenerate_session_id=False,
        )

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.variables['KAFKA_PORT']}"

    def close(self) -> None:
        """End whatever still runs."""
        for up in self._running:
            if up.poll() is None:
                up.kill()
                up.wait()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "anmodel", *arguments]


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Laptop]:
    laptop = Laptop(tmp_path_factory.mktemp("laptop") / "home", cache)
    yield laptop
    laptop.close()


def produce(bootstrap: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True})
    for number in range(count):
        producer.produce("raw-events", key=str(number), value=f"event {number}")
    assert producer.flush(20) == 0


def consume(bootstrap: str, count: int) -> set[str]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.subscribe(["raw-events"])
    deadline = time.monotonic() + 20
    found: set[str] = set()
    while len(found) < count and time.monotonic() < deadline:
        found |= {(message.value() or b"").decode() for message in consumer.consume(count, timeout=1.0)}
    consumer.close()
    return found


def test_kafka_and_clickhouse_come_up_work_and_are_all_there_after_a_stop_and_a_start(laptop: Laptop) -> None:
    up = laptop.up("--only", ENGINES)
    assert set(TOPICS) <= set(AdminClient({"bootstrap.servers": laptop.bootstrap}).list_topics(timeout=5).topics)
    produce(laptop.bootstrap, 100)
    client = laptop.clickhouse()
    client.command("CREATE TABLE kept (n UInt32) ENGINE = MergeTree ORDER BY n")
    client.insert("kept", [[number] for number in range(100)], column_names=["n"])
    pids = laptop.pids().values()
    assert len(pids) == 2

    up.send_signal(signal.SIGINT)
    assert up.wait(STOP_SECONDS) == 0
    assert not any(map(psutil.pid_exists, pids))

    laptop.up("--only", ENGINES)
    assert consume(laptop.bootstrap, 100) == {f"event {number}" for number in range(100)}
    assert laptop.clickhouse().query("SELECT count(), sum(n) FROM kept").result_rows == [(100, 4950)]


def test_kafka_listens_on_loopback_only(laptop: Laptop) -> None:
    kafka = psutil.Process(laptop.pids()["kafka"])
    listening = {item.laddr.ip for item in kafka.connections("tcp") if item.status == psutil.CONN_LISTEN}
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_the_environment_file_is_readable_by_its_owner_alone(laptop: Laptop) -> None:
    assert (laptop.home / environment.FILE_NAME).stat().st_mode & 0o077 == 0


def test_a_second_up_on_the_same_folder_is_refused_with_the_id_of_the_first(laptop: Laptop) -> None:
    second = laptop.run("up", "--only", ENGINES)
    assert second.returncode == 2
    assert f"process {laptop.status()['pid']}" in second.stderr
    assert "ANMODEL_HOME" in second.stderr


def test_a_killed_kafka_is_started_again_with_its_data_and_the_status_counts_it(laptop: Laptop) -> None:
    os.kill(laptop.pids()["kafka"], signal.SIGKILL)
    eventually(lambda: laptop.part("kafka").restarts == 1 and laptop.part("kafka").state is Stage.READY, 60)
    kafka = next(part for part in laptop.status()["parts"] if part["name"] == "kafka")
    assert (kafka["state"], kafka["restarts"], kafka["last_exit"]) == ("ready", 1, "SIGKILL")
    assert consume(laptop.bootstrap, 100) >= {f"event {number}" for number in range(100)}


def test_logs_show_a_part_and_an_unknown_part_is_refused_with_the_names_there_are(laptop: Laptop) -> None:
    assert "kafka starts" in laptop.run("logs", "kafka", "-n", "100000").stdout
    refused = laptop.run("logs", "zookeeper")
    assert refused.returncode == 2
    assert "clickhouse, kafka" in refused.stderr


def test_after_a_kill_of_the_supervisor_nothing_is_left_and_the_next_up_has_all_the_data(laptop: Laptop) -> None:
    pids = laptop.pids().values()
    os.kill(read_state(laptop.home)["pid"], signal.SIGKILL)
    eventually(lambda: not any(map(psutil.pid_exists, pids)), 10)
    assert laptop.status()["pid"] is None
    up = laptop.up("--only", ENGINES)
    assert laptop.clickhouse().query("SELECT count() FROM kept").result_rows == [(100,)]
    up.terminate()
    assert up.wait(STOP_SECONDS) == 0
