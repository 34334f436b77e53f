"""Dead letters as they are read again: which are meant, and which would be taken now."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from anmodel.consumer.metrics import kind
from anmodel.errors import InputError, MessageRefused


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter: the message, why and when it was refused, and where it came from (`topic:partition:offset`)."""

    place: str
    key: bytes | None
    value: bytes | None
    field: str
    reason: str
    stage: str
    time: datetime | None
    topic: str
    origin: str


def read_letter(place: str, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> Letter | None:
    """The letter that a message is; None if it does not say where it came from, so that it cannot go back there."""
    told = {name: content.decode("utf-8", "replace") for name, content in headers.items()}
    try:
        origin = f"{told['origin_topic']}:{told['origin_partition']}:{told['origin_offset']}"
    except KeyError:
        return None
    return Letter(
        place,
        key,
        value,
        told.get("field", ""),
        told.get("reason", ""),
        told.get("stage", ""),
        _time(told.get("time", "")),
        told["origin_topic"],
        origin,
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def instant(text: str, option: str) -> datetime:
    """A time that an operator gave; raises `InputError` for one without a zone, or that is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{option}: got {text!r}; allowed: ISO 8601, as 2026-11-20T02:30:00+00:00") from error
    if found.tzinfo is None:
        raise InputError(f"{option}: {text} has no zone; write it as 2026-11-20T02:30:00+00:00")
    return found


@dataclass(frozen=True)
class Choice:
    """Which letters are meant; what is not given does not matter.

    `reason` is a part of field or reason, `ids` are event ids or origins; `since` and `until` bound its time.
    """

    reason: str = ""
    stage: str = ""
    since: datetime | None = None
    until: datetime | None = None
    ids: frozenset[str] = frozenset()

    def means(self, letter: Letter) -> bool:
        """Whether this letter is meant."""
        if self.stage and letter.stage != self.stage:
            return False
        if self.reason and self.reason.lower() not in f"{letter.field}: {letter.reason}".lower():
            return False
        if self.since and not (letter.time and letter.time >= self.since):
            return False
        if self.until and not (letter.time and letter.time < self.until):
            return False
        return not self.ids or letter.origin in self.ids or _id_of(letter) in self.ids


class _Identified(msgspec.Struct):
    event_id: str = ""
    prediction_id: str = ""


_identity = msgspec.json.Decoder(_Identified)


def _id_of(letter: Letter) -> str:
    """The id of the event or prediction; empty if the body tells none."""
    try:
        told = _identity.decode(letter.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return told.event_id or told.prediction_id


Judge = Callable[[str, bytes], None]
"""Raises `MessageRefused` for a message (topic, body) that would be refused now."""


@dataclass
class Selection:
    """What became of the letters that were read: those to send, and how many were left out, by reason."""

    letters: list[Letter] = field(default_factory=list)
    read: int = 0
    chosen: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)


def select(letters: Iterable[Letter | None], choice: Choice, judge: Judge) -> Selection:
    """The letters that are meant and would be taken now, each message once, however often it was refused."""
    selection = Selection()
    seen: set[str] = set()
    for letter in letters:
        selection.read += 1
        if letter is None:
            selection.left_out["it does not say where it came from"] += 1
        elif choice.means(letter) and letter.origin not in seen:
            seen.add(letter.origin)
            selection.chosen += 1
            selection.by_kind[f"{letter.field}: {kind(letter.reason)}"] += 1
            if fault := _fault(letter, judge):
                selection.left_out[fault] += 1
            else:
                selection.letters.append(letter)
    return selection


def _fault(letter: Letter, judge: Judge) -> str:
    """Why a letter is not to be sent; empty if it is."""
    if letter.value is None:
        return "it has no body"
    try:
        judge(letter.topic, letter.value)
    except MessageRefused as error:
        return f"would be refused again: {error.field}: {kind(error.reason)}"
    return ""
