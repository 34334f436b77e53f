"""The lake: Parquet and JSON files in a folder or a bucket, each replaced whole.

    events/date=YYYY-MM-DD/{part-<sha>.parquet, manifest.json}
    users/users.parquet   trends/trends.parquet
    snapshots/<name>/{train,val,test}-<sha>.parquet   snapshots/<name>/manifest.json
    daily_features/snapshot_date=YYYY-MM-DD/{part-<sha>.parquet, manifest.json}   daily_features/{latest,scoring}/

A folder's manifest, written last, names its files; a file that a manifest names has a name made of its content
(`add`), so nobody ever writes another file over it. Thus any number of writers and readers may be at one folder: the
last manifest counts, and what it names is whole. `sweeping` removes what no manifest names.

In a folder a file is written under `.tmp/` and renamed into place; for a bucket it is put together on this machine's
disk and then uploaded, and seen once the upload is complete. So no file is ever seen half, whatever is killed. Nothing
is synced to disk: all here can be made again, and after a power cut `anmodel export --force` does. A bucket's keys and
address come from the usual AWS_* variables.
"""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from anmodel.errors import LakeError, NotReadyError
from anmodel.lake.manifest import EVENTS, EventsManifest, Written
from anmodel.lake.reading import Found, days_among, decoded

