"""The scripts of docs/runbooks, on a real Kafka and ClickHouse."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from anmodel.laptop.guardian import Guardian
from streaming import Stream, events

RUNBOOKS = Path(__file__).parents[2] / "docs/runbooks"


@pytest.fixture
def stream(kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian) -> Iterator[Stream]:
    stream = Stream(kafka, clickhouse, tmp_path, guardian)
    yield stream
    stream.close()


def run(stream: Stream, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A runbook's script, as the pod of kafka-desk.yaml runs it."""
    command = [sys.executable, str(RUNBOOKS / script), *arguments]
    environment = {**os.environ, **stream.variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=90)


def test_dead_letters_come_out_as_they_went_in_one_a_line(stream: Stream) -> None:
    stream.consumer.start()
    letters = [b"no JSON", b'{"event_id":\n "two lines"}']
    stream.produce(letters)
    assert len(stream.dead_letters(len(letters))) == len(letters)
    found = run(stream, "dead_letters.py").stdout.splitlines()
    assert sorted(found) == sorted(letter.decode().replace("\n", " ") for letter in letters)


def test_a_table_that_lost_rows_gets_them_back_from_kafka_and_none_twice(stream: Stream) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    stream.collector.start()
    stream.consumer.start()
    assert stream.post(list(events(500))).status_code == 201
    stream.wait_for_rows(500)
    stream.wait_until_committed()
    refused = run(stream, "back_to.py", before.isoformat(), stream.topic)
    assert "Does a consumer still run?" in refused.stderr

    stream.consumer.stop()
    stream.warehouse.command(f"DELETE FROM {stream.warehouse.db}.events_raw WHERE cityHash64(event_id) % 2 = 0")
    assert 0 < stream.count() < 500
    moved = run(stream, "back_to.py", before.isoformat(), stream.topic)
    assert moved.stdout.count("goes on at 0") == 3, moved.stderr
    stream.consumer.start()
    stream.wait_for_rows(500)
    stream.wait_until_committed()
    assert stream.count(final=False) == 500


def test_a_time_without_a_zone_is_refused(stream: Stream) -> None:
    refused = run(stream, "back_to.py", "2026-11-20T02:30:00", stream.topic)
    assert "has no zone" in refused.stderr
