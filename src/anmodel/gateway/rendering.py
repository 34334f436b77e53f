"""Rows of `forecasts` and of the users table as the JSON that clients see. It computes and talks to nothing."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from anmodel.forecasts import SEGMENTS
from anmodel.gateway.selection import SHOWN, Run, Selection

encode = msgspec.json.encode
decode = msgspec.json.decode


def instant(at: datetime) -> str:
    """An instant in UTC as ISO-8601, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def forecast_user(row: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """A `User` of a row of `forecasts`."""
    features = decode(row["features"])
    features["snapshot_date"] = run.snapshot_date
    features.update((name, row[name]) for name in SHOWN)
    return {
        "user_id": row["user_id"],
        "region": row["region"] or None,
        "segment": row["segment"] if row["segment"] in SEGMENTS else None,
        "percentile": row["percentile"],
        "features": features,
    }


def listed_user(user_id: str, region: str | None) -> dict[str, Any]:
    """A `User` without a forecast."""
    return {"user_id": user_id, "region": region or None, "segment": None, "percentile": None, "features": {}}


def forecast_detail(row: Mapping[str, Any]) -> dict[str, Any]:
    """The reasons and intervals of a `UserDetail`."""
    return {
        "reasons": decode(row["reasons"] or "[]"),
        "intervals": {
            name: [row[f"{name}_low"], row[f"{name}_high"]] for name in ("days_to_next", "next_purchase_amount")
        },
    }


def recent_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """A `RecentEvent` of a row of `events_raw`."""
    return {
        "ts": row["ts"],
        "event_type": row["event_type"],
        "item_id": row["item_id"] or None,
        "price": row["price"],
    }


def segment_sizes(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All four segments in their order, those without users too."""
    known = {row["segment"]: row for row in rows}
    nobody: Mapping[str, Any] = {"users": 0, "expected_revenue": 0.0}
    return [
        {
            "segment": name,
            "users": known.get(name, nobody)["users"],
            "expected_revenue": round(known.get(name, nobody)["expected_revenue"], 2),
        }
        for name in SEGMENTS
    ]


def regions_of(regions: Iterable[str | None]) -> list[str]:
    """Each region once, sorted; the unknown one is none."""
    return sorted({region for region in regions if region})


def page_end(total: int, selection: Selection, *, run: Run | None = None, reason: str | None = None) -> dict[str, Any]:
    """What a `UserPage` holds besides its users; without a run it is a fallback and `reason` says why."""
    return {
        "total": total,
        "limit": selection.limit,
        "offset": selection.offset,
        "mode": "full" if run else "fallback",
        "reason": reason,
        "snapshot_date": run.snapshot_date if run else None,
        "model_version": run.model_version if run else None,
    }


def streamed_page(users: Iterable[dict[str, Any]], end: Mapping[str, Any]) -> Iterator[bytes]:
    """A `UserPage` piece by piece, so that a million users need no million users' memory."""
    waiting = bytearray(b'{"users":[')
    for position, user in enumerate(users):
        if position:
            waiting += b","
        waiting += encode(user)
        if len(waiting) > 65_536:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting) + b"]," + encode(end)[1:]
