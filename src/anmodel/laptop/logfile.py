"""A part's log: the process appends to it, the platform keeps it from growing without end."""

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_BYTES = 20_000_000


def log_path(home: Path, part: str) -> Path:
    """Where a part's lines go."""
    return home / "logs" / f"{part}.log"


def open_log(path: Path) -> int:
    """A descriptor that only appends: after a rotation the writer goes on at the new end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def rotate(path: Path, max_bytes: int = MAX_BYTES) -> bool:
    """Move a log that has grown past `max_bytes` to `PART.log.1`, in place of the one before; tells whether it did.

    The writer keeps its descriptor, so the lines are copied and the file emptied; one written between the two is lost.
    """
    try:
        if path.stat().st_size <= max_bytes:
            return False
    except FileNotFoundError:
        return False
    shutil.copyfile(path, path.with_suffix(".log.1"))
    os.truncate(path, 0)
    return True


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log; none when there is no log."""
    try:
        with path.open(errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, lines)]
    except FileNotFoundError:
        return []


def follow(path: Path, ended: Callable[[], bool]) -> Iterator[str]:
    """Lines as they are written, from the file's present end on, until `ended`, which may wait a little each time."""
    position = path.stat().st_size if path.exists() else 0
    while True:
        last = ended()
        if path.exists():
            if path.stat().st_size < position:
                position = 0
            with path.open(errors="replace") as file:
                file.seek(position)
                while (line := file.readline()).endswith("\n"):
                    yield line.rstrip("\n")
                    position = file.tell()
        if last:
            return
