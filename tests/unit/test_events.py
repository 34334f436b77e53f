"""The event contract: what is refused, with which field and reason."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anmodel.errors import EventRefused
from anmodel.events import EVENT_TYPES, Event, decode_event, encode_event, encode_properties

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
EVENT = {
    "event_id": "e1",
    "event_type": "purchase",
    "timestamp": "2026-11-20T10:00:00.123456+02:00",
    "session_id": "s1",
    "user_id": "u1",
    "region": "UA-30",
    "properties": {"item_id": "item_1", "price": 10.5},
}


def decode(raw: bytes, max_age_days: int = 1825) -> Event:
    return decode_event(raw, now=NOW, max_age_days=max_age_days)


def refusal(**changed: object) -> str:
    with pytest.raises(EventRefused) as caught:
        decode(json.dumps({**EVENT, **changed}).encode())
    return str(caught.value)


def test_a_good_event_is_read_with_its_instant_in_utc_milliseconds() -> None:
    event = decode(json.dumps(EVENT).encode())
    assert event.ts == datetime(2026, 11, 20, 8, 0, 0, 123000, tzinfo=UTC)
    assert (event.item_id, event.price) == ("item_1", 10.5)
    assert json.loads(encode_properties(event)) == EVENT["properties"]


def test_properties_may_be_left_out_and_region_may_be_empty() -> None:
    event = decode(json.dumps({k: v for k, v in EVENT.items() if k != "properties"} | {"region": ""}).encode())
    assert (event.item_id, event.price, event.properties, event.region) == ("", None, {}, "")


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        (
            {"event_type": "zzz"},
            "event_type: Invalid enum value 'zzz'; allowed: page_view, product_view, add_to_cart, purchase, search,"
            " click",
        ),
        (
            {"timestamp": "2026-11-20T10:00:00"},
            "timestamp: Expected `datetime` with a timezone component; allowed: ISO 8601 with a zone,"
            " as 2026-01-31T09:30:00Z",
        ),
        (
            {"timestamp": "soon"},
            "timestamp: Invalid RFC3339 encoded datetime; allowed: ISO 8601 with a zone, as 2026-01-31T09:30:00Z",
        ),
        (
            {"timestamp": 1700000000},
            "timestamp: Expected `datetime`, got `int`; allowed: ISO 8601 with a zone, as 2026-01-31T09:30:00Z",
        ),
        (
            {"timestamp": "2200-01-01T00:00:00Z"},
            "timestamp: got 2200-01-01T00:00:00+00:00; allowed: at most one day ahead of now",
        ),
        (
            {"timestamp": "2000-01-01T00:00:00Z"},
            "timestamp: got 2000-01-01T00:00:00+00:00; allowed: at most 1825 days old",
        ),
        (
            {"timestamp": "0001-01-01T00:00:00+14:00"},
            "timestamp: got 0001-01-01T00:00:00+14:00; outside the calendar in UTC",
        ),
        ({"user_id": ""}, "user_id: Expected `str` of length >= 1"),
        ({"user_id": 7}, "user_id: Expected `str`, got `int`"),
        ({"event_id": "x" * 257}, "event_id: Expected `str` of length <= 256"),
        ({"session_id": "a\0b"}, "session_id: control character U+0000 at 1; none are allowed"),
        ({"region": None}, "region: Expected `str`, got `null`"),
        ({"properties": None}, "properties: Expected `object`, got `null`"),
        (
            {"properties": {"item_id": 5}},
            "properties.item_id: got a number; allowed: text of at most 256 characters",
        ),
        (
            {"properties": {"item_id": "a\nb"}},
            "properties.item_id: allowed: text of at most 256 characters without control characters",
        ),
        ({"properties": {"price": "9"}}, "properties.price: got text; allowed: a number from 0 to 1e+12"),
        ({"properties": {"price": True}}, "properties.price: got a truth value; allowed: a number from 0 to 1e+12"),
        ({"properties": {"price": -5}}, "properties.price: got -5; allowed: a number from 0 to 1e+12"),
        (
            {"properties": {"price": 10**400}},
            "properties.price: got a number of 401 digits; allowed: a number from 0 to 1e+12",
        ),
        (
            {"properties": {"price": -(10**400)}},
            "properties.price: got a number of 401 digits; allowed: a number from 0 to 1e+12",
        ),
        ({"colour": "red"}, "colour: unknown; further data belongs in properties"),
    ],
)
def test_a_bad_field_is_named_with_what_is_allowed(changed: dict[str, object], answer: str) -> None:
    assert refusal(**changed) == answer


@pytest.mark.parametrize("field", ["event_id", "event_type", "timestamp", "session_id", "user_id", "region"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(EventRefused) as caught:
        decode(json.dumps({k: v for k, v in EVENT.items() if k != field}).encode())
    assert str(caught.value) == f"{field}: required, but missing"


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (b"{", "body: not JSON: Input data was truncated"),
        (b"\xff", "body: not JSON: JSON is malformed: invalid character (byte 0)"),
        (b"[]", "body: Expected `object`, got `array`"),
        (b'"text"', "body: Expected `object`, got `str`"),
        (
            json.dumps(EVENT).encode().replace(b"10.5", b"NaN"),
            "body: not JSON: JSON is malformed: invalid character (byte 195)",
        ),
        (json.dumps(EVENT).encode().replace(b"10.5", b"1e999"), "properties[...]: Number out of range"),
        (
            json.dumps(EVENT).encode().replace(b'"u1"', b'"\\ud800"'),
            "body: not JSON: JSON is malformed: unexpected end of escaped utf-16 surrogate pair (byte 132)",
        ),
    ],
)
def test_text_that_is_no_event_is_refused_with_the_place(raw: bytes, answer: str) -> None:
    with pytest.raises(EventRefused) as caught:
        decode(raw)
    assert str(caught.value) == answer


def test_a_tower_of_brackets_is_refused_and_stops_nothing() -> None:
    raw = json.dumps(EVENT).encode().replace(b"10.5", b"[" * 50_000 + b"]" * 50_000)
    with pytest.raises(EventRefused, match="not JSON"):
        decode(raw)


def test_emoji_in_ids_are_kept_as_they_are() -> None:
    event = decode(json.dumps({**EVENT, "user_id": "🛒👩‍👧"}).encode())
    assert event.user_id == "🛒👩‍👧"


def test_the_age_limit_is_counted_from_the_given_now() -> None:
    week_old = json.dumps({**EVENT, "timestamp": (NOW - timedelta(days=7)).isoformat()}).encode()
    assert decode(week_old, max_age_days=7)
    with pytest.raises(EventRefused, match="at most 6 days old"):
        decode(week_old, max_age_days=6)


_texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=256)


@given(
    st.builds(
        Event,
        event_id=_texts,
        event_type=st.sampled_from(EVENT_TYPES),
        ts=st.datetimes(datetime(2022, 1, 1), datetime(2026, 11, 25)).map(
            lambda naive: naive.replace(microsecond=naive.microsecond // 1000 * 1000, tzinfo=UTC)
        ),
        session_id=_texts,
        user_id=_texts,
        region=_texts,
        properties=st.dictionaries(_texts, st.none() | st.booleans() | st.text() | st.integers(-(2**53), 2**53)).filter(
            lambda properties: not properties.keys() & {"item_id", "price"}
        ),
    )
)
def test_what_is_encoded_is_decoded_to_the_same(event: Event) -> None:
    assert decode(encode_event(event)) == event


@given(st.binary(max_size=200))
def test_any_bytes_are_either_an_event_or_refused(raw: bytes) -> None:
    try:
        answer = decode(raw).event_id
    except EventRefused as refused:
        answer = refused.field
    assert answer


def test_a_name_made_to_look_like_many_paths_costs_no_time_and_is_told_shortened() -> None:
    raw = json.dumps({" - at `$" * 30_000 + "\n": 1}).encode()
    started = time.perf_counter()
    with pytest.raises(EventRefused) as caught:
        decode(raw)
    assert time.perf_counter() - started < 1
    assert len(caught.value.field) < 300
    assert len(caught.value.reason) < 1100
