"""Reading manifests: JSON to values, and the days of events among the files of the lake."""

from collections.abc import Callable, Collection, Iterable
from datetime import date
from typing import Any, Protocol

import msgspec
import structlog

from anmodel.errors import LakeError
from anmodel.lake.manifest import DayEntry, day_folder, day_of

log = structlog.get_logger()


class _Lake(Protocol):
    """What is needed of a lake."""

    def path(self, *parts: str) -> str: ...
    def read_many(self, relatives: Collection[str]) -> dict[str, bytes]: ...


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
    lake: _Lake, paths: Iterable[str], *, wanted: Callable[[date], bool] = lambda day: True, lenient: bool = False
) -> dict[date, DayEntry]:
    """The days whose manifests are among these files of the lake. What is written meanwhile is seen or not.

    A damaged manifest raises `LakeError`; where `lenient`, it is left out and logged.
    """
    days = {path: day for path in paths if (day := day_of(path)) and wanted(day) and path == manifest_of(day)}
    entries: dict[date, DayEntry] = {}
    for path, raw in lake.read_many(days).items():
        try:
            entries[days[path]] = decoded(lake.path(path), raw, DayEntry)
        except LakeError as error:
            if not lenient:
                raise
            log.warning("day counts as not exported", reason=str(error))
    return entries
