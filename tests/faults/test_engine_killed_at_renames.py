"""The engine killed at each rename of a part of one block, where its memory of a token and its rows disagree."""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import Producer
from urllib3.exceptions import HTTPError

from clickhouse_process import ClickHouseProcess
from exactness import assert_exact
from injected import KillAt
from streaming import Stream, events

MONTHS = 5
ROWS = 60
RENAMES = ("rename", "tmp_insert_")  # how the folder of a part is called until it is renamed into place


def months_of_events(count: int, seed: int) -> dict[str, bytes]:
    """Messages by their ids, spread over as many months as a block shall have parts."""
    middle = datetime.now(UTC).replace(day=15, hour=0, minute=0, second=0, microsecond=0)
    return {
        event["event_id"]: json.dumps(
            event | {"timestamp": (middle - timedelta(days=31 * (1 + number % MONTHS))).isoformat()}
        ).encode()
        for number, event in enumerate(events(count, seed=seed))
    }


@pytest.mark.parametrize(
    ("moment", "restarted"), [("before", "engine"), ("after", "engine"), ("before", "engine and consumer")]
)
def test_no_event_is_lost_or_doubled_when_the_engine_is_killed_at_any_rename_of_a_block(
    streams: Callable[..., Stream], clickhouse: ClickHouseProcess, kill_at: KillAt, moment: str, restarted: str
) -> None:
    stream = streams(BATCH_SIZE=ROWS, BATCH_TIMEOUT=0.3)
    clickhouse.kill()
    clickhouse.start(under=kill_at.words(*RENAMES))
    stream.consumer.start()
    accepted: list[str] = []
    for number in range(1, MONTHS + 1):
        kill_at.arm(number, moment)
        messages = months_of_events(ROWS, seed=number)
        stream.produce(messages.values())
        kill_at.await_the_kill(clickhouse, number)
        if restarted != "engine":
            stream.consumer.kill()
            stream.consumer.start(wait=False)
        clickhouse.start(under=kill_at.words(*RENAMES))
        accepted += messages
        stream.wait_for_rows(len(accepted))
    assert_exact(stream, accepted)
    assert stream.count("uniq(toYYYYMM(ts))") == MONTHS


def test_no_event_is_lost_or_doubled_when_many_blocks_are_under_way_and_others_write_too(
    streams: Callable[..., Stream], clickhouse: ClickHouseProcess, kill_at: KillAt
) -> None:
    stream = streams(BATCH_SIZE=ROWS, BATCH_TIMEOUT=0.3, MAX_INFLIGHT_INSERTS=4)
    clickhouse.kill()
    clickhouse.start(under=kill_at.words(*RENAMES))
    messages = months_of_events(ROWS * 120, seed=9)
    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(produce, stream, dict(list(messages.items())[300:]))
        theirs = pool.submit(write_in_transactions, stream, months_of_events(900, seed=10), aborted=(1, 4, 5))
        ours.result()
        committed = theirs.result()
    produce(
        stream, dict(list(messages.items())[:300])
    )  # a partition that ends in a transaction is never committed whole
    stream.consumer.start()
    for number in random.Random(9).sample(range(1, 4 * MONTHS), 6):
        kill_at.arm(number, "before" if number % 3 else "after")
        kill_at.await_the_kill(clickhouse, number)
        clickhouse.start(under=kill_at.words(*RENAMES))
    assert_exact(stream, {*messages, *committed})


def produce(stream: Stream, messages: dict[str, bytes]) -> None:
    """Spread over all partitions."""
    stream.produce(messages.values(), keys=[name.encode() for name in messages])


def write_in_transactions(stream: Stream, messages: dict[str, bytes], aborted: tuple[int, ...]) -> list[str]:
    """Write them as another system would, in pieces of a hundred, some of which it takes back; the ids of the rest."""
    producer = Producer({"bootstrap.servers": stream.bootstrap, "transactional.id": stream.topic})
    producer.init_transactions(30)
    kept: list[str] = []
    names = list(messages)
    for piece, first in enumerate(range(0, len(names), 100)):
        producer.begin_transaction()
        for name in names[first : first + 100]:
            producer.produce(stream.topic, messages[name], name.encode())
            producer.produce(stream.topic, b"no event", name.encode())
        if piece in aborted:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
            kept += names[first : first + 100]
    return kept


def test_the_same_token_again_does_not_bring_back_a_part_that_was_lost_at_its_rename(
    clickhouse: ClickHouseProcess, kill_at: KillAt
) -> None:
    """Why the consumer looks. The day this fails, the engine is better than the consumer believes."""
    clickhouse.kill()
    clickhouse.start(under=kill_at.words(*RENAMES))
    table = f"{clickhouse.database()}.t"
    clickhouse.ask(
        f"CREATE TABLE {table} (month UInt8) ENGINE = MergeTree PARTITION BY month ORDER BY month "
        "SETTINGS non_replicated_deduplication_window = 1000"
    )
    kill_at.arm(2)
    with pytest.raises((ClickHouseError, HTTPError, OSError)):
        insert_a_row_a_month(clickhouse, table)
    kill_at.await_the_kill(clickhouse, 2)
    clickhouse.start()
    insert_a_row_a_month(clickhouse, table)
    assert clickhouse.client().query(f"SELECT month FROM {table} ORDER BY month").result_columns == [[1, 3, 4, 5]]


def insert_a_row_a_month(clickhouse: ClickHouseProcess, table: str) -> None:
    rows = [[month] for month in range(1, MONTHS + 1)]
    clickhouse.client().insert(table, rows, column_names=["month"], settings={"insert_deduplication_token": "one"})
