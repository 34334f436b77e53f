"""Keeps one part alive: starts it, waits until it is ready, starts it again when it dies."""

import itertools
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import psutil
import structlog

from anmodel.errors import ContractError, SettingError, UnavailableError
from anmodel.laptop.board import Board
from anmodel.laptop.guardian import Guardian
from anmodel.laptop.logfile import log_path, open_log, tail
from anmodel.laptop.part import Part
from anmodel.laptop.state import Stage, kill_group

FIRST_TRIES = 3  # a part that has never been ready is started so often, then the platform's start fails
HOPELESS = (SettingError.exit_code, ContractError.exit_code)  # trying again would end the same way
PROBE_SECONDS = 0.1
TAIL_LINES = 15

log = structlog.get_logger()


class Backoff:
    """Seconds to wait before the next start: `first`, doubling up to `most`, anew after `steady` seconds of life."""

    def __init__(self, first: float = 0.5, most: float = 30.0, steady: float = 60.0) -> None:
        self._first, self._most, self._steady = first, most, steady
        self._next = first

    def after(self, lived: float) -> float:
        """Seconds to wait after a life of `lived` seconds."""
        if lived >= self._steady:
            self._next = self._first
        delay, self._next = self._next, min(self._next * 2, self._most)
        return delay


class Keeper:
    """One part, kept in a thread of its own."""

    def __init__(
        self,
        part: Part,
        needs: list[str],
        home: Path,
        environment: dict[str, str],
        board: Board,
        guardian: Guardian,
    ) -> None:
        self.part = part
        self._needs = needs
        self._log = log_path(home, part.name)
        self._environment = {**os.environ, **environment, **part.environment}
        self._board = board
        self._guardian = guardian
        self._backoff = Backoff()
        self._was_ready = False
        self._late = False
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name=f"keeper-{part.name}", daemon=True)

    def start(self) -> None:
        """Begin to keep the part."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether the part's process runs. Once the board is stopping, a False stays False."""
        with self._lock:
            return self._process is not None

    def end(self) -> None:
        """Ask the part to end. The board must be stopping, or it would be started again."""
        with self._lock:
            if self._process is not None:
                self._board.update(self.part.name, state=Stage.STOPPING)
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the part without asking."""
        with self._lock:
            if self._process is not None:
                log.warning("part_killed", part=self.part.name, reason="it did not end when asked")
                kill_group(self._process.pid)

    def join(self, timeout: float) -> None:
        """Wait for the keeper's end, which follows that of its part."""
        self._thread.join(max(timeout, 0))

    def _run(self) -> None:
        try:
            if self._board.wait_up(self._needs):
                self._prepare()
                self._keep()
        except Exception as error:
            # the thread's edge: whatever went wrong must be seen by those who wait for this part
            self._board.update(self.part.name, state=Stage.FAILED, note=str(error))
        if self._board.stopping.is_set():
            self._board.update(self.part.name, state=Stage.STOPPED, pid=None, note="")

    def _prepare(self) -> None:
        self._board.update(self.part.name, state=Stage.PREPARING)
        self.part.prepare(lambda done, total: self._board.progress(self.part.name, done, total))

    def _keep(self) -> None:
        for attempt in itertools.count(1):
            began = time.monotonic()
            try:
                process = self._start()
            except OSError as error:
                if not self._was_ready:
                    raise
                # a full disk, say: what cannot be started now may be later, without anybody's help
                self._rest(f"cannot be started: {error}", self._backoff.after(0))
                continue
            code = self._live(process) if process else 0
            if self._board.stopping.is_set():
                return
            if self.part.once and code == 0:
                self._board.update(self.part.name, state=Stage.DONE, note="")
                return
            if not self._was_ready and (attempt >= FIRST_TRIES or self._late or code in HOPELESS):
                raise UnavailableError(self._obituary(code))
            self._rest(f"died ({_exit(code)})", self._backoff.after(time.monotonic() - began))

    def _rest(self, why: str, delay: float) -> None:
        restarts = self._board.of(self.part.name).restarts + 1
        log.warning("part_died", part=self.part.name, why=why, again_in_seconds=delay, restarts=restarts)
        note = f"{why}; starts again in {delay:g} s"
        self._board.update(self.part.name, state=Stage.RESTARTING, restarts=restarts, note=note)
        self._board.stopping.wait(delay)

    def _live(self, process: subprocess.Popen[bytes]) -> int:
        """The rest of one life of the part, to its end; returns its exit code."""
        if self._until_ready(process):
            self._was_ready = True
            self._board.update(self.part.name, state=Stage.READY, note="")
        code = process.wait()
        self._bury(process, code)
        return code

    def _start(self) -> subprocess.Popen[bytes] | None:
        """The new process; None when the platform stops already."""
        with self._lock:
            if self._board.stopping.is_set():
                return None
            output = open_log(self._log)
            try:
                os.write(output, f"--- {self.part.name} starts {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
                self._process = self._guardian.spawn(self.part.command(), output, self._environment)
            finally:
                os.close(output)
            self._late = False
            self._tell_start(self._process.pid)
            return self._process

    def _tell_start(self, pid: int) -> None:
        try:
            created = psutil.Process(pid).create_time()
        except psutil.Error:
            created = None  # it has ended already
        self._board.update(self.part.name, state=Stage.STARTING, pid=pid, created=created, started=time.time(), note="")

    def _until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Ask until the part is ready; False when it has ended, the platform stops or the part's deadline is over."""
        deadline = time.monotonic() + self.part.deadline
        while process.poll() is None and not self._board.stopping.is_set():
            if not self.part.once and self._is_ready():
                return True
            if time.monotonic() > deadline:
                self._late = True
                kill_group(process.pid)
                return False
            self._board.stopping.wait(PROBE_SECONDS)
        return False

    def _is_ready(self) -> bool:
        try:
            if not self.part.ready():
                return False
            self.part.after_ready()
        except UnavailableError as error:
            log.debug("part_not_ready", part=self.part.name, error=str(error))
            return False
        return True

    def _bury(self, process: subprocess.Popen[bytes], code: int) -> None:
        """Take the ended process off all lists, and whatever it has left running with it."""
        with self._lock:
            kill_group(process.pid)
            self._guardian.dismiss(process.pid)
            self._process = None
        self._board.update(self.part.name, pid=None, created=None, started=None, last_exit=_exit(code))

    def _obituary(self, code: int) -> str:
        how = f"was not ready within {self.part.deadline:g} s" if self._late else f"ended ({_exit(code)})"
        lines = "\n".join(f"  {line}" for line in tail(self._log, TAIL_LINES))
        return f"it {how}. The end of {self._log}:\n{lines}"


def _exit(code: int) -> str:
    """An exit code in words: `exit 3`, or the signal that ended it."""
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
