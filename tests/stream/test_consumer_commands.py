"""What an operator can have the consumer do: `--replay` and `--reset-to`, on a real Kafka and ClickHouse."""

import json
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


@pytest.fixture
def stream(kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian) -> Iterator[Stream]:
    stream = Stream(kafka, clickhouse, tmp_path, guardian)
    yield stream
    stream.close()


def run(stream: Stream, *options: str) -> subprocess.CompletedProcess[str]:
    """`anmodel consumer` with options, to its end."""
    command = [sys.executable, "-m", "anmodel", "consumer", *options]
    environment = {**os.environ, **stream.variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_only_rows_that_the_engine_refuses_become_letters_and_replay_brings_them_back_once_it_takes_them(
    stream: Stream,
) -> None:
    table = f"{stream.warehouse.db}.events_raw"
    stream.warehouse.command(f"ALTER TABLE {table} ADD CONSTRAINT no_thirteen CHECK ifNull(price, 0) != 13")
    sent = list(events(300))
    for number in (17, 203):
        sent[number]["properties"]["price"] = 13
    for event in sent[:17] + sent[18:203] + sent[204:]:
        event["properties"]["price"] = 1
    stream.produce([json.dumps(event).encode() for event in sent] + [b"no event"])
    stream.consumer.start()
    stream.wait_for_rows(298)
    stream.wait_until_committed()
    letters = stream.dead_letters(3)
    assert sorted(letter["field"] for letter in letters) == ["body", "row", "row"]
    refused = next(letter for letter in letters if letter["field"] == "row")
    assert "no_thirteen" in refused["reason"]
    assert stream.count(final=False) == 298

    dry = run(stream, "--replay")
    assert dry.returncode == 0, dry.stderr
    assert "3 dead letters, 3 chosen" in dry.stdout
    assert "left out: would be refused again: body: not JSON" in dry.stdout
    assert "2 would be put back; nothing was changed" in dry.stdout
    one = run(stream, "--replay", "--id", sent[17]["event_id"])
    assert "3 dead letters, 1 chosen" in one.stdout
    later = run(stream, "--replay", "--since", (datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert "3 dead letters, 0 chosen" in later.stdout
    assert stream.count(final=False) == 298

    stream.warehouse.command(f"ALTER TABLE {table} DROP CONSTRAINT no_thirteen")
    for _ in range(2):  # what is put back twice counts once
        done = run(stream, "--replay", "--reason", "no_thirteen", "--stage", "consumer", "--apply")
        assert "2 put back" in done.stdout, done.stdout + done.stderr
    stream.wait_for_rows(300)
    stream.wait_until_committed()
    assert stream.count() == 300
    assert stream.count("countIf(price = 13)") == 2


@pytest.mark.parametrize("lost", ["some", "all"])
def test_a_table_that_lost_rows_gets_them_back_from_kafka_and_none_twice(stream: Stream, lost: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    stream.consumer.start()
    sent = [json.dumps(event).encode() for event in events(500)]
    stream.produce(sent[:300])
    stream.wait_for_rows(300)
    stream.produce(sent[300:])
    stream.wait_for_rows(500)
    stream.wait_until_committed()
    refused = run(stream, "--reset-to", before.isoformat(), "--apply")
    assert (refused.returncode, "A consumer of the group still runs" in refused.stderr) == (5, True)

    assert stream.consumer.stop() == 0
    table = f"{stream.warehouse.db}.events_raw"
    if lost == "some":
        stream.warehouse.command(f"DELETE FROM {table} WHERE cityHash64(event_id) % 2 = 0")
    else:
        stream.warehouse.command(f"TRUNCATE TABLE {table}")
    left = stream.count()
    assert left < 500
    told = run(stream, "--reset-to", before.isoformat())
    assert "would go on at 0" in told.stdout, told.stderr
    moved = run(stream, "--reset-to", before.isoformat(), "--apply")
    assert moved.stdout.count(": goes on at 0") == 6, moved.stderr
    stream.consumer.start()
    stream.wait_for_rows(500)
    stream.wait_until_committed()
    assert stream.count(final=False) == 500


def test_a_day_that_is_read_again_is_not_doubled_although_repeats_were_merged_away(stream: Stream) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    stream.consumer.start()
    sent = [json.dumps(event).encode() for event in events(400)]
    stream.produce(sent)
    stream.wait_for_rows(400)
    stream.produce(sent[:100])  # a client sends again what it was not told of
    stream.wait_until_committed()
    table = f"{stream.warehouse.db}.events_raw"
    stream.warehouse.command(f"OPTIMIZE TABLE {table} FINAL")
    assert stream.count(final=False) == 400
    assert stream.consumer.stop() == 0
    assert run(stream, "--reset-to", before.isoformat(), "--apply").returncode == 0
    stream.warehouse.command(f"SYSTEM STOP MERGES {table}")
    stream.consumer.start()
    stream.wait_until_committed()
    assert stream.count(final=False) == 400


def test_a_message_too_large_for_the_dead_letters_holds_nobody_up(stream: Stream) -> None:
    huge = b'"' + b"x1y2z3" * 174_000 + b'"'  # with the headers of a letter more than a topic takes
    stream.consumer.start()
    stream.produce([huge, json.dumps(next(events(1))).encode()])
    stream.wait_for_rows(1)
    stream.wait_until_committed()
    (letter,) = stream.dead_letters(1)
    assert letter["field"] == "body"
    assert letter["value"] in (huge, None)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--reset-to", "2026-11-20T02:30:00"], "has no zone"),
        (["--reset-to", "yesterday"], "allowed: ISO 8601"),
        (["--reason", "x"], "--reason goes with --replay only"),
        (["--apply"], "--apply goes with --replay or --reset-to only"),
        (["--replay", "--reset-to", "2026-11-20T02:30:00Z"], "give one of them"),
    ],
)
def test_options_that_make_no_sense_are_refused_and_named(stream: Stream, options: list[str], told: str) -> None:
    refused = run(stream, *options)
    assert refused.returncode == 2
    assert told in refused.stderr
