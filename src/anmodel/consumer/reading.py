"""Events read many at a time: the rows that `decode_event` would make, for a fifth of the time.

Whatever is not plain is left to `decode_event`: these functions only ever accept what it accepts too, and make the same
row of it (`tests/unit/test_reading.py` holds one against the other).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from anmodel.events import CONTROL, MAX_AHEAD, MAX_PRICE, MAX_TEXT, Event

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD = MAX_AHEAD // timedelta(milliseconds=1)
_DAY = 86_400_000
_INSTANT = pa.timestamp("ms", tz="UTC")
_PRICES = {int, float, type(None)}
_ITEMS = {str, type(None)}


class _Line(Event, frozen=True, forbid_unknown_fields=True, gc=False):
    """An event that the collector of garbage does not look at: a block's are made and dropped together."""


_decoder = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder()


def read_events(values: Sequence[bytes | None], received: Sequence[int], *, max_age_days: int) -> list[pa.Array] | None:
    """The columns of `EVENTS_SCHEMA` but the last two, a row for each message; None if one must be looked at singly.

    `received` is when the broker took each, in ms since 1970 UTC.
    """
    events = _decoded(values)
    if events is None:
        return None
    ids = [event.event_id for event in events]
    sessions = [event.session_id for event in events]
    users = [event.user_id for event in events]
    regions = [event.region for event in events]
    items = _items(events)
    instants = _instants(events, received, max_age_days)
    prices = _prices(events)
    if items is None or instants is None or prices is None or _hold_controls(ids, sessions, users, regions, items):
        return None
    return [
        _texts(ids),
        _texts([event.event_type for event in events]),
        instants,
        _texts(sessions),
        _texts(users),
        _texts(regions),
        _texts(items),
        prices,
        _texts(_encoder.encode_lines([event.properties for event in events]).split(b"\n")[:-1]),
        pa.array(received, pa.int64()).cast(_INSTANT),
    ]


def _decoded(values: Sequence[bytes | None]) -> list[_Line] | None:
    """The events, one a message, if they can be told apart.

    The messages are joined by line ends. Where each begins with a brace and ends with one, and holds no line end, no
    message can lean on another: a line end within a text is an error, and a value that ends within an array or object
    must be followed by a comma or a bracket, not by a brace. So each line holds one event or more, and the number
    decides.
    """
    try:
        lines = b"\n".join(values)  # type: ignore[arg-type]
    except TypeError:  # a message without a value
        return None
    gaps = len(values) - 1
    if not (lines.startswith(b"{") and lines.endswith(b"}") and lines.count(b"}\n{") == gaps == lines.count(b"\n")):
        return None
    try:
        events = _decoder.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return events if len(events) == len(values) else None


def _instants(events: Sequence[_Line], received: Sequence[int], max_age_days: int) -> pa.Array | None:
    """When each was, if all lie between 1970 and a day ahead, and none is too old."""
    since = pa.array([event.ts - _EPOCH for event in events], pa.duration("us")).cast(pa.int64())
    if pc.min(since).as_py() < 0:
        return None
    instants = pc.divide(since, 1000)
    ahead = pc.min_max(pc.subtract(instants, pa.array(received, pa.int64()))).as_py()
    if ahead["max"] > _AHEAD or ahead["min"] < -max_age_days * _DAY:
        return None
    return instants.cast(_INSTANT)


def _prices(events: Sequence[_Line]) -> pa.Array | None:
    prices = [event.properties.get("price") for event in events]
    if not set(map(type, prices)) <= _PRICES:
        return None
    try:
        column = pa.array(prices, pa.float64())
    except pa.ArrowInvalid:  # a whole number that no float holds exactly
        return None
    bounds = pc.min_max(column).as_py()
    if bounds["min"] is not None and not (bounds["min"] >= 0 and bounds["max"] <= MAX_PRICE):
        return None
    return column


def _items(events: Sequence[_Line]) -> list[str] | None:
    items = [event.properties.get("item_id") for event in events]
    if not set(map(type, items)) <= _ITEMS:
        return None
    texts = [item or "" for item in items]
    return texts if max(map(len, texts)) <= MAX_TEXT else None


def _hold_controls(*columns: list[str]) -> bool:
    """Whether a control character is in any of the texts. Most have none by a quick look, which may err on one side."""
    return any(not "".join(column).isprintable() and CONTROL.search(" ".join(column)) for column in columns)


def _texts(column: Sequence[Any]) -> pa.Array:
    return pa.array(column, pa.string())
