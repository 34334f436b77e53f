"""The scripts of docs/runbooks, on a real Kafka and ClickHouse."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anmodel.laptop.guardian import Guardian
from streaming import Stream

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
