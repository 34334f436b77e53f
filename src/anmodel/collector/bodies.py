"""What came in one request: one event, a JSON array of events, or NDJSON (one event a line)."""

from typing import NamedTuple

import msgspec

from anmodel.errors import EventRefused, RequestRefused

NDJSON = (b"application/x-ndjson", b"application/ndjson", b"application/jsonl", b"application/x-jsonlines")

_COMMAS = 100
"""In an array, for each event that is allowed: one has six or more. Lines may be empty, every other one."""

_array = msgspec.json.Decoder(list[msgspec.Raw])


class Body(NamedTuple):
    """The events of a request as they came; `single` when it was one object, answered as the original answered."""

    events: list[bytes]
    single: bool


def split_body(body: bytes, content_type: bytes = b"", most: int = 10_000) -> Body:
    """Take a body apart without judging its events; raises `EventRefused` when there is nothing to judge, and
    `RequestRefused` when it can be seen, before it costs any memory, that there are far more than `most`.

    NDJSON is known by its content type, or by its first line being a whole object with more to follow. Any other
    content type is JSON: a page's beacon can only say that it is text.
    """
    text = body.strip()
    if not text:
        raise EventRefused("body", "empty; allowed: an event as a JSON object, an array of events, or one event a line")
    if (content_type != b"application/json" and _is_ndjson(content_type)) or (
        b"\n" in text and _looks_like_lines(text)
    ):
        _check_pieces(text.count(b"\n"), 2 * most)
        return Body([line for line in map(bytes.strip, text.split(b"\n")) if line], single=False)
    if text.startswith(b"["):
        _check_pieces(text.count(b","), _COMMAS * most)
        return Body(_elements(text), single=False)
    return Body([text], True)


def _check_pieces(pieces: int, most: int) -> None:
    if pieces > most:
        reason = f"{pieces} lines or commas; a batch of at most COLLECT_MAX_EVENTS events may have {most}"
        raise RequestRefused(413, "body", reason)


def _is_ndjson(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() in NDJSON


def _looks_like_lines(text: bytes) -> bool:
    first, _, _ = text.partition(b"\n")
    return first.startswith(b"{") and first.rstrip().endswith(b"}") and _is_json(first)


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _elements(text: bytes) -> list[bytes]:
    try:
        events = [bytes(raw) for raw in _array.decode(text)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise EventRefused(
            "body", f"the array is not JSON: {error}. Send one event a line (NDJSON) to have each judged alone."
        ) from error
    if not events:
        raise EventRefused("body", "an empty batch; allowed: at least one event")
    return events


def event_id_of(raw: bytes) -> str | None:
    """The id of an event that was refused, if it can be read at all; for the answer only."""
    try:
        found = msgspec.json.decode(raw, type=_Named).event_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, str) else None


class _Named(msgspec.Struct):
    event_id: object = None
