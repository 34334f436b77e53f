"""The platform: all parts started in the order of their needs, watched, and ended in the reverse order."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from anmodel.errors import UnavailableError
from anmodel.laptop.board import Board, Report, Silent
from anmodel.laptop.environment import LOCK_NAME, in_use
from anmodel.laptop.guardian import Guardian
from anmodel.laptop.keeper import Keeper
from anmodel.laptop.locks import FolderLock
from anmodel.laptop.logfile import log_path, rotate
from anmodel.laptop.part import Part
from anmodel.laptop.ports import require_free_ports
from anmodel.laptop.state import PartState, end_leftovers

STOP_SECONDS = 9.0
ROTATION_SECONDS = 10.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

log = structlog.get_logger()


class Platform:
    """The parts of one ANMODEL_HOME, running for the time of a `with`.

    with Platform(home, parts, environment) as platform:
        platform.wait_ready()
        ...
        platform.wait()
    """

    def __init__(
        self, home: Path, parts: Sequence[Part], environment: Mapping[str, str], report: Report | None = None
    ) -> None:
        """Starts nothing yet.

        Parameters:
            home: ANMODEL_HOME; its lock, logs and state are kept there.
            parts: What to run. Needs that are not among them are taken as met.
            environment: Variables of every part, over those of this process.
        """
        self._home = home
        names = {part.name for part in parts}
        self._needs = {part.name: set(part.needs) & names for part in parts}
        self._lock = FolderLock(home / LOCK_NAME)
        self._board = Board(home, parts, report or Silent())
        self._guardian = Guardian()
        self._parts = parts
        self._keepers = [
            Keeper(part, sorted(self._needs[part.name]), home, dict(environment), self._board, self._guardian)
            for part in parts
        ]

    def __enter__(self) -> Self:
        """Own the folder, end leftovers, require free ports, start. Raises `SettingError` when it cannot."""
        self._own_folder()
        try:
            for name in end_leftovers(self._home):
                log.warning("leftover_ended", part=name)
            require_free_ports(self._parts)
            self._guardian.start()
            for keeper in self._keepers:
                keeper.start()
            threading.Thread(target=self._rotate_logs, name="log-rotation", daemon=True).start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until every part is up. Raises `UnavailableError` with the log's end when one cannot be started."""
        if self._board.wait_up(self._needs, timeout):
            return
        failures = [f"{part.name} cannot be started: {part.note}" for part in self._board.failures()]
        waiting = [part.name for part in self._board.states() if not self._board.wait_up([part.name], 0)]
        raise UnavailableError("\n".join(failures) or f"not ready within {timeout} s: {', '.join(waiting)}")

    def wait(self) -> None:
        """Stay until interrupted: see `interrupted_by_signals`."""
        self._board.stopping.wait()

    def states(self) -> list[PartState]:
        """Every part as it is now."""
        return self._board.states()

    def stop(self) -> None:
        """End everything within 10 s: first what needs others, last what others need. Safe to repeat."""
        with signals_put_off():
            self._board.stop()
            deadline = time.monotonic() + STOP_SECONDS
            alive = [keeper for keeper in self._keepers if keeper.alive()]
            waves = _waves(alive, self._needs)
            for done, wave in enumerate(waves):
                left = deadline - time.monotonic()
                _end(wave, left / (len(waves) - done))
            self._guardian.stop()
            self._lock.release()

    def _own_folder(self) -> None:
        if not self._lock.take():
            raise in_use(self._home, self._lock)

    def _rotate_logs(self) -> None:
        while not self._board.stopping.wait(ROTATION_SECONDS):
            for part in self._parts:
                try:
                    rotate(log_path(self._home, part.name))
                except OSError as error:
                    log.warning("log_not_rotated", part=part.name, error=str(error))


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does: every way to stop is the same way out of a `with`."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_put_off() -> Iterator[None]:
    """A second Ctrl-C must not break off the stopping, which has its own deadline.

    A handler that does nothing, for a part that starts in this very moment would inherit the ignoring of SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: None) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _waves(keepers: list[Keeper], needs: Mapping[str, set[str]]) -> list[list[Keeper]]:
    """Keepers in the order of ending: nobody is in a wave before one that needs it, directly or through others."""
    waves, left = [], list(keepers)
    while left:
        needed = set().union(*(_all_needs(keeper.part.name, needs) for keeper in left))
        wave = [keeper for keeper in left if keeper.part.name not in needed]
        left = [keeper for keeper in left if keeper.part.name in needed]
        waves.append(wave)
    return waves


def _all_needs(name: str, needs: Mapping[str, set[str]]) -> set[str]:
    return needs[name].union(*(_all_needs(need, needs) for need in needs[name]))


def _end(wave: list[Keeper], seconds: float) -> None:
    """Ask all of a wave to end; kill what still runs after `seconds`."""
    deadline = time.monotonic() + seconds
    for keeper in wave:
        keeper.end()
    for keeper in wave:
        keeper.join(deadline - time.monotonic())
    for keeper in wave:
        if keeper.alive():
            keeper.kill()
            keeper.join(1.0)
