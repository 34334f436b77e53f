"""Which core a process runs on, and what processor time it has used."""

import os
from collections.abc import Callable
from pathlib import Path

SERVER, OTHERS = 0, 1
"""The measured process has a core of its own; load, broker and engine share the other."""


def pinned(core: int | str, command: list[str]) -> list[str]:
    """The command, bound to one core; its threads and children inherit that."""
    return ["taskset", "--cpu-list", str(core), *command]


def pin_self(core: int = OTHERS) -> None:
    """Bind this process, and the clients it makes, to a core."""
    os.sched_setaffinity(0, {core})


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used, of all its threads, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used_while(pid: int, work: Callable[[], object]) -> float:
    """Processor seconds that the process uses while `work` runs."""
    before = processor_seconds(pid)
    work()
    return processor_seconds(pid) - before
