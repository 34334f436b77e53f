"""Faults put into a program at a chosen place."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from guarded import GuardedProcess
from passing import patiently

SOURCE = Path(__file__).with_name("kill_at.c")


def require(program: str, package: str) -> str:
    """The path of a program; without it the test is skipped, but in CI it fails."""
    found = shutil.which(program)
    if found:
        return found
    reason = f"needs {program} (Debian: apt-get install {package})"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class KillAt:
    """The compiled `kill_at`, what it is told, and the note that it writes."""

    def __init__(self, folder: Path) -> None:
        self._program = folder / "kill_at"
        self._order = folder / "order"
        self._note = folder / "note"
        subprocess.run([require("cc", "gcc"), "-O1", "-o", self._program, SOURCE], check=True)

    def words(self, call: str, pattern: str) -> list[str]:
        """What to run a program under, so that it can be killed at calls (rename or open) with such paths."""
        self._order.unlink(missing_ok=True)
        return [str(word) for word in (self._program, call, pattern, self._order, self._note)]

    def arm(self, number: int, moment: str = "before") -> None:
        """Kill it at the `number`th such call from now on, before the call or after."""
        self._note.write_text("")  # it stays open in the program that writes it
        fresh = self._order.with_suffix(".new")
        fresh.write_text(f"{number} {moment}\n")
        fresh.replace(self._order)

    def await_the_kill(self, victim: GuardedProcess, number: int) -> None:
        """Return once it has been killed there; fails when it ended otherwise, or at another call."""
        try:
            patiently(lambda: not victim.runs())
            victim.end(None)
        finally:
            self._order.unlink()
        lines = self._note.read_text().splitlines()
        assert len(lines) == number + 1, lines
        assert lines[-1] == "killed", lines
