"""The lake's bucket, looked at from outside the cluster."""

import hashlib
import json
from typing import Any

import storage

from cluster import Cluster

BUCKET = "lake"


class LakeFiles:
    """Names are relative to the lake."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def digests(self, folder: str) -> dict[str, str]:
        """File → a hash of its bytes; of manifests those that say when they were made are left out."""
        with storage.opened(self._cluster) as files:
            return {name: _digest(files.cat_file(f"{BUCKET}/{name}")) for name in self._names(files, folder)}

    def events(self) -> int:
        """Rows of all days, as their manifests tell."""
        with storage.opened(self._cluster) as files:
            names = [name for name in self._names(files, "events/") if name.endswith("/manifest.json")]
            return sum(int(json.loads(files.cat_file(f"{BUCKET}/{name}"))["rows"]) for name in names)

    def remove(self, folder: str) -> None:
        """A folder and all in it."""
        with storage.opened(self._cluster) as files:
            files.rm(f"{BUCKET}/{folder}", recursive=True)

    @staticmethod
    def _names(files: Any, folder: str) -> list[str]:
        return [str(path).removeprefix(f"{BUCKET}/") for path in files.find(f"{BUCKET}/{folder}")]


def _digest(content: bytes) -> str:
    """Of a manifest without the time at which it was written."""
    try:
        told = json.loads(content)
    except (UnicodeDecodeError, ValueError):
        return hashlib.sha256(content).hexdigest()
    told.pop("exported_at", None)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
