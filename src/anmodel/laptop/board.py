"""The platform's notice board: every keeper writes its part's state here, all others read it."""

import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import structlog

from anmodel.laptop.part import Part
from anmodel.laptop.state import PartState, Stage, write_state

UP = (Stage.READY, Stage.DONE)

log = structlog.get_logger()


class Report(Protocol):
    """Told of everything that happens while the platform starts, runs and stops."""

    def changed(self, part: PartState) -> None:
        """A part's state is another now."""

    def progress(self, name: str, done: int, total: int) -> None:
        """A part's preparation has come so far."""


class Silent:
    """A report nobody reads."""

    def changed(self, part: PartState) -> None:
        """Say nothing."""

    def progress(self, name: str, done: int, total: int) -> None:
        """Say nothing."""


class Board:
    """States of all parts; every change goes to `state.json`, to the report and to whoever waits."""

    def __init__(self, home: Path, parts: Iterable[Part], report: Report) -> None:
        self.stopping = threading.Event()
        self._home = home
        self._started = time.time()
        self._report = report
        self._states = {part.name: PartState(part.name, port=part.port, url=part.url) for part in parts}
        self._change = threading.Condition()

    def update(self, name: str, **changes: Any) -> None:
        """Change fields of a part's state."""
        with self._change:
            self._states[name] = state = replace(self._states[name], **changes)
            self._write()
            self._report.changed(state)
            self._change.notify_all()

    def progress(self, name: str, done: int, total: int) -> None:
        """Hand a preparation's progress to the report."""
        self._report.progress(name, done, total)

    def states(self) -> list[PartState]:
        """All states as they are now, in the order of the parts."""
        with self._change:
            return list(self._states.values())

    def of(self, name: str) -> PartState:
        """One part's state as it is now."""
        return self._states[name]

    def wait_up(self, names: Iterable[str], timeout: float | None = None) -> bool:
        """Wait until all of them are up; False when the platform stops, a part has failed or time is over before."""
        wanted = list(names)
        with self._change:
            self._change.wait_for(lambda: self._up(wanted) or self.stopping.is_set() or bool(self.failures()), timeout)
            return self._up(wanted)

    def failures(self) -> list[PartState]:
        """Parts that could not be started."""
        return [state for state in self._states.values() if state.state is Stage.FAILED]

    def stop(self) -> None:
        """Wake all who wait: the platform stops."""
        with self._change:
            self.stopping.set()
            self._change.notify_all()

    def _up(self, names: list[str]) -> bool:
        return all(self._states[name].state in UP for name in names)

    def _write(self) -> None:
        try:
            write_state(self._home, self._started, self._states.values())
        except OSError as error:
            # a full disk must not end the keepers: the parts run on, only `anmodel status` is out of date
            log.warning("state_not_written", error=str(error))
