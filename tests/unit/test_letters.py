"""Which dead letters are meant, and which would be taken now."""

from datetime import UTC, datetime
from typing import Any

import pytest

from anmodel.consumer.letters import Choice, Letter, instant, read_letter, select
from anmodel.errors import InputError, MessageRefused

HEADERS = {
    "field": b"row",
    "reason": b"ClickHouse did not confirm an insert: Code: 469",
    "stage": b"consumer",
    "time": b"2026-11-20T10:00:00.000+00:00",
    "origin_topic": b"raw-events",
    "origin_partition": b"2",
    "origin_offset": b"17",
}


def letter(value: bytes | None = b'{"event_id": "e1"}', **changed: bytes) -> Letter:
    read = read_letter("dead:0:1", b"u1", value, HEADERS | changed)
    assert read is not None
    return read


def at(hour: int) -> datetime:
    return datetime(2026, 11, 20, hour, tzinfo=UTC)


def accept(topic: str, value: bytes) -> None:
    if value == b"bad":
        raise MessageRefused("body", "not JSON: at byte 0")


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (Choice(), True),
        (Choice(reason="code: 469"), True),
        (Choice(reason="row"), True),
        (Choice(reason="not JSON"), False),
        (Choice(stage="consumer"), True),
        (Choice(stage="collector"), False),
        (Choice(since=at(10)), True),
        (Choice(since=at(11)), False),
        (Choice(until=at(11)), True),
        (Choice(until=at(10)), False),
        (Choice(ids=frozenset({"e1"})), True),
        (Choice(ids=frozenset({"raw-events:2:17"})), True),
        (Choice(ids=frozenset({"e2"})), False),
    ],
)
def test_letters_are_chosen_by_reason_stage_time_and_id(choice: Choice, meant: bool) -> None:
    assert choice.means(letter()) is meant


def test_a_letter_without_a_readable_time_is_in_no_span_of_time() -> None:
    assert not Choice(since=at(0)).means(letter(time=b"soon"))
    assert Choice().means(letter(time=b"soon"))


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[]", b'{"event_id": 5}', b"[" * 100_000])
def test_a_body_that_tells_no_id_is_not_meant_by_one(value: bytes | None) -> None:
    assert not Choice(ids=frozenset({"e1"})).means(letter(value))


def test_a_message_is_sent_once_however_often_it_was_refused() -> None:
    other = letter(origin_offset=b"18")
    assert select([letter(), letter(), other], Choice(), accept).letters == [letter(), other]


def test_what_cannot_go_back_is_left_out_and_told() -> None:
    found: list[Any] = [None, letter(None, origin_offset=b"1"), letter(b"bad", origin_offset=b"2"), letter()]
    selection = select(found, Choice(), accept)
    assert selection.letters == [letter()]
    assert (selection.read, selection.chosen) == (4, 3)
    assert set(selection.left_out) == {
        "it does not say where it came from",
        "it has no body",
        "would be refused again: body: not JSON",
    }


def test_a_message_that_is_no_letter_has_no_origin() -> None:
    assert read_letter("dead:0:1", None, b"x", {}) is None


@pytest.mark.parametrize("text", ["yesterday", "2026-11-20T10:00:00"])
def test_a_time_that_is_none_or_has_no_zone_is_refused_and_named(text: str) -> None:
    with pytest.raises(InputError, match="--since"):
        instant(text, "--since")
