"""Reading manifests: JSON to values, and the days of events among the files of the lake.

`events/copies.json` spares a bucket's readers a request a day: it holds what each day's manifest said, and the tag by
which the listing tells that it still does. Nobody depends on it: what it lacks, or what changed since, is read.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any, Protocol

import msgspec
import structlog

from anmodel.errors import LakeError
from anmodel.lake.manifest import EVENTS, DayEntry, day_folder, day_of

log = structlog.get_logger()


_COPIES = f"{EVENTS}/copies.json"


class Found(msgspec.Struct, frozen=True):
    """A file that is there. Its `tag` changes with its content; empty where the storage has none."""

    bytes: int
    modified: datetime
    tag: str = ""


class _Copy(msgspec.Struct, frozen=True):
    """What a day's manifest of this tag says."""

    tag: str
    entry: DayEntry


class _Lake(Protocol):
    """What is needed of a lake."""

    def path(self, *parts: str) -> str: ...
    def found(self, relative: str) -> dict[str, Found]: ...
    def read_many(self, relatives: Collection[str]) -> dict[str, bytes]: ...
    def write_json(self, relative: str, value: Any) -> None: ...


def decoded(path: str, raw: bytes, kind: Any) -> Any:
    """JSON as a value of the type `kind`; `LakeError` when it is not."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LakeError(
            f"{path} is damaged: {error}. Run the step that writes it again; `anmodel export --force` for events"
        ) from error


def manifest_of(day: date) -> str:
    """The path of one day's manifest."""
    return f"{day_folder(day)}/manifest.json"


def days_among(
    lake: _Lake,
    found: Mapping[str, Found],
    *,
    wanted: Callable[[date], bool] = lambda day: True,
    lenient: bool = False,
) -> dict[date, DayEntry]:
    """The days whose manifests are among these files of the lake. What is written meanwhile is seen or not.

    A damaged manifest raises `LakeError`; where `lenient`, it is left out and logged.
    """
    days = {path: day for path in found if (day := day_of(path)) and wanted(day) and path == manifest_of(day)}
    copies = _copies(lake) if _COPIES in found else {}
    known = {path for path in days if path in copies and found[path].tag and copies[path].tag == found[path].tag}
    entries = {days[path]: copies[path].entry for path in known}
    for path, raw in lake.read_many(days.keys() - known).items():
        try:
            entries[days[path]] = decoded(lake.path(path), raw, DayEntry)
        except LakeError as error:
            if not lenient:
                raise
            log.warning("day counts as not exported", reason=str(error))
    return entries


def copy_manifests(lake: _Lake) -> None:
    """Write `events/copies.json` anew. Of several at once any may be the last."""
    found = lake.found(EVENTS)
    entries = days_among(lake, found, lenient=True)
    copies = {manifest_of(day): _Copy(found[manifest_of(day)].tag, entry) for day, entry in entries.items()}
    lake.write_json(_COPIES, msgspec.to_builtins(copies))


def _copies(lake: _Lake) -> dict[str, _Copy]:
    try:
        return {
            path: copy
            for raw in lake.read_many([_COPIES]).values()
            for path, copy in decoded(lake.path(_COPIES), raw, dict[str, _Copy]).items()
        }
    except LakeError as error:
        log.warning("every manifest is read", reason=str(error))
        return {}
