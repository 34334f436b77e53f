"""The servers that are measured, each on core 0, alone."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from anmodel.laptop.kafka import free_port
from bench.cores import SERVER, pinned
from bench.running import process, wait_until


@dataclass(frozen=True)
class Server:
    """A running server: its process and where it takes events."""

    pid: int
    url: str


@contextmanager
def bare(folder: Path) -> Iterator[Server]:
    """The bare ASGI endpoint."""
    port = free_port()
    with _served([sys.executable, "-m", "bench.bare", str(port)], port, "/collect", folder / "bare.log") as server:
        yield server


@contextmanager
def collector(folder: Path, variables: Mapping[str, str]) -> Iterator[Server]:
    """`anmodel collector` with its default settings."""
    port = free_port()
    given = {**variables, "COLLECTOR_PORT": str(port)}
    command = [sys.executable, "-m", "anmodel", "collector"]
    with _served(command, port, "/ready", folder / "collector.log", given) as server:
        yield server


@contextmanager
def original_way(folder: Path, variables: Mapping[str, str], file: Path) -> Iterator[Server]:
    """The baseline in `file`, unchanged, run by BASELINE_PYTHON, which has its packages."""
    port = free_port()
    python = os.environ.get("BASELINE_PYTHON", sys.executable)
    command = [python, "-m", "uvicorn", f"{file.stem}:app", "--app-dir", str(file.parent), "--port", str(port)]
    with _served([*command, "--no-access-log"], port, "/docs", folder / "original.log", variables) as server:
        yield server


@contextmanager
def _served(
    command: list[str], port: int, probe: str, log: Path, variables: Mapping[str, str] | None = None
) -> Iterator[Server]:
    with process(pinned(SERVER, command), log, **(variables or {})) as running:
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            if running.poll() is not None:
                raise SystemExit(f"{command} has ended:\n{log.read_text()[-2000:]}")
            try:
                return httpx.get(f"{url}{probe}").is_success
            except httpx.TransportError:
                return False

        wait_until(answers, " ".join(command), log)
        yield Server(running.pid, f"{url}/collect")
