"""Public clickstreams as events: RetailRocket and REES46 (CSV), OTTO (JSON lines).

    RetailRocket  timestamp,visitorid,event,itemid,transactionid                       (ms; no prices, no sessions)
    REES46        event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
    OTTO          {"session": …, "events": [{"aid": …, "ts": …, "type": …}]}          (ms; a session is a user)

They have no event ids: an event is named by its line (and place), so replaying a file again changes nothing. What our
contract has no type for (REES46's remove_from_cart) is passed over.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from anmodel.replay.own import csv_rows
from anmodel.replay.records import Record, Records, make_event

RETAILROCKET = ("timestamp", "visitorid", "event", "itemid", "transactionid")
REES46 = ("event_time", "event_type", "product_id", "price", "user_id", "user_session")

_RETAILROCKET_TYPES = {"view": "product_view", "addtocart": "add_to_cart", "transaction": "purchase"}
_REES46_TYPES = {"view": "product_view", "cart": "add_to_cart", "purchase": "purchase", "remove_from_cart": None}
_OTTO_TYPES = {"clicks": "product_view", "carts": "add_to_cart", "orders": "purchase"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_retailrocket(path: Path) -> Records:
    """A session is a visitor's day, a transaction's lines are one session."""
    for line, row in csv_rows(path):
        try:
            yield _retailrocket(line, row)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            yield Record(line, None, f"body: no RetailRocket row: {error!r}")


def read_rees46(path: Path) -> Records:
    """`category_code` and `brand` are kept as properties where given."""
    for line, row in csv_rows(path):
        try:
            kind = _REES46_TYPES[row["event_type"]]
            if kind is not None:
                yield _rees46(line, row, kind)
        except (ValueError, KeyError, TypeError) as error:
            yield Record(line, None, f"body: no REES46 row: {error!r}")


def read_otto(path: Path) -> Records:
    """Many events a line."""
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            if raw.strip():
                yield from _otto(line, raw)


def _retailrocket(line: int, row: dict[str, Any]) -> Record:
    at, visitor = _instant(row["timestamp"]), row["visitorid"]
    order = row["transactionid"]
    return make_event(
        line,
        {
            "event_id": f"retailrocket-{line}",
            "event_type": _RETAILROCKET_TYPES[row["event"]],
            "timestamp": at,
            "session_id": f"order-{order}" if order else f"{visitor}-{at:%Y-%m-%d}",
            "user_id": visitor,
            "region": "",
            "properties": {"item_id": row["itemid"]},
        },
    )


def _rees46(line: int, row: dict[str, Any], kind: str) -> Record:
    at = datetime.strptime(row["event_time"], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    properties = {"item_id": row["product_id"], "price": float(row["price"])}
    properties |= {name: row[name] for name in ("category_code", "brand") if row.get(name)}
    return make_event(
        line,
        {
            "event_id": f"rees46-{line}",
            "event_type": kind,
            "timestamp": at,
            "session_id": row["user_session"] or f"{row['user_id']}-{at:%Y-%m-%d}",
            "user_id": row["user_id"],
            "region": "",
            "properties": properties,
        },
    )


def _otto(line: int, raw: bytes) -> Iterator[Record]:
    try:
        body = msgspec.json.decode(raw)
        session = str(body["session"])
        steps = [(_OTTO_TYPES[step["type"]], _instant(step["ts"]), str(step["aid"])) for step in body["events"]]
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError, OverflowError) as error:
        yield Record(line, None, f"body: no OTTO session: {error!r}")
        return
    for place, (kind, at, item) in enumerate(steps):
        yield make_event(
            line,
            {
                "event_id": f"otto-{session}-{place}",
                "event_type": kind,
                "timestamp": at,
                "session_id": session,
                "user_id": session,
                "region": "",
                "properties": {"item_id": item},
            },
        )


def _instant(milliseconds: Any) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(milliseconds))
