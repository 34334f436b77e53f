"""The promise under test: nothing accepted is lost, and nothing is counted twice."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from passing import PATIENCE
from streaming import Stream

# an engine that joins parts would hide a row that was stored twice
_NO_MERGES = (
    "max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1, "
    "parts_to_delay_insert = 100000, parts_to_throw_insert = 100000"
)


def keep_every_row(stream: Stream, table: str = "events_raw") -> Stream:
    """Let the table of a new stream show each row that was ever inserted, whatever restarts."""
    stream.warehouse.command(f"ALTER TABLE {stream.warehouse.db}.{table} MODIFY SETTING {_NO_MERGES}")
    return stream


def assert_exact(
    stream: Stream, accepted: Collection[str], *, repeats: int = 0, table: str = "events_raw", seconds: float = PATIENCE
) -> None:
    """Each accepted id is there once and nothing else is; without repeats of clients no row was stored twice either."""
    topic, name = (stream.topic, "event_id") if table == "events_raw" else (stream.predictions_topic, "prediction_id")
    stream.wait_until_committed(seconds, topic)
    stored = {row[name] for row in stream.warehouse.query(f"SELECT {name} FROM {stream.warehouse.db}.{table} FINAL")}
    missing = set(accepted) - stored
    assert not missing, f"{len(missing)} of {len(accepted)} accepted are not stored, as {sorted(missing)[:5]}"
    assert len(stored) == len(set(accepted)), f"{len(stored - set(accepted))} are stored that nobody accepted"
    found: dict[str, Any] = {
        "uniqExact through FINAL": stream.count(f"uniqExact({name})", table=table),
        "count through FINAL": stream.count(table=table),
        "count": stream.count(final=False, table=table) if not repeats else len(stored),
    }
    assert found == dict.fromkeys(found, len(stored))
    RESULTS.append(Result(_running_test(), len(set(accepted)), repeats, stream.count(final=False, table=table)))


@dataclass(frozen=True)
class Result:
    """What a test has found exact: events accepted, of which `repeats` were sent again, and rows without FINAL."""

    test: str
    accepted: int
    repeats: int
    rows: int


RESULTS: list[Result] = []
"""Of this run; the run's last lines show them."""


def _running_test() -> str:
    return os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].removesuffix(" (call)")
