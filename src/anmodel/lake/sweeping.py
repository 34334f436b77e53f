"""Removing what no manifest names: files that were replaced, and what killed writers left."""

import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog

from anmodel.errors import LakeError
from anmodel.lake.files import Lake
from anmodel.lake.manifest import Written
from anmodel.lake.reading import Found, decoded

log = structlog.get_logger()

STALE = timedelta(days=1)
_FILE = re.compile(r"(?P<folder>.+)/(?P<stem>[^/]+?)(-[0-9a-z]+)?\.parquet")


class _Names(msgspec.Struct):
    """What is needed of any manifest: the files it names, and whose folder they are in, if not in its own."""

    files: dict[str, Written]
    folder: str = ""


def sweep(lake: Lake, found: Mapping[str, Found], pointers: Sequence[str] = ()) -> list[str]:
    """Remove the Parquet files among `found` that no manifest of their folder names, nor one of `pointers`.

    Each stays a day after the next file of its kind was written, or it itself if none was: so long may whoever read
    the manifest before go on reading. A folder with a manifest that cannot be read stays as it is. Returns the paths
    removed. Safe beside writers and other sweeps.
    """
    oldest = datetime.now(UTC) - STALE
    stale = _stale(found, oldest)
    folders = {path.rpartition("/")[0] for path in stale}
    try:
        named = _named(lake, [*(f"{folder}/manifest.json" for folder in folders), *pointers]) if stale else set()
    except LakeError as error:
        log.warning("not swept", reason=str(error))
        return []
    # Looked at again at the last moment: a writer may have written the same content anew.
    gone = [path for path in stale if path not in named and _still(lake, path, oldest)]
    for path in gone:
        lake.delete(path)
    if gone:
        log.info("replaced files removed", files=len(gone), first=gone[0])
    return gone


def sweep_temporary(lake: Lake) -> None:
    """Remove what killed writers left under `.tmp` of a folder, once it is a day old."""
    temporary = Path(lake.path(".tmp"))
    if not lake.local or not temporary.is_dir():
        return
    oldest = (datetime.now(UTC) - STALE).timestamp()
    for entry in temporary.iterdir():
        try:
            if entry.lstat().st_mtime >= oldest:
                continue
        except FileNotFoundError:  # its writer finished meanwhile
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _stale(found: Mapping[str, Found], oldest: datetime) -> list[str]:
    """Files that were replaced, or left behind, before `oldest`, as far as their times tell.

    The only file of its kind beside a manifest is the one that the manifest names.
    """
    kinds: dict[tuple[str, str], list[tuple[datetime, str]]] = defaultdict(list)
    for path, file in found.items():
        if match := _FILE.fullmatch(path):
            kinds[match["folder"], match["stem"]].append((file.modified, path))
    stale: list[str] = []
    for (folder, _), files in kinds.items():
        if len(files) == 1 and f"{folder}/manifest.json" in found:
            continue
        files.sort()
        replaced = [*(modified for modified, _ in files[1:]), files[-1][0]]
        stale += [path for (_, path), since in zip(files, replaced, strict=True) if since < oldest]
    return stale


def _named(lake: Lake, manifests: Iterable[str]) -> set[str]:
    """The files that these manifests name; one that is not there names none."""
    named: set[str] = set()
    for path, raw in lake.read_many(set(manifests)).items():
        found: Any = decoded(lake.path(path), raw, _Names)
        folder = found.folder or path.rpartition("/")[0]
        named |= {file.path(folder, stem) for stem, file in found.files.items()}
    return named


def _still(lake: Lake, path: str, oldest: datetime) -> bool:
    file = lake.found(path).get(path)
    return file is not None and file.modified < oldest