_CHUNK = 1 << 20
_ELSEWHERE = ("botocore", "aiobotocore", "aiohttp", "s3fs")
"""Packages whose errors mean that the bucket cannot be reached or refuses; they come from no common class."""


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
                logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells where it found its address
                # What others write meanwhile must be seen, so nothing is remembered.
                self._opened = fsspec.core.url_to_fs(self.url, use_listings_cache=False)[0]
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

    def found(self, relative: str) -> dict[str, Found]:
        """The files below a folder, by path relative to the lake; none when it is not there."""
        with self._failures(relative):
            root = self._fs._strip_protocol(self.url)
            listed = self._fs.find(self.path(relative), detail=True)
            return {name.removeprefix(root).lstrip("/"): _found(listed[name]) for name in sorted(listed)}

    def sizes(self, relative: str) -> dict[str, int]:
        """Bytes of each file below a folder, by path relative to the lake; none when it is not there."""
        return {name: file.bytes for name, file in self.found(relative).items()}

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

    def add(self, folder: str, stem: str, source: BinaryIO) -> Written:
        """Copy a Parquet file in, under a name of its content, like `add_file`."""
        with self._failures(folder), self.staging() as staged:
            with staged.open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK)
            return self.add_file(folder, stem, staged)

    def add_table(self, folder: str, stem: str, table: pa.Table) -> Written:
        """Write a table as a Parquet file under a name of its content, like `add_file`."""
        with self._failures(folder), self.staging() as staged:
            pq.write_table(table, staged, compression="zstd")
            return self.add_file(folder, stem, staged)

    def add_file(self, folder: str, stem: str, path: Path) -> Written:
        """Take a Parquet file of `staging` or `scratch` in, under a name of its content (`Written.path`).

        A manifest must name it to count. It is written even when it is there: a sweep counts its age from now.
        """
        with self._failures(folder), path.open("rb") as file:
            written = _summed(file)
            self._place(path, written.path(folder, stem))
        return written

    def write_table(self, relative: str, table: pa.Table, metadata: dict[str, str] | None = None) -> None:
        """Write a table as Parquet under a name of ours; `metadata` joins what its schema carries."""
        if metadata:
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
        with self._failures(relative), self.staging() as staged:
            pq.write_table(table, staged, compression="zstd")
            self._place(staged, relative)

    def read_table(self, relative: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The whole Parquet file in memory."""
        with self.open(relative) as file:
            return pq.read_table(file, columns=list(columns) if columns else None, partitioning=None)

    def write_json(self, relative: str, value: Any) -> None:
        """Write JSON with sorted keys, so that equal values are equal files."""
        raw = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode()
        with self._failures(relative):
            if not self.local:
                self._fs.pipe_file(self.path(relative), raw)
                return
            with self.staging() as staged:
                staged.write_bytes(raw)
                self._place(staged, relative)

    def read_json(self, relative: str, kind: Any = Any) -> Any:
        """Read a JSON file as a value of the type `kind`; one that is not raises `LakeError`."""
        with self.open(relative) as file:
            return decoded(self.path(relative), file.read(), kind)

    def read_many(self, relatives: Collection[str]) -> dict[str, bytes]:
        """The content of small files, of a bucket many at once; without those that are not there."""
        with self._failures(EVENTS):
            asked = {self._fs._strip_protocol(self.path(relative)): relative for relative in relatives}
            answers = self._fs.cat(list(asked), on_error="return") if asked else {}
            faults = [answer for answer in answers.values() if isinstance(answer, Exception)]
            if fault := next((fault for fault in faults if not isinstance(fault, FileNotFoundError)), None):
                raise fault
        return {asked[path]: answer for path, answer in answers.items() if isinstance(answer, bytes)}

    def written(self, relative: str) -> Written:
        """Size and checksum of a file that is there."""
        with self.open(relative) as file:
            return _summed(file)

    def verify(self, relative: str, written: Written, again: str) -> None:
        """Raise `LakeError` unless the file is the one whose size and checksum a manifest names.

        `again` is the command that writes both anew.
        """
        if self.written(relative) != written:
            raise LakeError(f"{self.path(relative)} is not the file that its manifest names: damaged. Run {again}")

    def events_manifest(self) -> EventsManifest:
        """What the events folder holds; an empty one before the first export."""
        return EventsManifest.of(days_among(self, self.found(EVENTS)))

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
    def staging(self) -> Iterator[Path]:
        """A new file on this machine's disk, to be filled and given to `add_file`; gone afterwards."""
        if not self.local:
            with self.scratch() as folder, self._failures(str(folder)):
                yield folder / "staged"
            return
        staged = Path(self.path(".tmp", uuid4().hex))
        with self._failures(".tmp"):
            staged.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield staged
            finally:
                staged.unlink(missing_ok=True)

    @contextmanager
    def on_disk(self, relatives: Sequence[str]) -> Iterator[list[str]]:
        """The files as paths an engine in this process can open; a bucket's are copied to a scratch folder first."""
        if self.local:
            yield [self.path(relative) for relative in relatives]
            return
        with self.scratch() as folder:
            targets = [str(folder / f"{number:06}.parquet") for number in range(len(relatives))]
            with self._failures(relatives[0] if relatives else ""):
                self._fs.get([self.path(relative) for relative in relatives], targets)
            yield targets

    def _place(self, staged: Path, relative: str) -> None:
        """Let a whole file be seen in its place, all at once."""
        if not self.local:
            self._fs.put_file(str(staged), self.path(relative))
            return
        final = Path(self.path(relative))
        final.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(final)

    @contextmanager
    def _failures(self, relative: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise NotReadyError(f"{self.path(relative)} is not there yet. Run the step that writes it first") from error
        except pa.ArrowInvalid as error:
            raise LakeError(
                f"{self.path(relative)} is damaged: {error}. Run the step that writes it again; `anmodel export "
                "--force` for events"
            ) from error
        except Exception as error:
            if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in _ELSEWHERE:
                raise
            raise LakeError(
                f"{self.path(relative)}: {error}. Is the lake (PARQUET_OUT) reachable and writable?"
            ) from error


def _summed(file: BinaryIO) -> Written:
    digest, size = hashlib.sha256(), 0
    while block := file.read(_CHUNK):
        digest.update(block)
        size += len(block)
    return Written(bytes=size, sha256=digest.hexdigest())


def _found(listed: dict[str, Any]) -> Found:
    """Size and time of a file as fsspec's file systems tell them, each in its way."""
    when = next(listed[key] for key in ("LastModified", "mtime", "created") if key in listed)
    modified = when if isinstance(when, datetime) else datetime.fromtimestamp(when, UTC)
    tag = f"{listed['ino']}-{when}-{listed['size']}" if "ino" in listed else listed.get("ETag", "")
    return Found(int(listed["size"]), modified, tag)
