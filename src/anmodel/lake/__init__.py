"""The lake: Parquet in a folder or bucket, replaced whole, never half; `manifest` says which days it holds."""

from anmodel.lake.files import Lake, Written
from anmodel.lake.manifest import DayEntry, EventsManifest, events_path

__all__ = ["DayEntry", "EventsManifest", "Lake", "Written", "events_path"]
