"""The lake: Parquet in a folder or bucket. A folder's manifest names its files, so several may write at once."""

from anmodel.lake.files import Lake
from anmodel.lake.manifest import DayEntry, EventsManifest, OneFile, Written
from anmodel.lake.reading import Found

__all__ = ["DayEntry", "EventsManifest", "Found", "Lake", "OneFile", "Written"]
