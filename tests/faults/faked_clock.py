"""Programs whose clock a test can make jump while they run (libfaketime)."""

import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from injected import require


class FakedClock:
    """A clock that runs ahead of or behind the real one. It starts right."""

    def __init__(self, folder: Path) -> None:
        require("faketime", "faketime")
        self._offset = folder / "clock"
        self.jump(timedelta(0))
        preload = subprocess.run(
            ["faketime", "now", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
        )
        threads = preload.stdout.strip().replace("libfaketime.so", "libfaketimeMT.so")
        self.variables = {
            "LD_PRELOAD": threads,
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_CACHE_DURATION": "1",  # seconds until a jump is seen; a look into the file each time is too dear
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a clock that is set does not move that one
        }
        """The environment of who goes by this clock."""

    def jump(self, offset: timedelta) -> None:
        """Be so far ahead of the real time, or behind it, within a second."""
        fresh = self._offset.with_suffix(".new")
        fresh.write_text(f"{offset.total_seconds():+.0f}\n")
        fresh.replace(self._offset)


def clock_error(url: str) -> timedelta:
    """How far a server's clock is ahead of ours, by the date in its answer."""
    return parsedate_to_datetime(httpx.get(url, timeout=30).headers["date"]) - datetime.now(UTC)
