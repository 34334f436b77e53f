"""The decoder of events under hostile input: it returns an event that keeps the contract, or refuses; nothing else.

FUZZ_INPUTS says how many inputs are tried (`make fuzz`: a million), FUZZ_SEED which.
"""

import json
import os
import random
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from anmodel.errors import EventRefused
from anmodel.events import EVENT_TYPES, Event, Times, decode_event, encode_event, read_event

INPUTS = int(os.environ.get("FUZZ_INPUTS", "20000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AGE = 1825

GOOD: dict[str, Any] = {
    "event_id": "7b0d6c1e-6f8e-4a52-9a1b-0c6f8f9f3c11",
    "event_type": "purchase",
    "timestamp": "2026-11-20T10:00:00.123456+02:00",
    "session_id": "s1",
    "user_id": "u-17 🛒",
    "region": "UA-30",
    "properties": {"item_id": "item_1", "price": 10.5, "more": [1, {"a": None}]},
}
VALUES = (
    *("", " ", "x" * 256, "x" * 257, "\x00", "a\x1fb", "\x7f", "\x80", "\u2028", "\u200b", "\ufeff", "é", "🛒" * 256),
    *(None, True, False, 0, -1, -0.0, 1e12, 1e12 + 1, 1e308, 10**400, -(10**400), 2**63, 0.1, [], {}, [[]], {"": ""}),
    *("2026-11-24T12:00:00Z", "2026-11-25T12:00:00Z", "2026-11-25T12:00:00.001Z", "2021-11-25T12:00:00Z"),
    *(
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-11-20",
        "2026-11-20T10:00:00",
        "2016-12-31T23:59:60Z",
    ),
    *("page_view", "PURCHASE", "purchase ", "search"),
)
PIECES = (
    *(
        b'"',
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b"\\ud83d\\uded2",
        b"\x00",
        b"\x1f",
        b"\x7f",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
    ),
    *(b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"NaN", b"Infinity", b"-", b"1e999", b"1e-999", b"00"),
    *(b"[" * 2000, b'{"a":' * 2000, b"9" * 5000, b" ", b"\n", b"\t", b"\xef\xbb\xbf", b'"event_id":"again",', b"/**/"),
)


def inputs(count: int, seed: int) -> Iterator[bytes]:
    """Events with other values, and texts of events with other bytes. The same seed makes the same ones."""
    chance = random.Random(seed)
    for number in range(count):
        raw = json.dumps(_other_values(chance), ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass")
        yield raw if number % 3 == 0 else _other_bytes(chance, raw)


def _other_values(chance: random.Random) -> dict[str, Any]:
    event = {**GOOD, "properties": dict(GOOD["properties"])}
    for _ in range(chance.choice((0, 1, 1, 2))):
        part = event if chance.random() < 0.7 else event.get("properties")
        if not isinstance(part, dict):
            continue
        name = chance.choice([*part, "extra"])
        if chance.random() < 0.15:
            part.pop(name, None)
        else:
            part[name] = deepcopy(chance.choice(VALUES))
    return event


def _other_bytes(chance: random.Random, raw: bytes) -> bytes:
    text = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(text) + 1)
        length = chance.choice((0, 0, 1, 3, 20))
        kind = chance.random()
        if kind < 0.4:
            text[at : at + length] = chance.choice(PIECES)
        elif kind < 0.6:
            text[at : at + 1] = bytes([chance.randrange(256)])
        elif kind < 0.8:
            del text[at : at + length]
        else:
            other = chance.randrange(len(text) + 1)
            text[at:at] = text[other : other + length]
    return bytes(text)


def keeps_the_contract(event: Event) -> bool:
    """What docs/events.md promises of an event, said as plainly as can be."""
    texts = (event.event_id, event.session_id, event.user_id, event.region)
    item = event.properties.get("item_id")
    price = event.properties.get("price")
    return (
        all(1 <= len(text) <= 256 for text in texts[:3])
        and len(event.region) <= 256
        and not any(re.search(r"[\x00-\x1f\x7f]", text) for text in (*texts, item or ""))
        and event.event_type in EVENT_TYPES
        and event.ts.utcoffset() == timedelta(0)
        and event.ts.microsecond % 1000 == 0
        and NOW - timedelta(days=AGE) <= event.ts <= NOW + timedelta(days=1)
        and (item is None or (isinstance(item, str) and len(item) <= 256))
        and (price is None or (type(price) in (int, float) and 0 <= price <= 1e12))
    )


def test_whatever_comes_is_an_event_that_keeps_the_contract_or_is_refused() -> None:
    times = Times.around(NOW, AGE)
    taken = 0
    for raw in inputs(INPUTS, SEED):
        try:
            event = read_event(raw, times)
        except EventRefused as refused:
            f"{refused.field}{refused.reason}".encode()  # the answer shows it, and a header of the dead letter
            continue
        taken += 1
        assert keeps_the_contract(event), raw
        assert read_event(encode_event(event), times) == event, raw
    assert INPUTS / 20 < taken < INPUTS * 0.8  # neither all good nor all bad: else nothing was tried


def test_an_event_is_judged_alike_alone_and_among_others() -> None:
    times = Times.around(NOW, AGE)
    for raw in inputs(2000, SEED + 1):
        alone = judged(lambda raw=raw: decode_event(raw, now=NOW, max_age_days=AGE))
        assert judged(lambda raw=raw: read_event(raw, times)) == alone


def judged(read: Callable[[], Event]) -> Event | str:
    """The event, or why it was refused."""
    try:
        return read()
    except EventRefused as refused:
        return str(refused)
