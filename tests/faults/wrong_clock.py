"""Programs whose clock a test can make jump while they run."""

import struct
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from injected import require

SOURCE = Path(__file__).with_suffix(".c")


class WrongClock:
    """A clock that runs ahead of or behind the real one, for programs that are started with `variables`."""

    def __init__(self, folder: Path) -> None:
        library, self._ahead = folder / "wrong_clock.so", folder / "ahead"
        subprocess.run([require("cc", "gcc"), "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        self._ahead.write_bytes(struct.pack("=q", 0))
        self.variables = {"LD_PRELOAD": str(library), "WRONG_CLOCK": str(self._ahead)}

    def jump(self, ahead: timedelta) -> None:
        """Be so far ahead of the real time, or behind it, from now on."""
        with self._ahead.open("r+b") as file:
            file.write(struct.pack("=q", int(ahead.total_seconds())))


def clock_error(url: str) -> timedelta:
    """How far a server's clock is ahead of ours, by the date in its answer."""
    return parsedate_to_datetime(httpx.get(url, timeout=30).headers["date"]) - datetime.now(UTC)
