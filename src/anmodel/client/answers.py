"""What a collector answers, or another server in its place, as the client reads it."""

from typing import Any

import httpx
import msgspec

LONGEST_WAIT = 5.0
"""Seconds between two tries at most, whatever is asked."""


class Answered(msgspec.Struct):
    """One event's line in the collector's answer."""

    index: int
    status: str
    event_id: str | None = None
    field: str | None = None
    reason: str | None = None


class _BatchAnswer(msgspec.Struct):
    events: list[Answered]


_answer_decoder = msgspec.json.Decoder(_BatchAnswer)


def read_answer(response: httpx.Response, size: int) -> list[Answered] | None:
    """The answer per event, None if this is not one for `size` events."""
    try:
        answer = _answer_decoder.decode(response.content).events
    except msgspec.MsgspecError:
        return None
    return answer if [item.index for item in answer] == list(range(size)) else None


def problem_of(response: httpx.Response) -> tuple[str, str]:
    """Field and reason of a problem answer: ours, or any other's text."""
    try:
        body: Any = msgspec.json.decode(response.content)
        first = body["detail"][0]
        return str(first["field"]), str(first["reason"])
    except (msgspec.MsgspecError, LookupError, TypeError):
        return "body", f"HTTP {response.status_code} {response.text[:100]}"


def retry_after(response: httpx.Response | None) -> float:
    """Seconds the collector asks to wait, at most `LONGEST_WAIT`."""
    if response is None:
        return 0.0
    try:
        return min(float(response.headers.get("retry-after", 0)), LONGEST_WAIT)
    except ValueError:
        return 0.0


def name_of(event: bytes) -> str:
    """How a refused event is called in the report."""
    try:
        return str(msgspec.json.decode(event)["event_id"])
    except (msgspec.MsgspecError, LookupError, TypeError):
        return event[:60].decode(errors="replace")
