"""What the supervisor knows of its parts, and the file that tells others: `state.json` in ANMODEL_HOME."""

import json
import os
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

FILE_NAME = "state.json"
SAME_START = 2.0  # seconds two readings of a process's start may differ and still mean the same process


class Stage(StrEnum):
    """Where a part is in its life."""

    WAITING = "waiting"
    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    DONE = "done"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass
class PartState:
    """One part, now. Times are seconds since 1970; `created` is when its process began, to know it from a namesake."""

    name: str
    state: Stage = Stage.WAITING
    pid: int | None = None
    created: float | None = None
    started: float | None = None
    port: int | None = None
    url: str = ""
    restarts: int = 0
    last_exit: str = ""
    note: str = ""


def write_state(home: Path, started: float, parts: Iterable[PartState]) -> None:
    """Replace `state.json` whole: a reader never sees half."""
    content = {"pid": os.getpid(), "started": started, "parts": [asdict(part) for part in parts]}
    fresh = home / f"{FILE_NAME}.new"
    fresh.write_text(json.dumps(content, indent=1))
    fresh.replace(home / FILE_NAME)


def read_state(home: Path) -> dict[str, Any]:
    """What was written last; empty when nothing was ever started here, or nothing that can be read."""
    try:
        content = json.loads((home / FILE_NAME).read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def part_states(content: dict[str, Any]) -> list[PartState]:
    """The parts of a read state; none when another version of this program has written it."""
    try:
        return [PartState(**{**part, "state": Stage(part["state"])}) for part in content.get("parts", [])]
    except (KeyError, TypeError, ValueError):
        return []


def process_of(part: PartState) -> psutil.Process | None:
    """The part's process, if it lives and is not another that got the same id since."""
    if part.pid is None or part.created is None:
        return None
    try:
        process = psutil.Process(part.pid)
        alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return process if alive and abs(process.create_time() - part.created) < SAME_START else None
    except psutil.Error:
        return None


def end_leftovers(home: Path, seconds: float = 5.0) -> list[str]:
    """Kill what a supervisor that was itself killed may have left; returns the parts' names.

    Only call it as the folder's owner: the parts of a living supervisor are no leftovers.
    """
    left = [(part, process) for part in part_states(read_state(home)) if (process := process_of(part))]
    for _, process in left:
        kill_group(process.pid)
    psutil.wait_procs([process for _, process in left], timeout=seconds)
    return [part.name for part, _ in left]


def kill_group(pid: int) -> None:
    """Kill a part and whatever it has started; nothing happens when they are gone."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
