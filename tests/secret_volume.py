"""A folder of secrets as Kubernetes mounts it: every name is a link, and all of them change in one instant."""

from collections.abc import Mapping
from pathlib import Path


class SecretVolume:
    """Files below `folder`; `write` replaces what they hold."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.folder = folder
        self._files: dict[str, str] = {}
        self._writes = 0
        folder.mkdir()
        self.write(files)

    def write(self, files: Mapping[str, str]) -> None:
        """Give some files other contents, all at once, as the kubelet does; the rest stay as they are."""
        self._files.update(files)
        self._writes += 1
        fresh = self.folder / f"..2026_11_24_{self._writes}"
        for name, content in self._files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        link = self.folder / "..data_tmp"
        link.symlink_to(fresh.name)
        link.replace(self.folder / "..data")
        for name in {name.split("/")[0] for name in self._files}:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")

    def path(self, name: str) -> str:
        """Where one file is."""
        return str(self.folder / name)
