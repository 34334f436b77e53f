"""What runs: the supervisor's state, checked against the processes themselves."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.markup import escape
from rich.table import Table

from anmodel.laptop.environment import LOCK_NAME
from anmodel.laptop.locks import FolderLock
from anmodel.laptop.part import Part
from anmodel.laptop.state import PartState, Stage, part_states, process_of, read_state

STYLES = {"ready": "green", "done": "green", "not answering": "red", "failed": "red", "dead": "red"}


@dataclass(frozen=True)
class PartStatus:
    """One part as seen now; `memory` is its share in bytes (PSS where the system tells it), children included."""

    name: str
    state: str
    pid: int | None
    port: int | None
    url: str
    restarts: int
    uptime_seconds: float | None
    memory: int | None
    last_exit: str
    note: str


@dataclass(frozen=True)
class PlatformStatus:
    """The platform as seen now; `pid` is its supervisor's, None when none runs."""

    pid: int | None
    home: str
    parts: list[PartStatus]
    memory: int

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def platform_status(home: Path, parts: list[Part], now: float) -> PlatformStatus:
    """Read the state of `home` and ask every living part whether it is ready. `parts` tell how to ask."""
    content = read_state(home)
    supervisor = _owner(home)
    # a supervisor that has just come finds the state of the one before it
    supervised = supervisor is not None and content.get("pid") == supervisor
    probes = {part.name: part for part in parts}
    states = part_states(content)
    with ThreadPoolExecutor(max(len(states), 1)) as pool:
        seen = list(pool.map(lambda state: _status(state, probes.get(state.name), supervised, now), states))
    own = _own_memory(supervisor) if supervisor else 0
    return PlatformStatus(supervisor, str(home), seen, own + sum(part.memory or 0 for part in seen))


def _owner(home: Path) -> int | None:
    """The supervisor that owns the folder: while it lives its lock cannot be taken."""
    lock = FolderLock(home / LOCK_NAME)
    owner = "" if lock.free() else lock.owner()
    return int(owner) if owner.isdigit() else None


def _own_memory(supervisor: int) -> int:
    try:
        return _memory(psutil.Process(supervisor), recursive=False) or 0
    except psutil.NoSuchProcess:
        return 0


def _status(state: PartState, part: Part | None, supervised: bool, now: float) -> PartStatus:
    process = process_of(state)
    return PartStatus(
        name=state.name,
        state=_live_state(state, part, process is not None, supervised),
        pid=state.pid if process else None,
        port=state.port,
        url=state.url,
        restarts=state.restarts,
        uptime_seconds=round(now - state.started, 1) if process and state.started else None,
        memory=_memory(process) if process else None,
        last_exit=state.last_exit,
        note=state.note,
    )


def _live_state(state: PartState, part: Part | None, alive: bool, supervised: bool) -> str:
    if not supervised:
        return "left over" if alive else str(state.state if state.state is Stage.DONE else Stage.STOPPED)
    if state.state is Stage.READY and not alive:
        return "dead"
    if state.state is Stage.READY and part is not None and not part.ready():
        return "not answering"
    return str(state.state)


def _memory(process: psutil.Process, recursive: bool = True) -> int | None:
    try:
        family = [process, *(process.children(recursive=True) if recursive else [])]
        return sum(_share(member) for member in family)
    except (psutil.Error, OSError):
        return None


def _share(process: psutil.Process) -> int:
    """Bytes of memory: shared pages split among those that share them (Linux), or not counted (macOS)."""
    info = process.memory_full_info()
    return int(getattr(info, "pss", 0) or info.uss)


def status_table(status: PlatformStatus) -> Table:
    """The status for people."""
    caption = f"supervisor {status.pid}" if status.pid else "no supervisor runs; start it with `anmodel up`"
    caption = f"{caption} · {_megabytes(status.memory)} in all · {status.home}"
    notes = [f"{part.name}: {part.note.splitlines()[0]}" for part in status.parts if part.note and status.pid]
    table = Table(caption=escape("\n".join([caption, *notes])), caption_justify="left", box=None)
    for title in ("PART", "STATE", "PID", "ADDRESS", "RESTARTS", "UPTIME", "MEMORY", "LAST EXIT"):
        table.add_column(title, justify="right" if title in ("PID", "RESTARTS", "UPTIME", "MEMORY") else "left")
    for part in status.parts:
        state = f"[{STYLES.get(part.state, 'yellow')}]{part.state}[/]"
        table.add_row(
            part.name,
            state,
            str(part.pid or ""),
            part.url,
            str(part.restarts),
            _duration(part.uptime_seconds),
            _megabytes(part.memory),
            part.last_exit,
        )
    return table


def _megabytes(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:,.0f} MB"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
