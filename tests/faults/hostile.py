"""Messages that are no events."""

import json
import random
from collections.abc import Iterator

from streaming import events


def hostile_messages(count: int, seed: int) -> Iterator[bytes | None]:
    """Messages that break the contract, each in a way of its own. The same seed makes the same ones."""
    chance = random.Random(seed)
    good = [json.dumps(event).encode() for event in events(200, seed=seed)]
    ways = [
        lambda text: None,
        lambda text: chance.randbytes(chance.randrange(1, 300)),
        lambda text: text[: chance.randrange(len(text))],
        lambda text: text + chance.choice([b"}", b",", b"\x00", b"{}", text]),
        lambda text: b"[" * chance.randrange(1, 3000),
        lambda text: b'{"a":' * chance.randrange(1, 3000),
        lambda text: b"[" + text + b"]",
        lambda text: text.replace(b'"event_id"', b'"id"'),
        lambda text: text.replace(b'"user_id": "', b'"user_id": "' + b"x" * 5000),
        lambda text: text.replace(b'"user_id": "', b'"user_id": "\\u0000'),
        lambda text: text.replace(b'"user_id": "', b'"user_id": "\\ud800'),
        lambda text: text.replace(b'"user_id": "', b'"user_id": "\xc3\x28'),
        lambda text: text.replace(b'"price": ', b'"price": -1'),
        lambda text: text.replace(b'"price": ', b'"price": 1e999, "was": '),
        lambda text: text.replace(b'"price": ', b'"price": NaN, "was": '),
        lambda text: text.replace(b'"timestamp": "2', b'"timestamp": "9'),
        lambda text: text.replace(b'"timestamp": "20', b'"timestamp": "19'),
        lambda text: text.replace(b"+00:00", b""),
        lambda text: text.replace(b"+00:00", b"+99:00"),
        lambda text: text.replace(b'"event_type": "', b'"event_type": "DROP TABLE '),
        lambda text: text.replace(b'"region": "UA-30"', b'"region": ' + str(10**400).encode()),
        lambda text: text.replace(b'"properties": {', b'"properties": [], "more": {'),
        lambda text: text.replace(b'"session_id"', b'"session_id": 7, "more"'),
        lambda text: text.decode().encode("utf-16"),
        lambda text: b"\xef\xbb\xbf" + text[:-1],
    ]
    for number in range(count):
        yield ways[number % len(ways)](chance.choice(good))
