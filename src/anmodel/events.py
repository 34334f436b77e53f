"""The event contract: what a shop may send, and how one event is read.

The collector and the consumer both read events by `read_event`, since other producers may write to the topic too.

On the wire an event is a JSON object::

    {"event_id": "…", "event_type": "purchase", "timestamp": "2026-01-31T09:30:00Z", "session_id": "…",
     "user_id": "…", "region": "UA-30", "properties": {"item_id": "item_7", "price": 129.5}}

`event_id`, `session_id` and `user_id` are 1 to 256 characters without control characters; `region` may be empty.
`timestamp` is ISO 8601 with a zone. `properties` holds what else is known; in it `item_id` is a text and `price` a
number from 0 up, where given. A repeat is an event of the same user, instant and id.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, get_args

import msgspec

from anmodel.errors import EventRefused

EventType = Literal["page_view", "product_view", "add_to_cart", "purchase", "search", "click"]
EVENT_TYPES: tuple[str, ...] = get_args(EventType)

MAX_AHEAD = timedelta(days=1)
MAX_TEXT = 256
MAX_PRICE = 1e12
_FLOAT_HOLDS = 10**300

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")  # no dot: a name full of such beginnings would take minutes
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"ts": "timestamp"}):
    """One thing a visitor did. `ts` is an instant in UTC, whole milliseconds."""

    event_id: _Id
    event_type: EventType
    ts: Annotated[datetime, msgspec.Meta(tz=True)]
    session_id: _Id
    user_id: _Id
    region: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
    properties: dict[str, Any] = {}

    @property
    def item_id(self) -> str:
        """The item the event is about, "" if none."""
        return self.properties.get("item_id") or ""

    @property
    def price(self) -> float | None:
        """The item's price in the shop's currency, None if the event has none."""
        price = self.properties.get("price")
        return None if price is None else float(price)


_decoder = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Times:
    """The instants that events may carry, from `oldest` to `newest`. Made once for many events: it costs as much as
    reading one."""

    oldest: datetime
    newest: datetime
    max_age_days: int

    @classmethod
    def around(cls, now: datetime, max_age_days: int) -> "Times":
        """At most `max_age_days` behind `now` (aware), at most a day ahead of it."""
        return cls(now - timedelta(days=max_age_days), now + MAX_AHEAD, max_age_days)


def decode_event(raw: bytes, *, now: datetime, max_age_days: int) -> Event:
    """Read one event from JSON; raises `EventRefused` naming the field and what was allowed.

    `now` (aware) bounds the time: more than a day ahead of it, or more than `max_age_days` behind, is refused and
    never replaced.
    """
    return read_event(raw, Times.around(now, max_age_days))


def read_event(raw: bytes | msgspec.Raw, times: Times) -> Event:
    """`decode_event` for one of many."""
    try:
        event = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventRefused("body", f"not JSON: {error}") from error
    # what can be printed has no control characters, and most texts can
    if not (event.event_id + event.session_id + event.user_id + event.region).isprintable():
        _check_texts(event)
    if event.properties:
        _check_properties(event.properties)
    ts = _instant(event.ts, times)
    return event if ts is event.ts else msgspec.structs.replace(event, ts=ts)


def encode_event(event: Event) -> bytes:
    """The event's wire form, JSON in UTF-8 with the fields in the contract's order."""
    return _encoder.encode(event)


def encode_properties(event: Event) -> str:
    """The event's properties as JSON text, as the table keeps them."""
    return _encoder.encode(event.properties).decode()


def field_and_reason(message: str) -> tuple[str, str]:
    """msgspec's message of a fault, split into the path of the field (`body` for the whole) and the reason."""
    found = _PATH.search(message)
    return (found[1] if found and found[1] else "body"), _PATH.sub("", message)


def _refusal(message: str) -> EventRefused:
    """The refusal that msgspec's message stands for."""
    field, reason = field_and_reason(message)
    if field == "timestamp":
        reason = f"{reason}; allowed: ISO 8601 with a zone, as 2026-01-31T09:30:00Z"
    if field == "event_type":
        reason = f"{reason}; allowed: {', '.join(EVENT_TYPES)}"
    if named := re.search(r"(?:missing required|contains unknown) field `(.*)`", reason):
        missing = "missing" in reason
        field = named[1]
        reason = "required, but missing" if missing else "unknown; further data belongs in properties"
    return EventRefused(field, reason)


def _check_texts(event: Event) -> None:
    for field in ("event_id", "session_id", "user_id", "region"):
        text: str = getattr(event, field)
        if found := CONTROL.search(text):
            raise EventRefused(field, f"control character U+{ord(found[0]):04X} at {found.start()}; none are allowed")


def _check_properties(properties: dict[str, Any]) -> None:
    item = properties.get("item_id")
    if item is not None:
        if not isinstance(item, str):
            raise EventRefused(
                "properties.item_id", f"got {_kind(item)}; allowed: text of at most {MAX_TEXT} characters"
            )
        if len(item) > MAX_TEXT or (not item.isprintable() and CONTROL.search(item)):
            raise EventRefused(
                "properties.item_id", f"allowed: text of at most {MAX_TEXT} characters without control characters"
            )
    price = properties.get("price")
    if price is None:
        return
    if isinstance(price, bool) or not isinstance(price, int | float):
        raise EventRefused("properties.price", f"got {_kind(price)}; allowed: a number from 0 to {MAX_PRICE:.0e}")
    if not 0 <= price <= MAX_PRICE:
        # a whole number may have hundreds of digits, more than a float holds
        came = f"{price:g}" if abs(price) < _FLOAT_HOLDS else f"a number of {len(str(abs(price)))} digits"
        raise EventRefused("properties.price", f"got {came}; allowed: a number from 0 to {MAX_PRICE:.0e}")


def _kind(value: object) -> str:
    """The JSON name of a value's type."""
    names = {
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "text",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")


def _instant(ts: datetime, times: Times) -> datetime:
    """`ts` in UTC, cut to milliseconds, if it lies in the allowed range; the same object where it is so already."""
    if ts.tzinfo is not UTC:
        try:
            ts = ts.astimezone(UTC)
        except OverflowError as error:
            raise EventRefused("timestamp", f"got {ts.isoformat()}; outside the calendar in UTC") from error
    if odd := ts.microsecond % 1000:
        ts = ts.replace(microsecond=ts.microsecond - odd)
    if ts > times.newest:
        raise EventRefused("timestamp", f"got {ts.isoformat()}; allowed: at most one day ahead of now")
    if ts < times.oldest:
        raise EventRefused("timestamp", f"got {ts.isoformat()}; allowed: at most {times.max_age_days} days old")
    return ts
