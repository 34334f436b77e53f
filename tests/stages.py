"""Stages of AnModel as processes of their own, for tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from anmodel.laptop.guardian import Guardian
from eventually import eventually

READY_SECONDS = 30


class Stage:
    """`anmodel <stage>` with an environment of its own; killed, it can be started again."""

    def __init__(self, words: str, variables: Mapping[str, str], folder: Path, guardian: Guardian, url: str) -> None:
        """`url` answers 200 when the stage lives."""
        self.url = url
        self.log = folder / f"{words.replace(' ', '-')}.log"
        self._words = words.split()
        self._variables = {**os.environ, **variables}
        self._guardian = guardian
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> "Stage":
        """Start it, and wait until it answers."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "anmodel", *self._words]
            self._process = self._guardian.spawn(command, log.fileno(), self._variables)
        if wait:
            try:
                eventually(self.answers, READY_SECONDS)
            except AssertionError as error:
                raise AssertionError(self.log.read_text()[-2000:]) from error
        return self

    def answers(self) -> bool:
        """Whether it lives."""
        assert self._process is not None
        assert self._process.poll() is None, "it has ended"
        return httpx.get(f"{self.url}/health").is_success

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as an operator would; returns its exit code."""
        return self._end(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it has ended by itself; returns its exit code."""
        return self._end(None)

    def _end(self, number: signal.Signals | None) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        if number is not None:
            process.send_signal(number)
        code = process.wait(20)
        self._guardian.dismiss(process.pid)
        return code
