"""The collector's answers, as OpenAPI documents them and as they go out."""

from typing import Literal

import msgspec


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


def batch_status(answer: BatchAnswer) -> int:
    """201 all accepted, 207 some, 422 none; 503 when the broker did not confirm at least one."""
    if answer.unavailable:
        return 503
    if not answer.refused:
        return 201
    return 207 if answer.accepted else 422


def problem(field: str, reason: str) -> bytes:
    """A problem's JSON."""
    return msgspec.json.encode(ProblemAnswer([Problem(field, reason)]))


SCHEMAS = msgspec.json.schema_components((BatchAnswer, ProblemAnswer), ref_template="#/components/schemas/{name}")[1]
"""JSON schemas of the answers, for OpenAPI."""
