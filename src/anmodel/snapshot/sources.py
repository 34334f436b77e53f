"""What of the lake a snapshot reads, as tables of the engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from anmodel.errors import InputError, LakeError, NotReadyError
from anmodel.lake import EventsManifest, Lake
from anmodel.snapshot.engine import Engine, events_source, trends_source

TRENDS = "trends/trends.parquet"


def known_events(lake: Lake) -> tuple[EventsManifest, datetime]:
    """The manifest of the lake's events and its watermark; raises `NotReadyError` when there are none."""
    manifest = lake.events_manifest()
    if not manifest.days or manifest.watermark is None:
        raise NotReadyError(
            f"the lake {lake.url} has no events. Run `anmodel export`; if that wrote none, the shop has sent none yet"
        )
    return manifest, manifest.watermark


@contextmanager
def open_events(lake: Lake, engine: Engine, manifest: EventsManifest, until: datetime | None = None) -> Iterator[str]:
    """The events of the days before `until` as a table for `FROM`; raises `LakeError` when rows are missing."""
    days = manifest.within(until=until)
    if not days:
        raise no_events(manifest, until)
    with lake.on_disk(manifest.paths(until=until)) as files:
        source = events_source(files)
        try:
            found = engine.rows(f"SELECT count() AS rows FROM {source}")[0]["rows"]
        except LakeError as error:
            raise LakeError(f"{error}. Run `anmodel export`; with --force if that does not help") from error
        expected = sum(day.rows for day in days.values())
        if found != expected:
            raise LakeError(
                f"{lake.path('events')} holds {found} events where its manifests say {expected}. Run `anmodel export "
                "--force`"
            )
        yield source


def no_events(manifest: EventsManifest, until: datetime | None) -> InputError:
    """What to raise when a snapshot would be as of before the first event."""
    return InputError(f"no events before {until}; the lake begins on {min(manifest.days)}. Take a later instant")


def fingerprint(engine: Engine, manifest: EventsManifest, trends: str | None) -> str:
    """A hash of all that a snapshot is made of: equal events and trends, equal hash, whenever they were fetched."""
    if trends is None:
        return manifest.fingerprint
    row = "query, region, popularity IS NULL, ifNull(popularity, 0), period_end, known_from"
    known = engine.rows(f"SELECT sum(cityHash64({row})) AS hash FROM {trends}")[0]["hash"]
    return f"{manifest.fingerprint}-{known:016x}"


@contextmanager
def open_trends(lake: Lake) -> Iterator[str | None]:
    """The trends as a table for `FROM`; None when the lake has none."""
    if not lake.exists(TRENDS):
        yield None
        return
    with lake.on_disk([TRENDS]) as files:
        yield trends_source(files[0])
