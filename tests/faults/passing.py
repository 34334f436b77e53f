"""Time that a fault has to last."""

import time

from eventually import eventually


def pass_seconds(seconds: float) -> None:
    """Return after so many seconds: how long something is broken is part of the fault, not a wait for an effect."""
    end = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= end, seconds + 60, pause=min(seconds, 0.1))
