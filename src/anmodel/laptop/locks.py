"""One owner at a time: a file that is locked for as long as its owner lives.

The kernel lets go of the lock when its process ends, however it ends; a file left behind by a kill is no obstacle.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderLock:
    """An exclusive lock on `path`, which is created when missing and holds the owner's process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Try to become the owner; False when another process (or another lock object here) is."""
        return self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def free(self) -> bool:
        """Whether nobody owns it now. Leaves what the last owner wrote."""
        try:
            file = self.path.open()
        except (FileNotFoundError, NotADirectoryError):
            return True
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def owner(self) -> str:
        """The process id that the owner wrote; empty when nobody ever was."""
        try:
            return self.path.read_text().strip()
        except FileNotFoundError:
            return ""

    def release(self) -> None:
        """Stop being the owner. Safe to repeat."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Own it for the time of a `with`, waiting for whoever has it now."""
        self._lock(fcntl.LOCK_EX)
        try:
            yield
        finally:
            self.release()

    def _lock(self, how: int) -> bool:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, how)
        except BlockingIOError:
            os.close(file)
            return False
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file
        return True
