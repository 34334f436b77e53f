"""The collector's answers, as OpenAPI documents them and as they go out."""

from typing import Literal, NamedTuple

import msgspec

from anmodel.errors import RequestRefused

RETRY_AFTER_SECONDS = 2


class EventAnswer(msgspec.Struct, omit_defaults=True):
    """What became of one event of a batch; `index` is its place in the request, from 0.

    accepted: the broker has it. refused: it breaks the contract, sending it again will not help. unavailable: it may
    or may not be stored; send it again with the same event_id, it will count once.
    """

    index: int
    status: Literal["accepted", "refused", "unavailable"]
    event_id: str | None = None
    field: str | None = None
    reason: str | None = None


class BatchAnswer(msgspec.Struct):
    """What became of a batch."""

    accepted: int
    refused: int
    unavailable: int
    events: list[EventAnswer]


class Problem(msgspec.Struct):
    """Why a request was not taken: the field at fault (`body` for the whole) and what was allowed."""

    field: str
    reason: str


class ProblemAnswer(msgspec.Struct):
    """The body of every answer that is no success."""

    detail: list[Problem]


class Answer(NamedTuple):
    """An answer as the server takes it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


ACCEPTED = Answer(201, [(b"content-length", b"0")])
"""One event is with the broker."""


def to_batch(events: list[EventAnswer], refused: int, unavailable: int) -> Answer:
    """201 all accepted, 207 some, 422 none; 503 when the broker did not confirm at least one."""
    accepted = len(events) - refused - unavailable
    body = msgspec.json.encode(BatchAnswer(accepted, refused, unavailable, events))
    if unavailable:
        return _json(503, body, RETRY_AFTER_SECONDS)
    return _json((207 if accepted else 422) if refused else 201, body)


def to_refused(refused: RequestRefused) -> Answer:
    """The answer to a request that is not taken. After 408 the connection ends: what may still come is no request."""
    answer = _json(refused.status, problem(refused.field, refused.reason), refused.retry_after)
    if refused.status == 408:
        answer.headers.append((b"connection", b"close"))
    if refused.status == 405:
        answer.headers.append((b"allow", b"POST, OPTIONS"))
    if refused.status == 401:
        answer.headers.append((b"www-authenticate", b'Bearer realm="collector", Basic realm="collector"'))
    return answer


def unavailable(reason: str) -> Answer:
    """The broker has not confirmed the event."""
    return _json(503, problem("body", reason), RETRY_AFTER_SECONDS)


def problem(field: str, reason: str) -> bytes:
    """A problem's JSON."""
    return msgspec.json.encode(ProblemAnswer([Problem(field, reason)]))


def _json(status: int, body: bytes, retry_after: int | None = None) -> Answer:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % retry_after))
    return Answer(status, headers, body)
