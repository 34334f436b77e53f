"""Runs kubectl and helm, or shows what would be run; and waits, saying for what."""

import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from subprocess import PIPE
from typing import Protocol

from bringup.errors import CommandFailed, PlatformError

Progress = Callable[[], str]

SLICE_SECONDS = 10
"""After so long the person at the terminal hears what a command is waiting for."""

_PASSING = (
    "failed calling webhook",
    "no matches for kind",
    "ensure CRDs are installed",
    "connection refused",
    "i/o timeout",
    "TLS handshake timeout",
    "the server is currently unable to handle the request",
    "etcdserver: request timed out",
)
"""What an API server says while an operator's webhook or kinds are not there yet, though they will be."""


class Runner(Protocol):
    """How commands are run."""

    dry: bool

    def run(self, command: Sequence[str], stdin: str | None = None, progress: Progress | None = None) -> str:
        """Run a command that changes something; its output. Raises `CommandFailed`.

        While it takes long, what `progress` says is shown with the time that has passed.
        """

    def ask(self, command: Sequence[str]) -> str | None:
        """Run a command that changes nothing; its output, None when it failed. A dry run asks nobody: None."""

    def read(self, command: Sequence[str]) -> str:
        """Run a command that needs no cluster; its output. Raises `CommandFailed`."""


class Commands:
    """Runs them."""

    dry = False

    def __init__(self, slice_seconds: float = SLICE_SECONDS) -> None:
        self._slice = slice_seconds

    def run(self, command: Sequence[str], stdin: str | None = None, progress: Progress | None = None) -> str:
        began = time.monotonic()
        try:
            child = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
        except FileNotFoundError as error:
            raise PlatformError(f"{command[0]} is not on the PATH; `make preflight` says where to get it.") from error
        with child:
            _give(child, stdin or "")
            while True:
                try:
                    out, said = child.communicate(timeout=self._slice)
                    break
                except subprocess.TimeoutExpired:
                    if progress:
                        say(f"   {time.monotonic() - began:.0f} s: {progress() or 'at work'}")
                except BaseException:
                    child.terminate()
                    raise
        if child.returncode:
            raise CommandFailed(shlex.join(command), said or out)
        return out

    def ask(self, command: Sequence[str]) -> str | None:
        try:
            return self.run(command)
        except PlatformError:  # the program is missing, too
            return None

    def read(self, command: Sequence[str]) -> str:
        return self.run(command)


def _give(child: subprocess.Popen[str], stdin: str) -> None:
    """Write a child's input beside `communicate`, which forgets what it has not written when its time is up."""
    pipe, child.stdin = child.stdin, None
    if pipe is None:
        return

    def write() -> None:
        with suppress(BrokenPipeError), pipe:  # it may end without reading all
            pipe.write(stdin)

    threading.Thread(target=write, daemon=True).start()


class DryRun:
    """Prints them, as one would type them."""

    dry = True

    def __init__(self) -> None:
        self._into = ""

    def run(self, command: Sequence[str], stdin: str | None = None, progress: Progress | None = None) -> str:
        say(self._into + shlex.join(command))
        self._into = ""
        return ""

    def ask(self, command: Sequence[str]) -> str | None:
        return None

    def read(self, command: Sequence[str]) -> str:
        """What is read goes into the command that follows."""
        self._into = f"{shlex.join(command)} | "
        return ""


def say(line: str) -> None:
    """A line for the person at the terminal, at once."""
    print(line, flush=True)


def warn(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def retrying(
    runner: Runner,
    command: Sequence[str],
    stdin: str | None = None,
    progress: Progress | None = None,
    *,
    patience: float = 120,
    pause: float = 3,
) -> str:
    """Run it, and again while it fails for something that passes, at most `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            return runner.run(command, stdin, progress)
        except CommandFailed as error:
            passing = next((text for text in _PASSING if text in error.said), "")
            if not passing or time.monotonic() > end:
                raise
            say(f"   not yet ({passing}); again")
            time.sleep(pause)


def wait_for(runner: Runner, wait: Sequence[str], timeout: float, progress: Progress, *, pause: float = 2) -> None:
    """`kubectl wait …` until it holds, with a line of progress every slice; raises `PlatformError` when time is up.

    What does not exist yet is waited for, too.
    """
    if runner.dry:
        runner.run([*wait, f"--timeout={timeout:.0f}s"])
        return
    began = time.monotonic()
    while True:
        left = timeout - (time.monotonic() - began)
        try:
            runner.run([*wait, f"--timeout={max(1, min(SLICE_SECONDS, left)):.0f}s"])
            return
        except CommandFailed as error:
            passed = time.monotonic() - began
            if passed > timeout:
                raise PlatformError(
                    f"not there after {passed:.0f} s: {shlex.join(wait)}\n{error.said.strip()}"
                ) from error
            timed_out = "timed out" in error.said
            say(f"   {passed:.0f} s: {progress() or error.said.strip().splitlines()[-1]}")
            if not timed_out:
                time.sleep(pause)
