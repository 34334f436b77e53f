"""Events for measurements, of many users and items, as a shop would send them. The same seed makes the same ones."""

import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any


def events(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Good events of the last hour, of a thousand users and items."""
    chance = random.Random(seed)
    now = datetime.now(UTC)
    return [_event(chance, now - timedelta(milliseconds=chance.randrange(3_600_000))) for _ in range(count)]


def lines(count: int, seed: int = 1) -> list[str]:
    """The same, each as a line of JSON."""
    return [json.dumps(event, separators=(",", ":")) for event in events(count, seed)]


def _event(chance: random.Random, at: datetime) -> dict[str, Any]:
    kind = chance.choices(["page_view", "product_view", "add_to_cart", "purchase"], [60, 30, 7, 3])[0]
    return {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "event_type": kind,
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "session_id": f"s-{chance.randrange(100_000)}",
        "user_id": f"user-{chance.randrange(1000)}",
        "region": f"UA-{chance.randrange(1, 27):02d}",
        "properties": {"item_id": f"item_{chance.randrange(1000)}", "price": chance.randrange(100, 100_000) / 100},
    }
