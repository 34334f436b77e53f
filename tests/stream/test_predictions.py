"""From the topic of logged predictions to rows in ClickHouse, beside the events."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from anmodel.laptop.guardian import Guardian
from anmodel.settings import KafkaSettings
from anmodel.topic import create_topics
from eventually import eventually
from streaming import Stream, events, logged_predictions

EVENTS_PAGE = Path(__file__).parents[2] / "docs/events.md"


@pytest.fixture
def stream(kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian) -> Iterator[Stream]:
    made = Stream(kafka, clickhouse, tmp_path, guardian)
    yield made
    made.close()


def log(stream: Stream, count: int, topic: str = "") -> list[dict[str, Any]]:
    """Put predictions on their topic, as the gateway does."""
    messages = list(logged_predictions(count))
    stream.produce([json.dumps(each).encode() for each in messages], topic or stream.predictions_topic)
    return messages


def test_logged_predictions_become_rows_beside_the_events(stream: Stream) -> None:
    stream.collector.start()
    stream.consumer.start()
    sent = log(stream, 2000)
    assert stream.post(events(100)).status_code == 201
    stream.wait_for_rows(2000, table="predictions")
    stream.wait_for_rows(100)
    where = f"FROM {stream.warehouse.db}.predictions WHERE prediction_id = {{id:String}}"
    (row,) = stream.warehouse.query(f"SELECT * {where}", {"id": sent[7]["prediction_id"]})
    assert json.loads(row["features"]) == sent[7]["record"]
    assert row["predicted_at"].replace(tzinfo=UTC) == datetime.fromisoformat(sent[7]["predicted_at"])
    assert {name: row[name] for name in sent[7]["prediction"]} == sent[7]["prediction"]
    assert (row["service"], row["user_id"]) == ("context_aware", sent[7]["user_id"])
    shown = httpx.get(f"{stream.consumer.url}/metrics", timeout=10).text
    assert "\nanmodel_consumer_rows_total 100.0" in shown
    assert "\nanmodel_consumer_predictions_rows_total 2000.0" in shown


def test_a_repeat_of_a_prediction_is_stored_once(stream: Stream) -> None:
    stream.consumer.start()
    messages = [json.dumps(each).encode() for each in logged_predictions(100)]
    stream.produce(messages, stream.predictions_topic)
    stream.wait_for_rows(100, table="predictions")
    stream.produce(messages[:50], stream.predictions_topic)
    stream.wait_until_committed(topic=stream.predictions_topic)
    assert stream.count(table="predictions") == 100


def test_messages_that_are_no_predictions_go_to_the_dead_letters_with_their_origin(stream: Stream) -> None:
    stream.consumer.start()
    stream.produce([b"{", None], stream.predictions_topic)
    log(stream, 10)
    stream.wait_for_rows(10, table="predictions")
    stream.wait_until_committed(topic=stream.predictions_topic)
    letters = stream.dead_letters(2)
    assert {letter["origin_topic"] for letter in letters} == {stream.predictions_topic}
    assert sorted(letter["value"] or b"" for letter in letters) == [b"", b"{"]
    assert {letter["field"] for letter in letters} == {"body"}


def test_a_topic_of_predictions_that_is_not_there_holds_no_event_up_and_is_read_once_it_is(
    kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian
) -> None:
    later = f"predictions-later-{tmp_path.name}"
    stream = Stream(kafka, clickhouse, tmp_path, guardian, PREDICTIONS_TOPIC=later)
    try:
        stream.collector.start()
        stream.consumer.start()
        assert stream.post(events(100)).status_code == 201
        stream.wait_for_rows(100)
        ready = httpx.get(f"{stream.consumer.url}/ready", timeout=10)
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        (missing,) = ready.json()["missing"]
        assert missing["part"] == "predictions"
        assert later in missing["reason"] or "Unknown topic" in missing["reason"]
        create_topics(KafkaSettings.load(kafka_bootstrap=kafka.bootstrap), 3, [later])
        log(stream, 50, later)
        stream.wait_for_rows(50, table="predictions")
        eventually(lambda: httpx.get(f"{stream.consumer.url}/ready", timeout=10).json()["status"] == "ready", 30)
    finally:
        stream.close()


def test_without_the_table_of_predictions_events_flow_and_predictions_wait(stream: Stream) -> None:
    stream.warehouse.command(f"DROP TABLE {stream.warehouse.db}.predictions")
    stream.collector.start()
    stream.consumer.start()
    log(stream, 100)
    assert stream.post(events(1000)).status_code == 201
    stream.wait_for_rows(1000)
    stream.wait_until_committed()
    assert stream.consumer.answers()
    stream.warehouse.command(f"TRUNCATE TABLE {stream.warehouse.db}.schema_versions")
    stream.warehouse.migrate()
    stream.wait_for_rows(100, table="predictions")


def test_the_questions_of_the_docs_join_predictions_to_what_happened(stream: Stream) -> None:
    stream.collector.start()
    stream.consumer.start()
    now = datetime.now(UTC).replace(microsecond=0)
    made = {"old": now - timedelta(days=10), "new": now - timedelta(days=1)}
    said = {"purchase_proba": 0.42, "will_purchase_pred": 0, "days_to_next_pred": 1.0, "next_purchase_amount_pred": 9.0}
    stream.produce(
        [
            json.dumps({**each, "prediction_id": f"{age} {user}", "predicted_at": at.isoformat(), "prediction": said}
                       | {"user_id": user}).encode()
            for each in logged_predictions(1)
            for age, at in made.items()
            for user in ("buys", "bought before", "bought too late", "never", "")
        ],
        stream.predictions_topic,
    )  # fmt: skip
    bought = {"buys": 9, "bought before": 11, "bought too late": 2}
    purchases = [
        {**event, "user_id": user, "event_type": "purchase", "timestamp": (now - timedelta(days=days)).isoformat()}
        for (user, days), event in zip(bought.items(), events(3), strict=True)
    ]
    assert stream.post(purchases).status_code == 201
    stream.wait_for_rows(10, table="predictions")
    stream.wait_for_rows(3)
    questions = re.findall(r"```sql\n(.*?)```", EVENTS_PAGE.read_text(), re.DOTALL)
    newest, came_true = (
        stream.warehouse.query(question.replace("analytics.", f"{stream.warehouse.db}.")) for question in questions
    )
    assert [row["predicted_at"].replace(tzinfo=UTC) for row in newest] == [made["new"]] * 5 + [made["old"]] * 5
    assert came_true == [{"model_version": "3", "chance": 0.4, "predictions": 4, "share_that_bought": 0.25}]
