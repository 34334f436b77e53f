"""Events read many at a time are the rows that `decode_event` makes of each."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from anmodel.consumer.reading import read_events
from anmodel.consumer.streams import events_stream
from anmodel.errors import EventRefused
from anmodel.settings import ConsumerSettings

RECEIVED = 1_790_000_000_000  # 2026-09-21
DAYS = 1825
STREAM = events_stream(ConsumerSettings.load(clickhouse_password="x", event_max_age_days=DAYS - 1))
GOOD: dict[str, Any] = {
    "event_id": "e1",
    "event_type": "purchase",
    "timestamp": "2026-09-20T10:00:00.5Z",
    "session_id": "s1",
    "user_id": "u1",
    "region": "UA-30",
    "properties": {"item_id": "item_1", "price": 10, "colour": "red"},
}


def singly(values: list[bytes]) -> list[Any]:
    """A row a message, None for one that is refused."""
    rows = []
    for value in values:
        try:
            rows.append(STREAM.read(value, RECEIVED))
        except EventRefused:
            rows.append(None)
    return rows


def together(values: list[bytes]) -> list[Any] | None:
    columns = read_events(values, [RECEIVED] * len(values), max_age_days=DAYS)
    if columns is None:
        return None
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def plain(row: Any) -> Any:
    """Instants as the table has them: ms since 1970."""
    return tuple(round(cell.timestamp() * 1000) if isinstance(cell, datetime) else cell for cell in row)


def agree(values: list[bytes]) -> bool:
    """Whether they were read together; if so, the rows must be those of reading singly."""
    found = together(values)
    if found is None:
        return False
    assert [plain(row) for row in found] == [plain(row) for row in singly(values)]
    return True


def event(**changed: Any) -> bytes:
    return json.dumps({**GOOD, **changed}, ensure_ascii=False).encode()


def test_plain_events_are_read_together() -> None:
    assert agree([event(), event(properties={}), event(event_id="кава ☕", region="")])
    assert agree([event(properties={"item_id": None, "price": None}), event(properties={"price": 0.5})])
    assert agree([event(timestamp="2026-09-20T10:00:00.123999+05:30")])
    assert agree([event(properties={"quote": '"', "line": "a\nb"})])


EDGES = [
    {"timestamp": "2026-09-22T14:13:20Z"},  # a day ahead, to the ms
    {"timestamp": "2026-09-22T14:13:20.000999Z"},
    {"timestamp": "2026-09-22T14:13:20.001Z"},
    {"timestamp": (datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC) - timedelta(days=DAYS)).isoformat()},
    {"timestamp": (datetime(2026, 9, 21, 14, 13, 19, 999999, tzinfo=UTC) - timedelta(days=DAYS)).isoformat()},
    {"timestamp": "1969-12-31T23:59:59.9995Z"},
    {"timestamp": "0001-01-01T00:00:00+14:00"},
    {"timestamp": "9999-12-31T23:59:59-14:00"},
    {"timestamp": "2026-09-20T10:00:00"},
    {"event_id": "a\u0000"},
    {"session_id": "a\u007f"},
    {"user_id": "a\u0085\u00a0"},  # not printable, and allowed
    {"region": "\n"},
    {"properties": {"item_id": "a\tb"}},
    {"properties": {"item_id": "x" * 256}},
    {"properties": {"item_id": "x" * 257}},
    {"properties": {"item_id": 0}},
    {"properties": {"item_id": False}},
    {"properties": {"item_id": []}},
    {"properties": {"price": True}},
    {"properties": {"price": "1"}},
    {"properties": {"price": -0.0}},
    {"properties": {"price": -1}},
    {"properties": {"price": 10**12}},
    {"properties": {"price": 10**12 + 1}},
    {"properties": {"price": 2**63}},
    {"properties": {"price": 10**400}},
    {"properties": {"price": 2**53 + 1}},
    {"properties": [1]},
    {"properties": None},
    {"extra": 1},
    {"event_type": "view"},
    {"event_id": ""},
]


@pytest.mark.parametrize("changed", EDGES)
def test_what_lies_at_the_edge_of_the_contract_is_judged_alike(changed: dict[str, Any]) -> None:
    values = [event(), event(**changed), event()]
    accepted = None not in singly(values)
    assert agree(values) or not accepted or changed in PATIENT


PATIENT = [{"timestamp": "1969-12-31T23:59:59.9995Z"}]
"""Accepted, and read singly all the same."""


@pytest.mark.parametrize(
    "values",
    [
        [event()[:-1], event()],
        [event() + event(), b"{}"],
        [event() + b"\n" + event(), event()[:-3]],
        [event(properties={"x": [{}]})[:-3], b"{}]}}", event() + event()],
        [event(region="a}")[:-1].replace(b'a}"', b"a}"), b'{", "x": "}', event() + event() + event()],
        [b" " + event()],
        [event(), b""],
        [b""],
        [b"[" + event() + b"]"],
        [event().replace(b"{", b"{\n", 1)],
        [event().replace(b'"region"', b'"region": "a", "region"')],
        [b"\xff" + event()],
        [b"{" * 100_000],
    ],
)
def test_messages_cannot_lean_on_one_another(values: list[bytes]) -> None:
    agree(values)


def test_a_message_without_a_value_is_read_singly() -> None:
    assert read_events([event(), None], [RECEIVED] * 2, max_age_days=DAYS) is None


texts = some.text(max_size=8) | some.sampled_from(
    ["", "a" * 256, "a" * 257, "\u0000", "\x7f", "}", "{", '"', "\\", "\n"]
)
anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | texts,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
instants = some.datetimes(datetime(2021, 9, 1), datetime(2026, 9, 30)).map(lambda at: at.isoformat() + "Z") | texts
properties = some.fixed_dictionaries(
    {}, optional={"item_id": texts | anything, "price": some.floats() | anything, "x": anything}
)
fields = some.fixed_dictionaries(
    {},
    optional={
        "event_id": texts,
        "event_type": some.sampled_from(["purchase", "click", "view"]),
        "timestamp": instants,
        "session_id": texts,
        "user_id": texts,
        "region": texts,
        "properties": properties,
        "other": anything,
    },
)
whole = fields.map(lambda changed: event(**changed))
cut = some.tuples(whole, some.integers(0, 400), some.integers(0, 400)).map(lambda it: it[0][it[1] : -it[2] or None])
messages = some.just(event()) | whole | cut | some.binary(max_size=6) | some.tuples(whole, whole).map(b"".join)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.lists(messages, min_size=1, max_size=6))
def test_whatever_comes_no_message_is_taken_that_would_be_refused_alone_and_none_changes(values: list[bytes]) -> None:
    agree(values)
