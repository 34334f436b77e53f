"""The lake: Parquet and JSON files in a folder or a bucket, each replaced whole.

    events/date=YYYY-MM-DD/part-0.parquet   events/manifest.json
    users/users.parquet   trends/trends.parquet
    snapshots/<name>/{train,val,test}.parquet   snapshots/<name>/manifest.json
    daily_features/snapshot_date=YYYY-MM-DD/{part-0.parquet,manifest.json}   daily_features/latest.json

In a folder a file is written under `.tmp/` and renamed into place; a bucket shows an upload only once it is complete.
So readers see the old file or the new one, never half, whatever is killed. Nothing is synced to disk: all here can be
made again, and after a power cut `anmodel export --force` does. A bucket's keys and address come from the usual
AWS_* variables.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from anmodel.errors import LakeError, NotReadyError
from anmodel.lake.manifest import EventsManifest, events_path

EVENTS_MANIFEST = "events/manifest.json"
_CHUNK = 1 << 20
_STALE = timedelta(days=1)
_AGAIN = "Run the step that writes it again; `anmodel export --force` for events"


class Written(msgspec.Struct, frozen=True):
    """A file just written."""

    bytes: int
    sha256: str


class Lake:
    """Files below `url`, a folder or `s3://bucket/prefix`. Making one touches nothing.

    Paths are relative to the lake, with `/`. A file that is not there raises `NotReadyError`, any other failure
    `LakeError`. Every write may be repeated.
    """

    def __init__(self, url: str) -> None:
        self.local = "://" not in url or url.startswith("file://")
        self.url = str(Path(url.removeprefix("file://")).expanduser().absolute()) if self.local else url.rstrip("/")
        self._opened: Any = None

    @property
    def _fs(self) -> Any:
        if self._opened is None:
            try:
                self._opened = fsspec.core.url_to_fs(self.url)[0]
            except (ImportError, ValueError, OSError) as error:
                raise LakeError(
                    f"no way to open the lake {self.url}: {error}. Set PARQUET_OUT to a folder or s3://…"
                ) from error
        return self._opened

    def path(self, *parts: str) -> str:
        """The full address of a file or folder in the lake."""
        return "/".join((self.url, *parts))

    def exists(self, relative: str) -> bool:
        """Whether the file or folder is there."""
        with self._failures(relative):
            return bool(self._fs.exists(self.path(relative)))

    def sizes(self, relative: str) -> dict[str, int]:
        """Bytes of each file below a folder, by path relative to the lake; none when it is not there."""
        with self._failures(relative):
            self._fs.invalidate_cache()
            root = self._fs._strip_protocol(self.url)
            found = self._fs.find(self.path(relative), detail=True)
            return {name.removeprefix(root).lstrip("/"): int(found[name]["size"]) for name in sorted(found)}

    @contextmanager
    def open(self, relative: str) -> Iterator[BinaryIO]:
        """A file to read from, seekable."""
        with self._failures(relative), self._fs.open(self.path(relative), "rb") as file:
            yield file

    def delete(self, relative: str) -> None:
        """Remove a file or a folder with all in it; nothing when it is not there."""
        with self._failures(relative):
            try:
                self._fs.rm(self.path(relative), recursive=True)
            except FileNotFoundError:
                return

    def write_file(self, relative: str, source: BinaryIO) -> Written:
        """Copy a binary file in, block by block."""
        digest, size = hashlib.sha256(), 0
        with self._replacing(relative) as target:
            while block := source.read(_CHUNK):
                digest.update(block)
                size += len(block)
                target.write(block)
        return Written(bytes=size, sha256=digest.hexdigest())

    def write_table(self, relative: str, table: pa.Table, metadata: dict[str, str] | None = None) -> None:
        """Write a table as Parquet; `metadata` joins what its schema carries."""
        if metadata:
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
        with self._replacing(relative) as target:
            pq.write_table(table, target, compression="zstd")

    def read_table(self, relative: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The whole Parquet file in memory."""
        with self.open(relative) as file:
            return pq.read_table(file, columns=list(columns) if columns else None, partitioning=None)

    def write_json(self, relative: str, value: Any) -> None:
        """Write JSON with sorted keys, so that equal values are equal files."""
        with self._replacing(relative) as target:
            target.write(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode())

    def read_json(self, relative: str, kind: Any = Any) -> Any:
        """Read a JSON file as a value of the type `kind`; one that is not raises `LakeError`."""
        with self.open(relative) as file:
            raw = file.read()
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise LakeError(f"{self.path(relative)} is damaged: {error}. {_AGAIN}") from error

    def written(self, relative: str) -> Written:
        """Size and checksum of a file that is there."""
        digest, size = hashlib.sha256(), 0
        with self.open(relative) as file:
            while block := file.read(_CHUNK):
                digest.update(block)
                size += len(block)
        return Written(bytes=size, sha256=digest.hexdigest())

    def verify(self, relative: str, written: Written, again: str) -> None:
        """Raise `LakeError` unless the file is the one whose size and checksum a manifest names.

        `again` is the command that writes both anew.
        """
        if self.written(relative) != written:
            raise LakeError(
                f"{self.path(relative)} is not the file that its manifest names: damaged, or being written right now. "
                f"Run {again}"
            )

    def events_manifest(self) -> EventsManifest:
        """What the events folder holds; an empty one before the first export."""
        try:
            manifest: EventsManifest = self.read_json(EVENTS_MANIFEST, EventsManifest)
        except NotReadyError:
            return EventsManifest()
        return manifest

    def write_events_manifest(self, manifest: EventsManifest) -> None:
        """Say what the events folder holds; the last write of an export."""
        self.write_json(EVENTS_MANIFEST, msgspec.to_builtins(manifest, str_keys=True))

    def event_files(self, since: datetime | None = None, until: datetime | None = None) -> list[str]:
        """Files of the days that touch [since, until), relative to the lake, oldest first."""
        return [events_path(day) for day in self.events_manifest().within(since, until)]

    def fingerprint(self) -> str:
        """A hash of the events in the lake, see `EventsManifest.fingerprint`."""
        return self.events_manifest().fingerprint

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder of one's own, removed at the end; beside the lake's files when they are in a folder."""
        with self._failures(".tmp"):
            if self.local:
                Path(self.path(".tmp")).mkdir(parents=True, exist_ok=True)
            folder = tempfile.mkdtemp(prefix="scratch-", dir=self.path(".tmp") if self.local else None)
        try:
            yield Path(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def on_disk(self, relatives: Sequence[str]) -> Iterator[list[str]]:
        """The files as paths an engine in this process can open; a bucket's are copied to a scratch folder first."""
        if self.local:
            yield [self.path(relative) for relative in relatives]
            return
        with self.scratch() as folder:
            targets = [str(folder / f"{number:06}.parquet") for number in range(len(relatives))]
            with self._failures("events"):
                for relative, target in zip(relatives, targets, strict=True):
                    self._fs.get_file(self.path(relative), target)
            yield targets

    def sweep(self) -> None:
        """Remove what killed writers left under `.tmp`, once it is a day old."""
        temporary = Path(self.path(".tmp"))
        if not self.local or not temporary.is_dir():
            return
        oldest = (datetime.now(UTC) - _STALE).timestamp()
        for entry in temporary.iterdir():
            if entry.lstat().st_mtime >= oldest:
                continue
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    @contextmanager
    def _replacing(self, relative: str) -> Iterator[BinaryIO]:
        """A file to write to that takes its place only when the block ends without an error."""
        with self._failures(relative):
            if not self.local:
                with self._fs.transaction, self._fs.open(self.path(relative), "wb") as file:
                    yield file
                return
            temporary, final = Path(self.path(".tmp", uuid4().hex)), Path(self.path(relative))
            temporary.parent.mkdir(parents=True, exist_ok=True)
            final.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as file:
                    yield file
                temporary.replace(final)
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _failures(self, relative: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise NotReadyError(f"{self.path(relative)} is not there yet. Run the step that writes it first") from error
        except pa.ArrowInvalid as error:
            raise LakeError(f"{self.path(relative)} is damaged: {error}. {_AGAIN}") from error
        except OSError as error:
            raise LakeError(
                f"{self.path(relative)}: {error}. Is the lake (PARQUET_OUT) reachable and writable?"
            ) from error
