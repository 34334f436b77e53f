"""No part outlives its supervisor, not even when that is killed with -9.

The guardian is a small process at the other end of a pipe. Each part is started through `enlist`, which writes its
process id into the pipe before it becomes the part. When the supervisor ends, however it ends, the pipe closes and the
guardian kills every process group that is still listed. This works alike on Linux and macOS, and reaches the part's own
children too.

Run as a plain script, without this package, so that starting a part costs a bare interpreter (about 20 ms).
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping

RECORD = 12  # bytes of one line in the pipe: sign, ten digits, line end. Writes this small are never torn.
SCRIPT = (sys.executable, "-I", "-S", __file__)


class Guardian:
    """The supervisor's side."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._listed: set[int] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the guardian process."""
        with self._lock:
            self._open()

    def spawn(self, command: list[str], output: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start `command` as a group of its own (Ctrl-C on the terminal is for the supervisor), listed here."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._renew()
            enlisting = [*SCRIPT, "enlist", str(self._pipe), str(os.getpid()), *command]
            part = subprocess.Popen(
                enlisting,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=[self._pipe],
                start_new_session=True,
            )
            self._listed.add(part.pid)
            return part

    def dismiss(self, pid: int) -> None:
        """Take an ended part off the list, before its process id can belong to somebody else."""
        with self._lock:
            self._listed.discard(pid)
            self._tell(-pid)

    def stop(self) -> None:
        """Let the guardian go, which first kills what is still listed. Safe to repeat."""
        with self._lock:
            if self._process is not None:
                os.close(self._pipe)
                self._process.wait()
                self._process = None

    def _renew(self) -> None:
        """A guardian in place of one that was killed, told of all that live."""
        if self._process is not None:
            os.close(self._pipe)
        self._open()
        for pid in self._listed:
            self._tell(pid)

    def _open(self) -> None:
        reader, self._pipe = os.pipe()
        self._process = subprocess.Popen([*SCRIPT, "guard"], stdin=reader, start_new_session=True)
        os.close(reader)

    def _tell(self, pid: int) -> None:
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):  # it was killed; the next start of a part renews it
                os.write(self._pipe, record(pid))


def record(pid: int) -> bytes:
    """One line of the pipe: a process id to list, or with a minus one to take off."""
    return f"{pid:>{RECORD - 1}}\n".encode()


def guard() -> None:
    """Read the pipe to its end, then kill every group still listed."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    listed = set()
    for line in sys.stdin.buffer:
        pid = int(line)
        if pid > 0:
            listed.add(pid)
        else:
            listed.discard(-pid)
    for pid in listed:
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def enlist(pipe: int, supervisor: int, command: list[str]) -> None:
    """Write our own id into the pipe and become `command`; end at once when the supervisor is gone already."""
    os.write(pipe, record(os.getpid()))
    os.close(pipe)
    if os.getppid() != supervisor:
        sys.exit("the supervisor is gone")
    os.execvp(command[0], command)  # noqa: S606 - the very purpose: to become the part


if __name__ == "__main__":
    if sys.argv[1] == "guard":
        guard()
    else:
        enlist(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
