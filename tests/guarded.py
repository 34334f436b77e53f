"""Processes that tests start and end."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL, Signals

from anmodel.laptop.guardian import Guardian

END_SECONDS = 60


class GuardedProcess:
    """One process, which can be started again after its end. It does not outlive the test run, even a killed one."""

    def __init__(self, guardian: Guardian) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._guardian = guardian

    def spawn(self, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
        """Start it; what it prints is added to `log`."""
        with log.open("ab") as output:
            self.process = self._guardian.spawn(command, output.fileno(), environment)

    def signal(self, number: Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def end(self, number: Signals | None) -> int:
        """Send a signal, or None, and wait for the end; the exit code. 0 when it does not run."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        if number is not None:
            process.send_signal(number)
        code = process.wait(END_SECONDS)
        self._guardian.dismiss(process.pid)
        return code

    def kill(self) -> None:
        """End it as a crash would, with SIGKILL."""
        self.end(SIGKILL)
