"""A disk of the tests' own, small enough to be filled."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A file system in memory at `folder`, which can be filled to the last byte and freed again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @classmethod
    @contextmanager
    def mounted(cls, folder: Path, megabytes: int) -> Iterator["SmallDisk"]:
        """Mount it for the time of a `with`. Only root may: others skip the test, but CI must not."""
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = f"needs the right to mount a small disk (root): {done.stderr.strip()}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        try:
            yield cls(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    def fill(self, leave: int = 0) -> None:
        """Take all the space that is free, but for `leave` bytes."""
        with self._ballast.open("ab") as file:
            while (left := self._free() - leave) > 0:
                try:
                    os.posix_fallocate(file.fileno(), file.tell(), left)
                except OSError as error:
                    if error.errno != errno.ENOSPC:  # who writes meanwhile may have been quicker
                        raise
                file.seek(0, os.SEEK_END)

    def _free(self) -> int:
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def clear(self) -> None:
        """Give the space back."""
        self._ballast.unlink()
