"""Blocks, and how offsets are committed."""

import json
from concurrent.futures import Future
from dataclasses import dataclass

import pytest

from anmodel.consumer.assigned import Assigned
from anmodel.consumer.blocks import Partition, make_block
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

    def offset(self) -> int:
        return self.place

    def key(self) -> bytes:
        return b"u1"

    def value(self) -> bytes | None:
        return self.content

    def timestamp(self) -> tuple[int, int]:
        return (2, RECEIVED)


def sent(offset: int, **changed: object) -> Sent:
    return Sent(offset, json.dumps({**EVENT, **changed}).encode())


def test_a_block_holds_every_column_and_its_offsets() -> None:
    block = make_block(PLACE, [sent(10), sent(12, event_id="e2", properties={})], max_age_days=1825)
    assert block.name == "raw-events:2:10-12"
    assert block.rows.schema == EVENTS_SCHEMA
    first, second = block.rows.to_pylist()
    assert first["received_at"].isoformat() == "2026-09-21T14:13:20+00:00"
    assert first["ts"].isoformat() == "2026-09-20T10:00:00.500000+00:00"
    assert json.loads(first["properties"]) == EVENT["properties"]
    assert (first["item_id"], first["price"], first["partition"], first["offset"]) == ("item_1", 10.0, 2, 10)
    assert (second["item_id"], second["price"], second["properties"], second["offset"]) == ("", None, "{}", 12)


def test_messages_that_are_no_events_are_kept_whole_with_the_reason() -> None:
    block = make_block(PLACE, [Sent(0, b"{"), sent(1), Sent(2, None), sent(3, region=5)], max_age_days=1825)
    assert block.rows["offset"].to_pylist() == [1]
    assert [(refused.offset, refused.value, refused.field) for refused in block.refused] == [
        (0, b"{", "body"),
        (2, None, "body"),
        (3, sent(3, region=5).content, "region"),
    ]
    assert (block.first, block.last) == (0, 3)


def test_a_message_that_our_own_code_cannot_read_is_kept_whole_and_stops_nothing() -> None:
    unforeseen = Sent(0, 5)  # type: ignore[arg-type]
    block = make_block(PLACE, [unforeseen, sent(1)], max_age_days=1825)
    assert block.rows["offset"].to_pylist() == [1]
    assert block.refused[0].reason.startswith("could not be read: TypeError: ")


def test_an_events_age_is_judged_by_when_the_broker_took_it_not_by_the_clock_now() -> None:
    (message,) = [sent(0, timestamp="2026-09-20T10:00:00Z")]
    assert not make_block(PLACE, [message], max_age_days=1).refused
    (old,) = [sent(0, timestamp="2026-09-10T10:00:00Z")]
    assert make_block(PLACE, [old], max_age_days=1).refused[0].field == "timestamp"


def test_offsets_are_committed_only_up_to_the_first_block_still_under_way() -> None:
    assigned = Assigned(PLACE)
    futures: list[Future[None]] = [Future() for _ in range(3)]
    for last, future in zip((9, 19, 29), futures, strict=True):
        assigned.track(last, future)
    futures[1].set_result(None)
    assert assigned.finished() is None
    futures[0].set_result(None)
    assert assigned.finished() == 20
    assert assigned.finished() is None
    futures[2].set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        assigned.finished()


def test_a_block_is_due_when_full_or_when_its_first_message_waited() -> None:
    assigned = Assigned(PLACE)
    assert not assigned.is_due(2, 0.0)
    assigned.add(sent(0))
    assert not assigned.is_due(2, 60.0)
    assert assigned.is_due(2, 0.0)
    assigned.add(sent(1))
    assigned.add(sent(2))
    assert assigned.is_due(2, 60.0)
    assert [message.offset() for message in assigned.cut(2)] == [0, 1]
    assert assigned.waiting == 1
