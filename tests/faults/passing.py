"""Time in the tests of faults."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIGCONT, SIGSTOP
from typing import TypeVar

from eventually import eventually
from guarded import GuardedProcess

T = TypeVar("T")

PATIENCE = 240  # seconds; a busy machine needs some of them to start a stage again


def patiently(condition: Callable[[], T]) -> T:
    """The first true value of `condition`, however busy the machine is."""
    return eventually(condition, PATIENCE)


def pass_seconds(seconds: float) -> None:
    """Return after so many seconds: how long something is broken is part of the fault, not a wait for an effect."""
    end = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= end, seconds + 60, pause=0.01)


@contextmanager
def standing_still(process: GuardedProcess) -> Iterator[None]:
    """The process stands still for the time of a `with`, and goes on after it."""
    process.signal(SIGSTOP)
    try:
        yield
    finally:
        process.signal(SIGCONT)
