"""Stages of AnModel as processes of their own, for tests."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from anmodel.laptop.guardian import Guardian
from eventually import eventually
from guarded import GuardedProcess

READY_SECONDS = 120


class Stage(GuardedProcess):
    """`anmodel <stage>` with an environment of its own; killed, it can be started again."""

    def __init__(self, words: str, variables: Mapping[str, str], folder: Path, guardian: Guardian, url: str) -> None:
        """`url` answers 200 when the stage lives."""
        super().__init__(guardian)
        self.url = url
        self.log = folder / f"{words.replace(' ', '-')}.log"
        self._words = words.split()
        self._variables = {**os.environ, **variables}

    def start(self, *, wait: bool = True) -> "Stage":
        """Start it, and wait until it answers."""
        self.spawn([sys.executable, "-m", "anmodel", *self._words], self.log, self._variables)
        if wait:
            try:
                eventually(self.answers, READY_SECONDS)
            except AssertionError as error:
                raise AssertionError(self.log.read_text()[-2000:]) from error
        return self

    def answers(self) -> bool:
        """Whether it lives."""
        assert self.process is not None
        assert self.process.poll() is None, "it has ended"
        return httpx.get(f"{self.url}/health").is_success

    def stop(self) -> int:
        """End it as an operator would; returns its exit code."""
        return self.end(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it has ended by itself; returns its exit code."""
        return self.end(None)
