"""Blocks, and how offsets are committed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from anmodel.consumer.blocks import Block, Message, Partition, make_block, size_of
from anmodel.consumer.streams import Row, Stream, events_stream, predictions_stream
from anmodel.predictions import PREDICTIONS_SCHEMA
from anmodel.settings import ConsumerSettings
from anmodel.warehouse import EVENTS_SCHEMA

PLACE = Partition("raw-events", 2)
RECEIVED = 1_790_000_000_000  # 2026-09-21
EVENT = {
    "event_id": "e1",
    "event_type": "purchase",
    "timestamp": "2026-09-20T10:00:00.5Z",
    "session_id": "s1",
    "user_id": "u1",
    "region": "UA-30",
    "properties": {"item_id": "item_1", "price": 10, "colour": "red"},
}


@dataclass
class Sent:
    """A message as Kafka would hand it over."""

    place: int
    content: bytes | None
    more: list[tuple[str, bytes | None]] | None = None

    def offset(self) -> int:
        return self.place

    def key(self) -> bytes:
        return b"u1"

    def value(self) -> bytes | None:
        return self.content

    def timestamp(self) -> tuple[int, int]:
        return (2, RECEIVED)

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return self.more


LOGGED: dict[str, Any] = {
    "prediction_id": "0b9e3c0e-8a44-4a35-9d0c-1df0a2b0a001",
    "service": "context_aware",
    "model_version": "3",
    "predicted_at": "2026-09-20T10:00:00.250Z",
    "records": 2,
    "record": {"total_events": 3, "share": 0.5, "last_item": "item_1 ☕", "region": None},
    "prediction": {
        "purchase_proba": 0.5,
        "will_purchase_pred": 1,
        "days_to_next_pred": 3.0,
        "next_purchase_amount_pred": 99.0,
    },
    "user_id": "u1",
}


def sent(offset: int, **changed: object) -> Sent:
    return Sent(offset, json.dumps({**EVENT, **changed}).encode())


def logged(offset: int, **changed: object) -> Sent:
    return Sent(offset, json.dumps({**LOGGED, **changed}).encode())


def events_of(max_age_days: int = 1825) -> Stream:
    return events_stream(ConsumerSettings.load(clickhouse_password="x", event_max_age_days=max_age_days))


def block_of(messages: list[Message], stream: Stream | None = None) -> Block:
    first, last = (message.offset() or 0 for message in (messages[0], messages[-1]))
    return make_block(stream or events_of(), PLACE, first, last, messages)


def prediction_block_of(*messages: Message) -> Block:
    return block_of(list(messages), predictions_stream(ConsumerSettings.load(clickhouse_password="x")))


def test_a_block_holds_every_column_and_its_offsets() -> None:
    block = block_of([sent(10), sent(12, event_id="e2", properties={})])
    assert block.name == "raw-events:2:10-12"
    assert block.rows.schema == EVENTS_SCHEMA
    first, second = block.rows.to_pylist()
    assert first["received_at"].isoformat() == "2026-09-21T14:13:20+00:00"
    assert first["ts"].isoformat() == "2026-09-20T10:00:00.500000+00:00"
    assert json.loads(first["properties"]) == EVENT["properties"]
    assert (first["item_id"], first["price"], first["partition"], first["offset"]) == ("item_1", 10.0, 2, 10)
    assert (second["item_id"], second["price"], second["properties"], second["offset"]) == ("", None, "{}", 12)


def test_messages_that_are_no_events_are_kept_whole_with_the_reason() -> None:
    block = block_of([Sent(0, b"{"), sent(1), Sent(2, None), sent(3, region=5)])
    assert block.rows["offset"].to_pylist() == [1]
    assert [(refused.offset, refused.value, refused.field) for refused in block.refused] == [
        (0, b"{", "body"),
        (2, None, "body"),
        (3, sent(3, region=5).content, "region"),
    ]
    assert (block.first, block.last) == (0, 3)


def test_a_message_that_our_own_code_cannot_read_is_kept_whole_and_stops_nothing() -> None:
    stream = events_of()

    def read(value: bytes, received: int) -> Row:
        return stream.read(value, received) if b"e2" not in value else (1 // 0,)

    def read_many(values: Sequence[bytes | None], received: Sequence[int]) -> list[pa.Array] | None:
        raise ValueError("unforeseen")

    block = block_of([sent(0), sent(1, event_id="e2")], replace(stream, read=read, read_many=read_many))
    assert block.rows["offset"].to_pylist() == [0]
    assert block.refused[0].reason.startswith("could not be read: ZeroDivisionError: ")


def test_an_events_age_is_judged_by_when_the_broker_took_it_not_by_the_clock_now() -> None:
    (message,) = [sent(0, timestamp="2026-09-20T10:00:00Z")]
    assert not block_of([message], events_of(max_age_days=1)).refused
    (old,) = [sent(0, timestamp="2026-09-10T10:00:00Z")]
    assert block_of([old], events_of(max_age_days=1)).refused[0].field == "timestamp"


def test_a_logged_prediction_becomes_a_row_with_its_record_as_it_was() -> None:
    block = prediction_block_of(logged(7), logged(8, user_id="", to_come={"a": 1}))
    assert block.rows.schema == PREDICTIONS_SCHEMA
    first, second = block.rows.to_pylist()
    assert json.loads(first.pop("features")) == LOGGED["record"]
    assert first == {
        **{name: LOGGED[name] for name in ("prediction_id", "service", "model_version", "user_id")},
        **LOGGED["prediction"],
        "predicted_at": datetime(2026, 9, 20, 10, 0, 0, 250_000, UTC),
        "partition": 2,
        "offset": 7,
    }
    assert (second["user_id"], second["offset"]) == ("", 8)


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        ({"prediction_id": ""}, "prediction_id", "length >= 1"),
        ({"service": 5}, "service", "Expected `str`"),
        ({"predicted_at": "2026-09-20T10:00:00"}, "predicted_at", "timezone"),
        ({"predicted_at": "2026-09-23T10:00:00Z"}, "predicted_at", "at most one day ahead of now"),
        ({"predicted_at": "2019-09-23T10:00:00Z"}, "predicted_at", "at most 1825 days old"),
        ({"predicted_at": "0001-01-01T00:00:00+14:00"}, "predicted_at", "outside the calendar"),
        ({"record": {"nested": {}}}, "record[...]", "object"),
        ({"prediction": {**LOGGED["prediction"], "purchase_proba": 1.1}}, "prediction.purchase_proba", "<= 1"),
        ({"prediction": {**LOGGED["prediction"], "will_purchase_pred": 2}}, "prediction.will_purchase_pred", "<= 1"),
        ({"prediction": {}}, "prediction", "missing"),
    ],
)
def test_a_message_that_is_no_logged_prediction_is_refused_by_its_field(
    changed: dict[str, Any], field: str, reason: str
) -> None:
    block = prediction_block_of(logged(1, **changed), logged(2))
    (refused,) = block.refused
    assert (refused.offset, refused.field) == (1, field)
    assert reason in refused.reason
    assert block.rows["offset"].to_pylist() == [2]


def test_a_number_that_no_table_holds_is_refused_and_stops_nothing() -> None:
    text = json.dumps(LOGGED).encode().replace(b'"share": 0.5', b'"share": 1e999')
    block = prediction_block_of(Sent(1, text), logged(2), Sent(3, b"[]"), Sent(4, b"\xff"), Sent(5, None))
    assert [refused.offset for refused in block.refused] == [1, 3, 4, 5]


def test_a_prediction_of_long_ago_is_judged_by_when_the_broker_took_it() -> None:
    at = datetime.fromtimestamp(RECEIVED / 1000, UTC)
    assert not prediction_block_of(logged(1, predicted_at=(at - timedelta(days=1824)).isoformat())).refused


def test_the_same_messages_make_the_same_digest_and_any_other_content_another() -> None:
    digest = block_of([sent(0), sent(1)]).digest
    assert block_of([sent(0), sent(1)]).digest == digest
    assert block_of([sent(0), sent(1, region="UA-40")]).digest != digest
    assert block_of([Sent(0, None), sent(1)]).digest != digest


def test_messages_that_are_not_plain_leave_the_others_of_their_block_as_they_are() -> None:
    plain = [sent(offset, event_id=str(offset)) for offset in range(2500)]
    mixed: list[Message] = [*plain[:1100], Sent(1100, b"{}"), *plain[1101:]]
    block = block_of(mixed)
    expected = block_of(list(plain)).rows
    assert block.rows.equals(expected.filter(pc.not_equal(expected["offset"], 1100)))
    assert [refused.offset for refused in block.refused] == [1100]


def test_a_row_that_the_engine_refuses_is_found_again_among_the_messages() -> None:
    block = block_of([sent(3), sent(5, event_id="e5"), sent(9)])
    assert block.refuse(5, "row", "no").value == sent(5, event_id="e5").content


def test_the_size_of_a_message_is_that_of_its_body_its_key_and_its_headers() -> None:
    assert size_of(Sent(0, None)) == 2
    assert size_of(Sent(0, b"12345")) == 7
    assert size_of(Sent(0, b"12345", [("name", b"123"), ("none", None)])) == 18
