"""Logs serve the work; they never stop it."""

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")  # Linux: every write fails as on a full disk

LOGS = """
import structlog
from anmodel.settings import Settings
from anmodel.telemetry import configure_logging
configure_logging(Settings.load())
for _ in range(1000):
    structlog.get_logger().warning("a line that finds no room")
print("went on")
"""


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_log_on_a_full_disk_does_not_stop_the_work() -> None:
    with FULL.open("w") as full:
        done = subprocess.run([sys.executable, "-c", LOGS], stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert done.stdout == "went on\n"
